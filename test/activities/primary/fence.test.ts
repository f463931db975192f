// fence against real nodes over real ssh: running, frozen, orphaned, stopped, unreachable, locked, late, killed half-way.
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync, chmodSync, renameSync } from 'node:fs';
import path from 'node:path';
import type { FenceInput, FenceResult } from '../../../activities/primary/fence';
import type { ClusterConfiguration } from '../../../domain/facts/cluster';
import { readNodeInfo } from '../../../activities/io/pcp/pcp';
import { startPgpool, type TestPgpool } from '../io/pcp/pgpool';
import { type Bed, createEnvironment, createTools, dieDuring, failureOf, perform, startBed, waitFor } from '../support';

let bed: Bed;

beforeAll(async () => {
  bed = await startBed('fence', 2);
});
afterAll(() => bed.down());
afterEach(() => bed.mend());

const inputFor = (more: Partial<FenceInput> = {}): FenceInput => ({
  configuration: bed.configuration,
  node: 0,
  clockOffsetMs: 0,
  isHostSilent: false,
  mark: 'before-promotion',
  isReplaced: false,
  ...more,
});
const fence = (more: Partial<FenceInput> = {}): Promise<FenceResult> => perform(bed.tools, 'fence', inputFor(more));
const signalFile = (): string => path.join(bed.node(0).dataDirectory, 'standby.signal');
const lockFile = (): string => bed.jobs(0, '.lock');
const withFenceCommand = (fenceCommand: string[]): ClusterConfiguration => ({
  ...bed.configuration,
  policy: { ...bed.configuration.policy, fenceCommand },
});

/** Proves what "fenced" means, measured without the code under test. */
function expectFenced(): void {
  expect(bed.processes(0)).toEqual([]);
  expect(existsSync(signalFile())).toBe(true);
}

it('stops a running primary, leaves standby.signal, and reports what the others hold', async () => {
  expect(existsSync(signalFile())).toBe(false);
  const result = await fence();
  expect(result).toMatchObject({ outcome: 'confirmed', synchronousStandbyNames: '' });
  expect(result.seen).toMatch(/^no process left \(stop\)/);
  expectFenced();
  expect(result.nodes.map(({ node, sql }) => [node, sql])).toEqual([
    [1, 'answered'],
    [0, 'refused'],
  ]);
  const { controlFile, ...host } = result.nodes[1]!.host!;
  expect(host).toMatchObject({
    processes: 'none',
    hasDataDirectory: true,
    hasStandbySignal: true,
    fenceMark: 'before-promotion',
  });
  // A clean stop waits until the standby has everything, the shutdown checkpoint included.
  expect(controlFile).toMatchObject({ state: 'shut down', checkpoint: { timeline: 1 } });
  const { lsn } = await bed.ask(1, 'select pg_last_wal_receive_lsn()::text as lsn');
  expect(result.nodes[0]!.position).toEqual({ timeline: 1, lsn });
  const { system_identifier: own } = await bed.ask(1, 'select system_identifier::text from pg_control_system()');
  expect(controlFile!.systemIdentifier).toBe(own);

  await bed.lab.start(0);
  expect(await bed.ask(0, 'select pg_is_in_recovery() as readonly')).toEqual({ readonly: true });
});

it('finds nothing to stop the second time, and says the same', async () => {
  await fence();
  const again = await fence();
  expect(again.outcome).toBe('confirmed');
  expect(again.seen).toMatch(/already-stopped/);
  expectFenced();
});

it('writes when it was fenced into standby.signal, and never takes "after-return" back', async () => {
  const marks: string[] = [];
  for (const mark of ['before-promotion', 'after-return', 'before-promotion'] as const) {
    const { nodes } = await fence({ mark });
    expect(nodes[1]!.host!.fenceMark).toBe(readFileSync(signalFile(), 'utf8').trim());
    marks.push(nodes[1]!.host!.fenceMark!);
  }
  expect(marks).toEqual(['before-promotion', 'after-return', 'after-return']);
  await bed.lab.start(0);
  expect(await bed.ask(0, 'select pg_is_in_recovery() as readonly')).toEqual({ readonly: true });
  expect(readFileSync(signalFile(), 'utf8')).toBe('after-return\n');
});

