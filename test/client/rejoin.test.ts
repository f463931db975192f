// pgpool-runbook rejoin against a real Temporal: what it prints while it waits, what it answers, and how waiting ends.

import { settledUpdateName } from '../../domain/facts/names';
import { type BenchCluster, type Ended, run, start, TemporalBench } from './temporal-bench';

let bench: TemporalBench;
beforeAll(async () => {
  bench = await TemporalBench.open();
});
afterAll(() => bench.close());

const copying = 'node 0: base backup 41 % (43 of 104 MB)\n';

async function expectOpenCopy(cluster: BenchCluster): Promise<void> {
  expect((await bench.handle(cluster).describe()).status.name).toBe('RUNNING');
  (await bench.copyOf(cluster)).finish();
}

test('shows the base backup while it runs, each new thing once, and ends with what became of the node', async () => {
  const cluster = bench.newCluster();
  const { ended, says } = start('rejoin', '0', '--config', cluster.file);
  await says(copying);
  (await bench.copyOf(cluster)).fail(new Error('node 0: the connection\nwas lost'));
  await says(copying.replace('\n', ', attempt 2\n'));
  (await bench.copyOf(cluster)).finish();
  const { exitCode, out, error } = await ended;
  expect([exitCode, out]).toEqual([0, 'completed (rebuilt): node 0 streams from node 1\n']);
  const lines = error.trimEnd().split('\n');
  // Seen or not: it waits for its second attempt for one second only.
  const retry = 'node 0: base backup, attempt 2: node 0: the connection was lost';
  const expected = [copying.trimEnd(), ...(lines.includes(retry) ? [retry] : []), `${copying.trimEnd()}, attempt 2`];
  expect(lines.filter((line) => line !== 'node 0: base backup')).toEqual(expected);
});

test('signals an event that says rejoin and names the node alone, in a run of type incident', async () => {
  const cluster = bench.newCluster();
  const { exitCode, out, error } = await run('rejoin', '0', '--config', cluster.file, '--no-wait', '-o', 'json');
  const handle = bench.handle(cluster);
  const { type, runId } = await handle.describe();
  const incident = { workflowId: cluster.incident, runId };
  expect([exitCode, JSON.parse(out), error, type]).toEqual([0, { incident, node: 0 }, '', 'incident']);
  const { events } = await handle.fetchHistory();
  const [started] = events!.flatMap((event) => event.workflowExecutionStartedEventAttributes ?? []);
  const [signal] = events!.flatMap((event) => event.workflowExecutionSignaledEventAttributes ?? []);
  const read = (data: Uint8Array | null | undefined): unknown => JSON.parse(Buffer.from(data!).toString());
  expect(read(started!.input!.payloads![0]!.data)).toBe(cluster.name);
  expect(Number(started!.workflowTaskTimeout!.seconds)).toBe(2);
  const event = read(signal!.input!.payloads![0]!.data) as { eventId: string };
  expect(event).toEqual({
    eventId: expect.stringMatching(/^rejoin-0-[0-9a-f-]{36}$/) as string,
    kind: 'rejoin',
    node: 0,
    mainNode: null,
    oldPrimary: null,
    at: expect.stringMatching(/^\d{4}-.*Z$/) as string,
  });
  (await bench.copyOf(cluster)).finish();
  await handle.executeUpdate(settledUpdateName, { args: [event.eventId] });
});

test('prints the answer as JSON, and exits 1 when it is a refusal', async () => {
  const cluster = bench.newCluster();
  const { exitCode, out } = await run('rejoin', '1', '--config', cluster.file, '-o', 'json');
  const { runId } = await bench.handle(cluster).describe();
  const verdict = { outcome: 'refused', reason: 'node-unreachable', line: 'node 1 does not answer' };
  const incident = { workflowId: cluster.incident, runId };
  expect([exitCode, JSON.parse(out)]).toEqual([1, { incident, node: 1, ...verdict }]);
});

test('shows a parked step once, with the command that decides about it; the decision ends the waiting', async () => {
  const cluster = bench.newCluster();
  const { ended, says } = start('rejoin', '2', '--config', cluster.file);
  const command = `pgpool-runbook decide ${cluster.incident} node2.base-backup retry --reason "..." --config ${cluster.file}\n`;
  await says(command);
  const reason = ['--reason', 'it is being replaced'];
  const decided = await run('decide', cluster.incident, 'node2.base-backup', 'abort', ...reason, '-c', cluster.file);
  expect(decided.exitCode).toBe(0);
  const { exitCode, out, error } = await ended;
  const line = 'incomplete (decided-by-person): node 2 is left as it is: it is being replaced\n';
  expect([exitCode, out]).toEqual([1, line]);
  const parked =
    /^parked: node2\.base-backup \(Base backup\), since \d{4}-\S+Z: node 2: no space left; choices: retry, abort\n {2}(.+\n)$/;
  expect(parked.exec(error)?.[1]).toBe(command);
});

test('takes the answer from the result of a run that ended before it gave one', async () => {
  const cluster = bench.newCluster();
  const { exitCode, out } = await run('rejoin', '3', '--config', cluster.file);
  expect([exitCode, out]).toEqual([0, 'completed (repointed): node 3 streams from node 1\n']);
});

