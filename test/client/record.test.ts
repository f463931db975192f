// pgpool-runbook record against a real Temporal: what is known, with and without a worker, and a person's word.

import { clusterWorkflowId, recordedMemoName } from '../../domain/facts/names';
import { makeRecord } from '../domain/plans/record-stories';
import { type BenchCluster, run, TemporalBench } from './temporal-bench';

let bench: TemporalBench;
beforeAll(async () => {
  bench = await TemporalBench.open();
});
afterAll(() => bench.close());

async function startCluster({ name }: BenchCluster, taskQueue = 'test'): Promise<void> {
  const recorded = { record: makeRecord(), maintenance: [] };
  await bench.environment.client.workflow.start('cluster', {
    workflowId: clusterWorkflowId(name),
    taskQueue,
    args: [name, recorded],
    memo: { [recordedMemoName]: recorded },
  });
}

test('says that nothing is known yet', async () => {
  const cluster = bench.newCluster();
  const { exitCode, out, error } = await run('record', 'show', '--config', cluster.file);
  expect([exitCode, error]).toEqual([0, '']);
  expect(out).toBe(
    `nothing is recorded of cluster ${cluster.name} yet: its watch, or its first incident, writes the record\n`,
  );
});

test('shows what is known while no worker runs', async () => {
  const cluster = bench.newCluster();
  await startCluster(cluster, 'nobody-polls-this');
  expect(await run('record', 'show', '--config', cluster.file)).toEqual({
    exitCode: 0,
    error: '',
    out: [
      'node 1 is the primary on timeline 2 since 2025-12-31T12:00:00.000Z (opened by a promotion of ours; pgpool-shop/run)',
      'node 0 was the primary before: its fence was not confirmed',
      'away: node 0',
      '',
    ].join('\n'),
  });
  const { out } = await run('record', 'show', '--config', cluster.file, '-o', 'json');
  expect(JSON.parse(out)).toEqual({ record: makeRecord(), maintenance: [] });
});

test('hands over a person’s word, and says who it was', async () => {
  const cluster = bench.newCluster();
  await startCluster(cluster);
  const said = await run('record', 'accept', '0', '--config', cluster.file, '--operator', 'ann@db');
  expect([said.exitCode, said.error]).toEqual([0, '']);
  expect(said.out).toMatch(/^node 0 is the primary on timeline 1 .*; ann@db\)\n/);
});

test.each([
  ['1', 1, 'pgpool-runbook: node 1 does not accept writes\n'],
  ['9', 2, 'pgpool-runbook: cluster NAME has no node 9: its nodes are 0, 1, 2, 3\n'],
])('refuses node %s with exit code %i', async (node, exitCode, expected) => {
  const cluster = bench.newCluster();
  await startCluster(cluster);
  const said = await run('record', 'accept', node, '--config', cluster.file);
  expect([said.exitCode, said.error]).toEqual([exitCode, expected.replace('NAME', cluster.name)]);
});

test('says what to look at when no worker answers', async () => {
  const cluster = bench.newCluster();
  await startCluster(cluster, 'nobody-polls-this');
  const { exitCode, error } = await run('record', 'accept', '0', '--config', cluster.file);
  expect(exitCode).toBe(4);
  expect(error).toContain(`no answer within 15 s: is a worker of cluster ${cluster.name} running on task queue test?`);
});