it('reads synchronous_standby_names from the files of the fenced node', async () => {
  await bed.ask(0, `alter system set synchronous_standby_names = 'ANY 1 (node1)'`);
  expect((await fence()).synchronousStandbyNames).toBe('ANY 1 (node1)');
  await bed.lab.start(0);
  await bed.ask(0, 'alter system reset synchronous_standby_names');
});

it('does not take an unreadable configuration for asynchronous replication', async () => {
  const file = path.join(bed.node(0).dataDirectory, 'postgresql.conf');
  renameSync(file, `${file}.aside`);
  const result = await fence();
  renameSync(`${file}.aside`, file);
  expect(result).toMatchObject({ outcome: 'confirmed', synchronousStandbyNames: null });
});

it('kills a frozen primary, within its bound', async () => {
  await bed.lab.freeze(0);
  const startedAt = Date.now();
  const result = await fence();
  expect(result.seen).toMatch(/^no process left \(killed\)/);
  expect(Date.now() - startedAt).toBeLessThan(12_000);
  expectFenced();
});

it('ends an orphaned backend that goes on committing: nothing is acknowledged after the fence', async () => {
  const client = await bed.connect(0);
  await client.query('create table orphan_writes (id int)');
  const acknowledged: { id: number; at: number }[] = [];
  let hasEnded = false;
  client.on('notice', ({ message }) => acknowledged.push({ id: Number(message), at: performance.now() }));
  client.on('end', () => (hasEnded = true));
  // A loop that never waits for its client does not notice the end of its postmaster.
  const loop = `do $$ declare i int := 0; begin loop i := i + 1; insert into orphan_writes values (i); commit;
    raise notice '%', i; perform count(*) from generate_series(1, 20000); end loop; end $$`;
  const looping = client.query({ text: loop, query_timeout: 60_000 } as { text: string }).catch(() => undefined);
  await waitFor(() => acknowledged.length > 0, { what: 'a first write', timeoutMs: 5000 });
  await bed.lab.killPostgres(0);
  const before = acknowledged.length;
  await waitFor(() => acknowledged.length > before + 3, { what: 'writes of the orphan', timeoutMs: 5000 });

  const result = await fence();
  const fencedAt = performance.now();
  expect(result.seen).toMatch(/orphans-killed/);
  expectFenced();
  await looping;
  await waitFor(() => hasEnded, { what: 'the end of the orphan', timeoutMs: 1000 });
  expect(acknowledged.filter(({ at }) => at > fencedAt)).toEqual([]);
});

it('makes a primary that was stopped before come up read-only', async () => {
  await bed.lab.stopImmediate(0);
  const result = await fence();
  expect(result.seen).toMatch(/already-stopped/);
  expectFenced();
  expect(result.nodes[1]!.host!.controlFile!.state).toBe('in production');
});

it('is unconfirmed at once when nothing listens on the host', async () => {
  await bed.lab.killHost(0);
  const startedAt = Date.now();
  const result = await fence();
  expect(result).toMatchObject({ outcome: 'unconfirmed', synchronousStandbyNames: null });
  expect(result.seen).toMatch(/connection was refused/);
  expect(result.nodes.map(({ node }) => node)).toEqual([1]);
  expect(Date.now() - startedAt).toBeLessThan(3000);
});

it('does not wait for a host that observe found silent', async () => {
  await bed.lab.freeze(0, { withSsh: true });
  const startedAt = Date.now();
  const result = await fence({ isHostSilent: true });
  expect(result.outcome).toBe('unconfirmed');
  expect(result.seen).toMatch(/no shell within|no exit status within/);
  expect(Date.now() - startedAt).toBeLessThan(3000);
});

