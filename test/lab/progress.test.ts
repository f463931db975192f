// The lines of `npm run lab -- status` about work in progress, read from a real Temporal with a stand-in incident.

import { describePending } from '../../client/progress';
import { readProgress } from '../../lab/progress';
import { type BenchCluster, run, TemporalBench, waitUntil } from '../client/temporal-bench';

let bench: TemporalBench;
beforeAll(async () => {
  bench = await TemporalBench.open();
});
afterAll(() => bench.close());

function read({ name, file }: BenchCluster, address = bench.environment.address): Promise<string[]> {
  const temporal = { address, namespace: 'default' };
  return readProgress({ clusterFile: file, configuration: { cluster: name }, temporal });
}

test('is silent when nothing is in progress', async () => {
  expect(await read(bench.newCluster())).toEqual([]);
});

test('a watch that goes on is no work in progress', () => {
  const pendingActivities = [{ activityType: { name: 'watch' } }, { activityType: { name: 'observe' } }];
  const described = { workflowId: 'pgpool-shop.cluster', raw: { pendingActivities } };
  expect(describePending(described as never).map(({ line }) => line)).toEqual(['incident: observe']);
});

test('shows the base backup while it runs, then its failure and the attempt that is next', async () => {
  const cluster = bench.newCluster();
  await run('rejoin', '0', '--config', cluster.file, '--no-wait');
  const copying = 'node 0: base backup 41 % (43 of 104 MB)';
  await waitUntil(`a line is ${copying}`, async () => (await read(cluster)).join() === copying);
  (await bench.copyOf(cluster)).fail(new Error('node 0: no space left'));
  const failed = 'node 0: base backup, attempt 2: node 0: no space left';
  await waitUntil(`a line is ${failed}`, async () => (await read(cluster)).join() === failed);
  await waitUntil('it runs again', async () => (await read(cluster)).join() === `${copying}, attempt 2`);
  (await bench.copyOf(cluster)).finish();
});

test('shows what is parked, and how to decide', async () => {
  const cluster = bench.newCluster();
  await run('rejoin', '2', '--config', cluster.file, '--no-wait');
  const parked =
    /^parked: node2\.base-backup \(Base backup\), since \S+Z: node 2: no space left; choices: retry, abort; decide with: (.+)$/;
  let command: string | undefined;
  await waitUntil('the step is parked', async () => {
    command = parked.exec((await read(cluster)).join('\n'))?.[1];
    return command !== undefined;
  });
  expect(command).toBe(
    `client/pgpool-runbook.js decide ${cluster.incident} node2.base-backup retry --reason "..." --config ${cluster.file}`,
  );
  await bench.handle(cluster).terminate('the test is over');
});

test('says that Temporal does not answer', async () => {
  expect(await read(bench.newCluster(), '127.0.0.1:1')).toEqual([
    expect.stringMatching(/^in progress: unknown, Temporal does not answer \(.+\)$/),
  ]);
});

// The last test, because all tests share one worker.
test('without a worker, still says what was in progress, and that nobody can say what is parked', async () => {
  const cluster = bench.newCluster();
  await run('rejoin', '0', '--config', cluster.file, '--no-wait');
  await bench.copyOf(cluster);
  await bench.stopWorker();
  expect(await read(cluster)).toEqual([
    expect.stringMatching(/^node 0: base backup/),
    expect.stringMatching(`^parked: unknown, no worker answers for ${cluster.incident} \\(.+\\)$`),
  ]);
});
