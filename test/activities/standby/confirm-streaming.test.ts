// confirmStreaming on real nodes: both ends must say so; who advances is waited for, and who does not is given up with what was seen.
import { appendFileSync, copyFileSync, chmodSync, mkdirSync, readdirSync } from 'node:fs';
import { spawn } from 'node:child_process';
import path from 'node:path';
import { confirmStreaming as proveStreaming, type StreamingInput } from '../../../activities/io/sql/streaming';
import { type Bed, createTools, dieDuring, failureOf, inAttempt, perform, startBed, waitFor } from '../support';

let bed: Bed;

beforeAll(async () => {
  bed = await startBed('streaming', 2);
  await bed.keep();
});
afterAll(() => bed.down());
beforeEach(() => bed.reset());

const inputFor = (more: Partial<StreamingInput> = {}): StreamingInput => ({
  configuration: bed.configuration,
  node: 1,
  primary: 0,
  timeline: 1,
  ...more,
});
const proven = { changed: false, line: 'node 1 streams from node 0 on timeline 1' };

/** With less patience than the activity has. */
const prove = (patienceMs: number, more: Partial<StreamingInput> = {}): Promise<void> =>
  inAttempt(bed.tools, (tools) => proveStreaming(tools, inputFor(more), patienceMs));

async function set(node: number, text: string): Promise<void> {
  await bed.ask(node, `alter system set ${text}`);
  await bed.ask(node, 'select pg_reload_conf()');
}

/** Takes the receiver from node 1, and nothing will give it one. */
async function cutOff(): Promise<void> {
  await set(1, `primary_conninfo = ''`);
  const receivers = 'select count(*)::int as n from pg_stat_wal_receiver';
  await waitFor(async () => (await bed.ask(1, receivers))['n'] === 0, {
    what: 'the end of the stream',
    timeoutMs: 5000,
  });
}

/** Larger than wal_decode_buffer_size: less would be read ahead, and replayed at once. */
async function fillSegment(): Promise<void> {
  await bed.ask(0, `select pg_logical_emit_message(false, 'test', repeat('x', 2000000)), pg_switch_wal()`);
}

it('proves it, as often as it is asked', async () => {
  expect(await perform(bed.tools, 'confirmStreaming', inputFor())).toEqual(proven);
  expect(await perform(bed.tools, 'confirmStreaming', inputFor())).toEqual(proven);
});

it('finds a standby by the name that it has: its own, or the one that PostgreSQL gives it', async () => {
  const nodes = bed.configuration.nodes.map((node) => ({ ...node, applicationName: 'other' }));
  const configuration = { ...bed.configuration, nodes };
  expect(await perform(bed.tools, 'confirmStreaming', inputFor({ configuration }))).toEqual(proven);
  const { primary_conninfo: conninfo } = await bed.ask(1, 'show primary_conninfo');
  await set(1, `primary_conninfo = '${String(conninfo).replace(' application_name=node1', '').replaceAll("'", "''")}'`);
  await set(1, `cluster_name = '15/main'`);
  await bed.stop(1);
  await bed.lab.start(1);
  await prove(5000, { configuration });
  expect(await bed.ask(0, 'select application_name from pg_stat_replication')).toEqual({ application_name: '15/main' });
});

it('names a slot that is missing, or that another standby uses', async () => {
  await set(1, `primary_slot_name = 'ghost'`);
  const receivers = `select count(*)::int as n from pg_stat_wal_receiver where status = 'streaming'`;
  await waitFor(async () => (await bed.ask(1, receivers))['n'] === 0, { what: 'the end of it', timeoutMs: 5000 });
  const named = 'the replication slot ghost, which node 1 names in primary_slot_name, on node 0';
  expect((await failureOf(prove(300))).message).toMatch(new RegExp(`; ${named} does not exist$`));
  await bed.ask(0, `select pg_create_physical_replication_slot('ghost')`);
  await prove(10_000);
  const { host, port } = bed.node(0);
  const other = [bed.configuration.postgres.bin + '/pg_receivewal', '-n', '-S', 'ghost', '-D', bed.layout.directory];
  await set(1, `primary_conninfo = ''`);
  await waitFor(async () => (await bed.ask(0, 'select active from pg_replication_slots'))['active'] === false, {
    what: 'the slot to be free',
    timeoutMs: 5000,
  });
  const child = spawn(other[0]!, [...other.slice(1), '-d', `host=${host} port=${port} user=replicator`], {
    env: { PGPASSFILE: bed.layout.worker.passFile, PGAPPNAME: 'archiver' },
    stdio: 'ignore',
  });
  await waitFor(async () => (await bed.ask(0, 'select active from pg_replication_slots'))['active'] === true, {
    what: 'the slot to be used',
    timeoutMs: 5000,
  });
  const message = (await failureOf(prove(300))).message;
  child.kill();
  expect(message).toMatch(new RegExp(`; ${named} is used by archiver: give each node its own$`));
});

