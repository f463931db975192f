// pgpool-runbook decide against a real Temporal: what is parked, decisions that are taken, and those that are not.

import { hostname, userInfo } from 'node:os';
import { type BenchCluster, run, TemporalBench, waitUntil } from './temporal-bench';

let bench: TemporalBench;
beforeAll(async () => {
  bench = await TemporalBench.open();
});
afterAll(() => bench.close());

const step = 'node2.base-backup';

/** The cluster's incident has parked the base backup of node 2. */
async function park(): Promise<BenchCluster> {
  const cluster = bench.newCluster();
  await run('rejoin', '2', '--config', cluster.file, '--no-wait');
  await waitUntil('its step is parked', async () => {
    const { out } = await run('decide', cluster.incident, '--config', cluster.file, '-o', 'json');
    return (JSON.parse(out) as { parked: unknown[] }).parked.length > 0;
  });
  return cluster;
}

function decide({ incident, file }: BenchCluster, ...more: string[]): ReturnType<typeof run> {
  return run('decide', incident, ...more, '--config', file);
}

async function end(cluster: BenchCluster): Promise<void> {
  await bench.handle(cluster).terminate('the test is over');
}

test('lists what is parked, with the command that decides', async () => {
  const cluster = await park();
  const { exitCode, out, error } = await decide(cluster);
  expect([exitCode, error]).toEqual([0, '']);
  const lines = out.trimEnd().split('\n');
  expect(lines).toEqual([
    expect.stringMatching(
      /^parked: node2\.base-backup \(Base backup\), since \S+Z: node 2: no space left; choices: retry, abort$/,
    ),
    `  pgpool-runbook decide ${cluster.incident} ${step} retry --reason "..." --config ${cluster.file}`,
  ]);
  await end(cluster);
});

test('takes a decision once, with who made it and why', async () => {
  const cluster = await park();
  const by = ['--operator', 'dba', '--reason', 'more disk'];
  const { exitCode, out } = await decide(cluster, step, 'retry', ...by, '-o', 'json');
  const { runId } = await bench.handle(cluster).describe();
  const incident = { workflowId: cluster.incident, runId };
  const decision = { stepId: step, choice: 'retry', operator: 'dba', reason: 'more disk' };
  expect([exitCode, JSON.parse(out)]).toEqual([0, { incident, ...decision, answer: `${step}: retry by dba` }]);
  const again = await decide(cluster, step, 'retry', ...by);
  expect(again).toEqual({
    exitCode: 1,
    out: '',
    error: `pgpool-runbook: no step "${step}" is parked; parked now: none\n`,
  });
  expect(await decide(cluster)).toEqual({
    exitCode: 0,
    out: `nothing is parked in ${cluster.incident}\n`,
    error: '',
  });
  await end(cluster);
});

test('signs with the user and host of the operating system', async () => {
  const cluster = await park();
  const { exitCode, out } = await decide(cluster, step, 'abort', '--reason', 'later');
  expect([exitCode, out]).toEqual([0, `${step}: abort by ${userInfo().username}@${hostname()}\n`]);
  await end(cluster);
});

test.each([
  [
    'a step that is not parked',
    ['node0.stop', 'retry'],
    'no step "node0.stop" is parked; parked now: node2.base-backup',
  ],
  ['a choice that is not open', [step, 'skip'], `step ${step} takes retry, abort, not "skip"`],
])('passes on what the incident says about %s', async (_title, [stepId = '', choice = ''], message) => {
  const cluster = await park();
  const { exitCode, out, error } = await decide(cluster, stepId, choice, '--reason', 'why');
  expect([exitCode, out, error]).toEqual([1, '', `pgpool-runbook: ${message}\n`]);
  await end(cluster);
});

test('has nothing to decide when no incident is open, or the last one has ended', async () => {
  const none = ({ incident }: BenchCluster): unknown => ({
    exitCode: 1,
    out: '',
    error: `pgpool-runbook: no incident ${incident} is open: nothing waits for a decision\n`,
  });
  const cluster = bench.newCluster();
  expect(await decide(cluster, step, 'retry', '--reason', 'why')).toEqual(none(cluster));
  expect(await decide(cluster)).toEqual(none(cluster));
  await run('rejoin', '1', '--config', cluster.file);
  await bench.handle(cluster).result();
  expect(await decide(cluster)).toEqual(none(cluster));
});

test('says that no worker answers', async () => {
  const cluster = bench.newCluster({ taskQueue: 'nobody' });
  await run('rejoin', '2', '--config', cluster.file, '--no-wait');
  const { exitCode, error } = await decide(cluster, step, 'retry', '--reason', 'why');
  expect([exitCode, error]).toEqual([
    4,
    expect.stringMatching(/^pgpool-runbook: no worker answers on task queue nobody: start one .+\n$/),
  ]);
  await end(cluster);
});

describe('usage', () => {
  // An address without a server: the command must refuse before it asks Temporal.
  const away = (): BenchCluster => bench.newCluster({ address: '127.0.0.1:1' });

  test.each([
    ['no reason', [step, 'retry'], /: say why with --reason TEXT/],
    ['an empty reason', [step, 'retry', '--reason', ' '], /: say why with --reason TEXT/],
    ['no choice', [step, '--reason', 'why'], /: what shall be done about node2\.base-backup\?/],
    [
      'an unknown choice',
      [step, 'again', '--reason', 'why'],
      /argument 'choice'.+ Allowed choices are retry, skip, rebuild, abort/,
    ],
  ])('%s', async (_title, argv, error) => {
    expect(await decide(away(), ...argv)).toEqual({
      exitCode: 2,
      out: '',
      error: expect.stringMatching(error) as string,
    });
  });

  test("another cluster's incident", async () => {
    const { file, incident } = away();
    const error = `pgpool-runbook: ${file} is about the incident ${incident}, not pgpool-other\n`;
    expect(await run('decide', 'pgpool-other', '--config', file)).toEqual({ exitCode: 2, out: '', error });
  });
});

test('says that Temporal cannot be reached', async () => {
  const { exitCode, error } = await decide(bench.newCluster({ address: '127.0.0.1:1' }));
  expect([exitCode, error]).toEqual([3, expect.stringContaining('cannot reach Temporal at 127.0.0.1:1')]);
});
