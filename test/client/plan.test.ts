// pgpool-runbook plan against a real Temporal: its question, its output, and its end without an answer.

import { run, TemporalBench } from './temporal-bench';

let bench: TemporalBench;
beforeAll(async () => {
  bench = await TemporalBench.open();
});
afterAll(() => bench.close());

test('prints the decision, the verbs in order, and the rung of each standby', async () => {
  const { file } = bench.newCluster();
  expect(await run('plan', '--if', '0=down', '--config', file)).toEqual({
    exitCode: 0,
    error: '',
    out: [
      'if node 0 went down now (facts of 2026-01-01T00:00:00.000Z; nothing was changed):',
      '  completed (promoted): promoted node 1',
      '   1. Promote node 1: the plan chose it',
      'node 2: repoint: node 2 has nothing more: repoint by reload',
      '   1. Promote node 1: the plan chose it',
      '',
    ].join('\n'),
  });
});

test('prints the same as JSON, and exits 1 when it would be refused', async () => {
  const { file } = bench.newCluster();
  const { exitCode, out, error } = await run('plan', '--if', '0=down', '--if', '1=down', '-c', file, '-o', 'json');
  expect([exitCode, error]).toEqual([1, '']);
  expect(JSON.parse(out)).toMatchObject({ down: [0, 1], outcome: 'refused', reason: 'no-candidate', primary: null });
});

test.each([
  ['0', '--if 0: say NODE=down, as in --if 0=down'],
  ['0=up', '--if 0=up: say NODE=down, as in --if 0=down'],
  ['9=down', '--if 9=down: cluster NAME has no node 9: its nodes are 0, 1, 2, 3'],
])('refuses %s before it asks anybody', async (condition, expected) => {
  const { file, name } = bench.newCluster();
  const { exitCode, error } = await run('plan', '--if', condition, '--config', file);
  expect([exitCode, error]).toEqual([2, `pgpool-runbook: ${expected.replace('NAME', name)}\n`]);
});

test('says what to look at when no worker answers', async () => {
  const { file, name } = bench.newCluster();
  const { exitCode, error } = await run('plan', '--if', '2=down', '--config', file);
  expect(exitCode).toBe(4);
  expect(error).toContain(`no answer within 15 s: is a worker of cluster ${name} running on task queue test?`);
});