it('waits for a standby that is busy with older WAL, as long as it advances', async () => {
  const archive = path.join(bed.layout.directory, 'archive');
  mkdirSync(archive, { recursive: true });
  await bed.stop(1);
  for (let count = 0; count < 9; count++) await fillSegment();
  const wal = path.join(bed.node(0).dataDirectory, 'pg_wal');
  for (const name of readdirSync(wal).filter((file) => /^[0-9A-F]{24}$/.test(file))) {
    copyFileSync(path.join(wal, name), path.join(archive, name));
    chmodSync(path.join(archive, name), 0o644);
  }
  await bed.ask(0, 'create table written_meanwhile as select 1 as id');
  appendFileSync(
    path.join(bed.node(1).dataDirectory, 'postgresql.auto.conf'),
    `restore_command = 'test -f ${archive}/%f && sleep 0.5 && cp ${archive}/%f %p'` + '\n',
  );
  await bed.lab.start(1);
  const startedAt = Date.now();
  await prove(3000);
  expect(Date.now() - startedAt).toBeGreaterThan(3000);
  await waitFor(async () => (await bed.ask(1, 'select id from written_meanwhile'))['id'] === 1, {
    what: 'the row',
    timeoutMs: 5000,
  });
});

it('says what both ends show when there is no stream', async () => {
  await cutOff();
  const failure = await failureOf(prove(300));
  expect(failure).toMatchObject({ type: 'Unproven', nonRetryable: false });
  expect(failure.message).toBe(
    'node 1 does not stream from node 0 on timeline 1: no WAL receiver; node 0 does not list node1; its log says why',
  );
});

it.each([
  ['another timeline', { timeline: 2 }],
  ['a primary that does not list it', { node: 0, primary: 1 }],
])('takes no stream for proof on %s', async (_, more) => {
  expect((await failureOf(prove(300, more))).type).toBe('Unproven');
});

it('does not wait for ever for a standby that streams from elsewhere, and therefore advances', async () => {
  const { nodes } = bed.configuration;
  const [primary, standby] = nodes;
  const configuration = { ...bed.configuration, nodes: [{ ...primary!, port: 1 }, standby!] };
  const over = new AbortController();
  const writing = (async () => {
    while (!over.signal.aborted) await bed.ask(0, `select pg_logical_emit_message(false, 'test', 'x')`);
  })();
  const failure = await failureOf(prove(1000, { configuration }));
  over.abort();
  await writing;
  const { host, port } = primary!;
  expect(failure.type).toBe('Unproven');
  expect(failure.message).toContain(`receiver at ${host}:${port}, timeline 1; `);
  expect(failure.message).toMatch(/ECONNREFUSED/);
});

describe('when the primary no longer has the WAL that the standby needs', () => {
  beforeEach(async () => {
    await cutOff();
    await set(0, 'wal_keep_size = 0');
    for (let count = 0; count < 4; count++) await fillSegment();
    await bed.ask(0, 'checkpoint');
  });

  it('says that it must be rebuilt', async () => {
    const failure = await failureOf(prove(300));
    expect(failure).toMatchObject({ type: 'WalMissing', nonRetryable: true });
    expect(failure.message).toMatch(/^node 1 cannot stream from node 0: it needs WAL from .*: rebuild node 1$/);
  });

  it('does not say so of a standby whose replay is paused: it may have more than it shows', async () => {
    await bed.ask(1, 'select pg_wal_replay_pause()');
    const failure = await failureOf(prove(300));
    expect(failure.type).toBe('Unproven');
    expect(failure.message).toContain('no WAL receiver, replay paused; ');
  });
});

it('is completed by another worker when the first is killed while it waits', async () => {
  await bed.stop(1);
  const waiting = dieDuring(bed.lab.clusterFile, 'confirmStreaming', inputFor(), { proving: 5 });
  await waiting;
  await bed.lab.start(1);
  const elsewhere = createTools(bed.lab.clusterFile);
  try {
    expect(await perform(elsewhere, 'confirmStreaming', inputFor())).toEqual(proven);
  } finally {
    await elsewhere.close();
  }
});
