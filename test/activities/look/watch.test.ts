// The watch of a real primary, its standby and their pgpool: what it tells, what its heartbeats hold, and what it costs them.

import { execFile, execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { watch, type WatchReport } from '../../../activities/look/watch';
import { pcp, PcpFailure, requestAttach } from '../../../activities/io/pcp/pcp';
import { SqlConnections, SqlFailure } from '../../../activities/io/sql/postgres';
import type { WorkerTools } from '../../../activities/io/tools';
import type { ClusterConfiguration } from '../../../domain/facts/cluster';
import { type ClusterRecord, nothingRecorded, recordedNodes } from '../../../domain/facts/record';
import { parseWatchState, type WatchState } from '../../../domain/facts/watch';
import { runUnbeaten } from '../../../worker/attempt';
import { makeConfiguration } from '../../domain/builders';
import { makeRecord } from '../../domain/plans/record-stories';
import { detachNode, startPgpool, type TestPgpool } from '../io/pcp/pgpool';
import { createEnvironment } from '../perform';

let pgpool: TestPgpool;
let configuration: ClusterConfiguration;
let record: ClusterRecord;
const sql = new SqlConnections();
let isOpen: boolean | null = false;

beforeAll(async () => {
  pgpool = await startPgpool();
  const base = makeConfiguration({ policy: { reattachMs: 0 } }, 2);
  const nodes = base.nodes.map((node, id) => ({ ...node, ...pgpool.nodes[id]! }));
  configuration = { ...base, nodes, pgpool: [{ ...pgpool.target, port: 9999 }] };
  const systemIdentifier = String(
    (await ask(0, 'select system_identifier::text as id from pg_control_system()'))['id'],
  );
  const known = { systemIdentifier, nodes: recordedNodes(configuration) };
  record = makeRecord({ ...known, primary: 0, timeline: 1, former: null, away: [] });
});
afterAll(async () => {
  await sql.close();
  // The one that this test has started itself is nobody else's child.
  await control(1, 'stop', '-m', 'immediate').catch(() => undefined);
  await pgpool.stop();
});

async function ask(node: number, text: string): Promise<Record<string, unknown>> {
  const client = new Client({ ...pgpool.nodes[node], user: 'postgres', database: 'postgres' });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(text)).rows[0] ?? {};
  } finally {
    await client.end();
  }
}

/** pg_ctl, as PostgreSQL's user. */
async function control(node: number, ...how: string[]): Promise<void> {
  const id = (option: string): number => Number(execFileSync('id', [option, 'postgres'], { encoding: 'utf8' }));
  const owner = process.getuid?.() === 0 ? { uid: id('-u'), gid: id('-g') } : {};
  const directory = join(pgpool.directory, `node${node}`);
  const args = ['-D', directory, '-l', join(pgpool.directory, 'start.log'), '-w', ...how];
  await promisify(execFile)('/usr/lib/postgresql/15/bin/pg_ctl', args, { ...owner, cwd: pgpool.directory });
}

interface Watching {
  readonly report: Promise<WatchReport>;
  readonly beats: WatchState[];
  readonly cancel: () => void;
}

function start(more: Partial<WorkerTools> = {}, state: WatchState | null = null): Watching {
  const environment = createEnvironment();
  const beats: WatchState[] = [];
  environment.on('heartbeat', (details) => beats.push(parseWatchState(details)!));
  const tools = {
    sql,
    pcp,
    readConfiguration: () => configuration,
    recall: () => Promise.resolve({ ...nothingRecorded, watch: null }),
    isIncidentOpen: () => Promise.resolve(isOpen),
    ...more,
  } as unknown as WorkerTools;
  const run = (): Promise<WatchReport> =>
    runUnbeaten((attempt) =>
      watch({ ...tools, attempt }, { cluster: 'shop', record, maintenance: [], left: [], state }),
    );
  const report = environment.run<[], WatchReport, typeof run>(run);
  report.catch(() => undefined);
  const cancel = (): void => {
    environment.cancel();
  };
  return { report, beats, cancel };
}

const connections = (): number => pgpool.log().split('exit with SUCCESS').length;

