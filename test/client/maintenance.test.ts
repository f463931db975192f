// pgpool-runbook maintenance against a real Temporal: what it hands over, what it prints, and bad input that changes nothing.

import { run, TemporalBench } from './temporal-bench';

let bench: TemporalBench;
beforeAll(async () => {
  bench = await TemporalBench.open();
});
afterAll(() => bench.close());

const by = ['--operator', 'ann@db', '--reason', 'kernel update'];

test('takes a node in hand for a while, and says until when', async () => {
  const { file } = bench.newCluster();
  const said = await run('maintenance', 'start', '2', '--config', file, '--for', '2h', ...by);
  expect(said).toEqual({
    exitCode: 0,
    error: '',
    out: 'node 2 is in maintenance by ann@db since 2026-01-01T00:00:00.000Z until 1970-01-01T02:00:00.000Z: kernel update\n',
  });
});

test('without a node pauses the whole cluster, until it is stopped', async () => {
  const { file } = bench.newCluster();
  const said = await run('maintenance', 'start', '--config', file, ...by, '-o', 'json');
  const held = { node: null, operator: 'ann@db', reason: 'kernel update', until: null };
  expect(JSON.parse(said.out)).toMatchObject({ maintenance: [held] });
  const stopped = await run('maintenance', 'stop', '--config', file);
  expect([stopped.exitCode, stopped.out]).toEqual([
    0,
    expect.stringMatching(/^cluster shop-\d+: no node is in maintenance, and the cluster is not paused\n$/),
  ]);
});

test.each([
  [['start', '9', ...by], /^pgpool-runbook: cluster shop-\d+ has no node 9: its nodes are 0, 1, 2, 3\n$/],
  [['start', '1', '--for', '2 weeks', ...by], /^pgpool-runbook: --for 2 weeks: say 30m, 2h or 1d, and at most 30d\n$/],
  [['start', '1', '--for', '31d', ...by], /^pgpool-runbook: --for 31d: say 30m, 2h or 1d, and at most 30d\n$/],
  [['start', '1', '--reason', '', '--operator', 'ann'], /^pgpool-runbook: say why: --reason/],
  [['start', '1'], /required option '--reason <text>' not specified/],
])('refuses %j before it tells anybody', async (words, expected) => {
  const { file } = bench.newCluster();
  const { exitCode, error } = await run('maintenance', ...words, '--config', file);
  expect([exitCode, error]).toEqual([2, expect.stringMatching(expected)]);
});
