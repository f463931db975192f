// pgpool-runbook status against a real Temporal: a cluster that is well, one that is not, an incident with a parked step, and no worker at all.

import { clusterWorkflowId, recordedMemoName } from '../../domain/facts/names';
import { run, start, TemporalBench, waitUntil } from './temporal-bench';

let bench: TemporalBench;
beforeAll(async () => {
  bench = await TemporalBench.open();
});
afterAll(() => bench.close());

test('a node that is away: said, with what was seen, and exit code 1', async () => {
  const { file } = bench.newCluster();
  const said = await run('status', '--config', file);
  expect([said.exitCode, said.error]).toEqual([1, '']);
  expect(said.out.split('\n')).toEqual([
    'cluster shop-1 at 2026-01-01T00:00:00.000Z: node 0 is the primary',
    'node  role     timeline  LSN        lag  from  pgpool0',
    '0     primary  2         0/5000000             up',
    '1     away                                     up',
    'node 1: no answer in 1000 ms',
    'pgpool0: shows no primary, or did not answer',
    'no incident is open',
    '',
  ]);
});

test('a cluster that is well: exit code 0, the same as JSON', async () => {
  const { file, name } = bench.newCluster();
  const said = await run('status', '--config', file);
  expect(said.exitCode).toBe(0);
  expect(said.out).toContain('1     standby  2         0/4FFFF00  256 bytes  node 0  up');
  const { exitCode, out } = await run('status', '--config', file, '-o', 'json');
  expect([exitCode, JSON.parse(out)]).toMatchObject([
    0,
    { cluster: name, isLookedAt: true, primaries: [0], record: null, maintenance: [], incident: null },
  ]);
});

test('an open incident: what it does, what waits for a person, and the command that decides', async () => {
  const cluster = bench.newCluster();
  const { ended, says } = start('rejoin', '2', '--config', cluster.file);
  await says('pgpool-runbook decide');
  const said = await run('status', '--config', cluster.file);
  expect(said.exitCode).toBe(1);
  expect(said.out).toMatch(new RegExp(`incident ${cluster.incident} is open since \\d{4}-`));
  expect(said.out).toContain('  parked: node2.base-backup');
  expect(said.out).toContain(`    pgpool-runbook decide ${cluster.incident} node2.base-backup retry --reason "..."`);
  const reason = ['--reason', 'the test is over'];
  await run('decide', cluster.incident, 'node2.base-backup', 'abort', ...reason, '-c', cluster.file);
  await ended;
});

test('without a worker: says so, and what is known all the same', async () => {
  const cluster = bench.newCluster({ taskQueue: 'nobody-polls-this' });
  const said = await run('status', '--config', cluster.file);
  expect(said.exitCode).toBe(1);
  expect(said.out).toContain('no worker has looked within 10 s: is a worker of cluster');
  expect(said.out).toContain('What was recorded last:');
  expect(said.out).toContain('no incident is open');
});

test('without a worker: says what the watch saw last, how long ago, and what a person has chosen to leave', async () => {
  const { name, file } = bench.newCluster({ taskQueue: 'nobody-polls-this' });
  const recorded = { record: null, maintenance: [], left: [2] };
  const workflowId = clusterWorkflowId(name);
  const memo = { [recordedMemoName]: recorded };
  await bench.environment.client.workflow.start('cluster', {
    ...{ workflowId, taskQueue: 'test', args: [name, recorded], memo },
  });
  const handle = bench.environment.client.workflow.getHandle(workflowId);
  await waitUntil('the watch has said something', async () => {
    const { raw } = await handle.describe();
    return raw.pendingActivities?.[0]?.heartbeatDetails != null;
  });
  const said = await run('status', '--config', file);
  expect(said.exitCode).toBe(1);
  expect(said.out).toMatch(/What the watch saw last, \d+ h ago:/);
  expect(said.out).toContain('node 0 is the primary');
  expect(said.out).toMatch(/^1 +standby +1 +0\/5000000 +0 bytes +node 0 +up$/m);
  expect(said.out).toMatch(/^2 +away +up$/m);
  expect(said.out).toContain('node 2: a person has chosen to leave it as it is');
  const json = JSON.parse((await run('status', '--config', file, '-o', 'json')).out) as unknown;
  expect(json).toMatchObject({ isLookedAt: false, primaries: [0], left: [2] });
});