test('says so when the incident ends without an answer', async () => {
  const cluster = bench.newCluster();
  const { ended, says } = start('rejoin', '0', '--config', cluster.file);
  await says(copying);
  await bench.handle(cluster).terminate('by a test');
  const { exitCode, out, error } = await ended;
  expect([exitCode, out]).toEqual([1, '']);
  expect(error).toMatch(
    /^pgpool-runbook: the incident pgpool-shop-\d+ \(run \S+\) gave no answer \(TERMINATED: .+\): look at it/m,
  );
});

describe('the waiting ends, and the rejoin goes on', () => {
  function expectGoesOn({ exitCode, out, error }: Ended, why: string): void {
    expect([exitCode, out]).toEqual([4, '']);
    const last = error.trimEnd().split('\n').at(-1)!;
    expect(last.startsWith(`pgpool-runbook: ${why}: the rejoin of node 0 goes on in the incident pgpool-shop-`)).toBe(
      true,
    );
  }

  test('after --timeout', async () => {
    const cluster = bench.newCluster();
    const ended = await run('rejoin', '0', '--config', cluster.file, '--timeout', '10');
    expectGoesOn(ended, 'not settled within 10 s');
    // The command has looked five times.
    expect(ended.error.split(copying)).toHaveLength(2);
    await expectOpenCopy(cluster);
  });

  test.each(['SIGINT', 'SIGTERM'] as const)('on %s', async (name) => {
    const cluster = bench.newCluster();
    const { ended, says } = start('rejoin', '0', '--config', cluster.file);
    await says(copying);
    process.emit(name, name);
    expectGoesOn(await ended, `interrupted by ${name}`);
    expect(process.listenerCount(name)).toBe(0);
    await expectOpenCopy(cluster);
  });
});

test('asks again when Temporal was away, and gets the same answer', async () => {
  const proxy = await bench.openProxy();
  const cluster = bench.newCluster({ address: proxy.address });
  const { ended, says } = start('rejoin', '0', '--config', cluster.file);
  await says(copying);
  await proxy.close();
  const away = 'Temporal does not answer: still waiting, and the rejoin goes on when it is back\n';
  await says(away);
  (await bench.copyOf(cluster)).finish();
  await proxy.reopen();
  const { exitCode, out, error } = await ended;
  expect([exitCode, out, error.endsWith(away)]).toEqual([0, 'completed (rebuilt): node 0 streams from node 1\n', true]);
  await proxy.close();
});

test('says that no worker answers, once, and waits on', async () => {
  const cluster = bench.newCluster({ taskQueue: 'nobody' });
  const { exitCode, error } = await run('rejoin', '0', '--config', cluster.file, '--timeout', '15');
  expect(exitCode).toBe(4);
  expect(error.split('\n')[0]).toBe(
    'no worker answers on task queue nobody: is one running? Temporal keeps the event until then',
  );
  expect(error.split('\n')).toHaveLength(3);
  await bench.handle(cluster).terminate('by a test');
});

describe('usage and configuration', () => {
  test.each(['4', '-', '00x', '1.5', 'node0'])('node %s is none of the cluster file', async (node) => {
    const cluster = bench.newCluster({ address: '127.0.0.1:1' });
    expect(await run('rejoin', node, '--config', cluster.file)).toEqual({
      exitCode: 2,
      out: '',
      error: `pgpool-runbook: cluster ${cluster.name} has no node ${node}: its nodes are 0, 1, 2, 3\n`,
    });
  });

  test.each(['0', '1.5', '-1', 'soon', '864001'])('a time limit of %s', async (seconds) => {
    const { exitCode, error } = await run('rejoin', '0', '--config', 'none.yaml', `--timeout=${seconds}`);
    expect([exitCode, error]).toEqual([2, expect.stringContaining('a whole number from 1 to 864000')]);
  });

  test('a namespace that Temporal does not have', async () => {
    const cluster = bench.newCluster({ namespace: 'elsewhere' });
    const { exitCode, error } = await run('rejoin', '0', '--config', cluster.file);
    const advice = 'create it, or correct temporal.namespace in the cluster file';
    const seen = `pgpool-runbook: Temporal at ${bench.environment.address} has no namespace elsewhere: ${advice}\n`;
    expect([exitCode, error]).toEqual([2, seen]);
  });

  test('a Temporal that cannot be reached', async () => {
    const cluster = bench.newCluster({ address: '127.0.0.1:1' });
    const { exitCode, out, error } = await run('rejoin', '0', '--config', cluster.file, '-o', 'json');
    expect(exitCode).toBe(3);
    expect(error).toMatch(
      /^pgpool-runbook: cannot reach Temporal at 127\.0\.0\.1:1 \(.+\): start it, or correct .+\n$/,
    );
    expect(JSON.parse(out)).toEqual({
      errors: [error.trimEnd().slice('pgpool-runbook: '.length)].map((line) => `pgpool-runbook: ${line}`),
    });
  });
});