it('counts a successful fenceCommand as proof, and gives it the node', async () => {
  await bed.lab.killHost(0);
  const file = path.join(bed.layout.directory, 'fenced');
  const script = 'echo "$PGPOOL_RUNBOOK_CLUSTER $PGPOOL_RUNBOOK_NODE $PGPOOL_RUNBOOK_HOST $1" > "$0"';
  const result = await fence({ configuration: withFenceCommand(['/bin/sh', '-c', script, file, 'off']) });
  expect(result.outcome).toBe('confirmed');
  expect(result.seen).toMatch(/connection was refused.*; fenceCommand succeeded/);
  const { cluster } = bed.configuration;
  expect(readFileSync(file, 'utf8')).toBe(`${cluster} 0 ${bed.node(0).host} off\n`);
});

it.each([
  ['fails', ['/bin/sh', '-c', 'echo no such instance >&2; exit 4'], /fenceCommand failed: no such instance/],
  ['cannot be started', ['/nowhere/fence'], /fenceCommand failed: .*ENOENT/],
])('stays unconfirmed when fenceCommand %s', async (_, command, seen) => {
  await bed.lab.killHost(0);
  const result = await fence({ configuration: withFenceCommand(command) });
  expect(result.outcome).toBe('unconfirmed');
  expect(result.seen).toMatch(seen);
});

it('gives fenceCommand only the time that a slow stop has left', async () => {
  await bed.lab.killHost(0);
  const { ssh } = bed.tools;
  const [run, now] = [ssh.run.bind(ssh), Date.now.bind(Date)];
  jest.spyOn(ssh, 'run').mockImplementationOnce(async (...sent) => {
    jest.spyOn(Date, 'now').mockImplementation(() => now() + 22_000);
    return await run(...sent);
  });
  const startedAt = performance.now();
  const result = await fence({ configuration: withFenceCommand(['/bin/sleep', '7']) });
  jest.restoreAllMocks();
  expect(result.seen).toMatch(/fenceCommand failed/);
  expect(performance.now() - startedAt).toBeLessThan(4000);
});

it('does not run fenceCommand for a node that it stopped itself', async () => {
  const file = path.join(bed.layout.directory, 'not-needed');
  const result = await fence({ configuration: withFenceCommand(['/usr/bin/touch', file]) });
  expect(result.outcome).toBe('confirmed');
  expect(existsSync(file)).toBe(false);
});

it('does not run fenceCommand when it is cancelled', async () => {
  const file = path.join(bed.layout.directory, 'cancelled');
  const environment = createEnvironment();
  environment.cancel();
  const input = inputFor({ configuration: withFenceCommand(['/usr/bin/touch', file]) });
  expect(await failureOf(perform(bed.tools, 'fence', input, environment))).toMatchObject({ name: 'CancelledFailure' });
  expect(existsSync(file)).toBe(false);
  expect(bed.processes(0)).not.toEqual([]);
});

/** Another act of ours on the node: holds the lock until it is told to end. */
async function holdLock(): Promise<ChildProcess> {
  const child = spawn('flock', [lockFile(), 'sh', '-c', 'echo held; read line'], { stdio: ['pipe', 'pipe', 'ignore'] });
  await new Promise((resolve) => child.stdout.once('data', resolve));
  chmodSync(lockFile(), 0o666);
  return child;
}

it('waits for another act on the node, and acts when that is done', async () => {
  const other = await holdLock();
  const fencing = fence();
  await waitFor(() => isWaitedFor(lockFile()), { what: 'the fence to wait for the lock', timeoutMs: 5000 });
  expect(bed.processes(0)).not.toEqual([]);
  other.stdin!.end();
  expect((await fencing).outcome).toBe('confirmed');
  expectFenced();
});

/** A `->` line of /proc/locks is a waiter. */
function isWaitedFor(file: string): boolean {
  const inode = execFileSync('stat', ['-c', '%i', file], { encoding: 'utf8' }).trim();
  return readFileSync('/proc/locks', 'utf8')
    .split('\n')
    .some((line) => line.includes('->') && line.includes(`:${inode} `));
}