it('says nothing while all is well, over one connection to pgpool for each look, until it is cancelled', async () => {
  const { report, beats, cancel } = start();
  const before = connections();
  await pause(12_500);
  cancel();
  await expect(report).rejects.toThrow(/cancel/i);
  // The first look, pgpool's first answer, and one after ten seconds.
  expect(beats.length).toBeGreaterThanOrEqual(3);
  expect(beats.length).toBeLessThanOrEqual(5);
  const { samples } = beats.at(-1)!;
  expect(samples.nodes).toMatchObject([
    { node: 0, misses: 0, said: { isInRecovery: false, position: { timeline: 1 } } },
    { node: 1, misses: 0, said: { isInRecovery: true, receiver: { host: pgpool.nodes[0]!.host, timeline: 1 } } },
  ]);
  expect(samples.pgpools).toMatchObject([
    {
      isReached: true,
      nodes: [
        { node: 0, status: 'waiting', role: 'primary' },
        { node: 1, role: 'standby' },
      ],
    },
  ]);
  expect(Date.parse(samples.takenAt) - Date.parse(samples.nodes[0]!.answeredAt!)).toBe(0);
  expect(connections() - before).toBeLessThanOrEqual(5);
});

it('tells that somebody detached the standby, after two looks at pgpool', async () => {
  await detachNode(pgpool, 1);
  const { told, line } = await start().report;
  expect(told).toMatchObject([{ kind: 'detached', node: 1 }]);
  expect(line).toBe('standby node 1 streams, and pgpool test does not use it');
  const attach = (): Promise<void> => requestAttach(pgpool.target, 1, { timeoutMs: 2000 });
  await attach().catch(() => pause(1500).then(attach));
});

it('keeps the last words of a node that is silent, tells its return at once, and not while nobody knows of an incident', async () => {
  await pause(2000);
  const { report, beats } = start();
  await pause(1500);
  await control(1, 'stop', '-m', 'immediate');
  await pause(3500);
  const silent = beats.at(-1)!.samples.nodes[1]!;
  expect(silent).toMatchObject({ said: { isInRecovery: true }, answeredAt: expect.any(String) as string });
  expect(silent.misses).toBeGreaterThanOrEqual(2);
  expect(Date.parse(silent.streamedAt!)).toBe(Date.parse(silent.answeredAt!));
  isOpen = null;
  const { host, port } = pgpool.nodes[1]!;
  await control(1, '-o', `-h ${host} -p ${port} -c fsync=off -c unix_socket_directories=${pgpool.directory}`, 'start');
  await pause(2500);
  const answeredAt = Date.now();
  isOpen = false;
  const { told, state } = await report;
  expect(told).toMatchObject([{ kind: 'answers', node: 1 }]);
  expect(Date.now() - answeredAt).toBeLessThan(2500);
  expect(state.samples.nodes[1]).toMatchObject({ misses: 0, isNews: false });
});

it('goes on where the youngest of its predecessors stood', async () => {
  const { beats, cancel } = start();
  await pause(1200);
  cancel();
  const old = beats.at(-1)!;
  const nodes = old.samples.nodes.map((entry) => (entry.node === 1 ? { ...entry, misses: 5 } : entry));
  const takenAt = new Date(Date.parse(old.samples.takenAt) + 1000).toISOString();
  const younger = { ...old, samples: { ...old.samples, takenAt, nodes } };
  const { told } = await start({ recall: () => Promise.resolve({ ...nothingRecorded, watch: younger }) }, old).report;
  expect(told).toMatchObject([{ kind: 'answers', node: 1 }]);
});

it('asks a node that refuses its password only after a pause, and a pgpool likewise', async () => {
  let [asked, opened] = [0, 0];
  const refuse = () => {
    asked += 1;
    return Promise.reject(new SqlFailure('rejected', 'password authentication failed', '28P01'));
  };
  const openSession = () => ({
    readNodeInfo: () => {
      opened += 1;
      return Promise.reject(new PcpFailure('authentication', 'no'));
    },
    close: () => undefined,
  });
  const { beats, cancel } = start({ sql: { query: refuse }, pcp: { ...pcp, openSession } } as never);
  await pause(4000);
  cancel();
  expect([asked, opened]).toEqual([2, 1]);
  expect(beats.at(-1)!.samples.pgpools).toMatchObject([{ isReached: true, nodes: [] }]);
});

// Last, because node 1 stays what it becomes.
it('tells of a second writable node at once', async () => {
  const { report } = start();
  await pause(1500);
  const before = Date.now();
  await ask(1, 'select pg_promote()');
  const { told } = await report;
  expect(Date.now() - before).toBeLessThan(2500);
  expect(told).toMatchObject([{ kind: 'second-writable', node: 1 }]);
});