it('touches nothing while another act holds the node for longer than its bound', async () => {
  const other = await holdLock();
  const result = await fence({ isHostSilent: true });
  other.stdin!.end();
  expect(result.outcome).toBe('unconfirmed');
  expect(result.seen).toContain(`${lockFile()} is held by`);
  expect(existsSync(signalFile())).toBe(false);
  expect(await bed.ask(0, 'select pg_is_in_recovery() as readonly')).toEqual({ readonly: false });
});

it('is refused by the node when it arrives after its deadline', async () => {
  const result = await fence({ clockOffsetMs: -60_000 });
  expect(result.outcome).toBe('unconfirmed');
  expect(result.seen).toMatch(/after its deadline/);
  expect(existsSync(signalFile())).toBe(false);
  expect(await bed.ask(0, 'select pg_is_in_recovery() as readonly')).toEqual({ readonly: false });
});

describe('when nobody can say whether it still accepts writes', () => {
  let pgpool: TestPgpool;
  beforeAll(async () => {
    pgpool = await startPgpool();
  });
  afterAll(() => pgpool.stop());
  const status = async (): Promise<string> => (await readNodeInfo(pgpool.target, 0, { timeoutMs: 2000 })).status;
  const withPgpools = (sshPort: number | null): ClusterConfiguration => {
    const known = { ...pgpool.target, port: 9999 };
    const nodes = bed.configuration.nodes.map((node) =>
      node.id === 0 && sshPort !== null ? { ...node, ssh: { ...node.ssh, port: sshPort } } : node,
    );
    return { ...bed.configuration, nodes, pgpool: [known, { ...known, name: 'gone', pcpPort: 1 }] };
  };

  it('changes nothing in pgpool where nobody takes its place: it stays the primary', async () => {
    const result = await fence({ configuration: withPgpools(null), clockOffsetMs: -60_000 });
    expect(result.outcome).toBe('unconfirmed');
    expect(result.seen).not.toContain('detach');
    expect(await status()).not.toBe('down');
  });

  it('tells every pgpool to detach it, and reports one that cannot be told', async () => {
    const startedAt = Date.now();
    const result = await fence({ configuration: withPgpools(1), isReplaced: true });
    expect(result.outcome).toBe('unconfirmed');
    expect(result.seen).toMatch(/; test was told to detach it; detach of node 0 at pgpool gone .*refused/);
    expect(Date.now() - startedAt).toBeLessThan(4000);
    await waitFor(async () => (await status()) === 'down', { what: 'pgpool to detach node 0', timeoutMs: 10_000 });
    // Which it has done by then.
    expect((await fence({ configuration: withPgpools(1), isReplaced: true })).seen).not.toContain('test was told');
  });
});

it('says what it cannot do when paths.jobs cannot be made', async () => {
  const file = path.join(bed.layout.directory, 'a-file');
  writeFileSync(file, '');
  const paths = { ...bed.configuration.paths, jobs: `${file}/jobs` };
  const result = await fence({ configuration: { ...bed.configuration, paths } });
  expect(result.outcome).toBe('unconfirmed');
  expect(result.seen).toMatch(/cannot create paths\.jobs .*a-file\/jobs.*Not a directory/);
});

it('is completed by another worker when the first is killed while the node stops', async () => {
  // A frozen primary takes seconds to stop, so the worker dies in the middle.
  await bed.lab.freeze(0);
  await dieDuring(bed.lab.clusterFile, 'fence', inputFor(), { beat: true });
  expect(bed.processes(0)).not.toEqual([]);
  const elsewhere = createTools(bed.lab.clusterFile);
  try {
    const result = await perform(elsewhere, 'fence', inputFor());
    expect(result.outcome).toBe('confirmed');
    expectFenced();
  } finally {
    await elsewhere.close();
  }
});
