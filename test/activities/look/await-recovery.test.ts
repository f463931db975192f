// awaitRecovery against a node that really answers SQLSTATE 57P03: it waits no longer than needed, and no longer than allowed.
import { type Bed, createEnvironment, perform, startBed, waitFor } from '../support';

let bed: Bed;

beforeAll(async () => {
  bed = await startBed('recovery', 2);
});
afterAll(() => bed.down());

const inputFor = (crashRecoveryMs: number) => ({
  configuration: { ...bed.configuration, policy: { ...bed.configuration.policy, crashRecoveryMs } },
  node: 1,
});
const msOf = (line: string): number => Number(/after (\d+) ms/.exec(line)?.[1]);

it('returns at once for a node that answers', async () => {
  const { line } = await perform(bed.tools, 'awaitRecovery', inputFor(60_000));
  expect(line).toMatch(/^node 1 after \d+ ms: answers, in recovery$/);
});

it('gives a stopped node its time and no more, and waits over the moment without a server that a restart has', async () => {
  await bed.stop(1);
  const stopped = await perform(bed.tools, 'awaitRecovery', inputFor(300));
  expect(stopped.line).toMatch(/ECONNREFUSED/);
  expect(msOf(stopped.line)).toBeGreaterThanOrEqual(300);

  const environment = createEnvironment();
  const beats: string[] = [];
  environment.on('heartbeat', (details: string) => beats.push(details));
  const waiting = perform(bed.tools, 'awaitRecovery', inputFor(60_000), environment);
  await waitFor(() => beats.some((beat) => beat.includes('ECONNREFUSED')), { what: 'a refusal', timeoutMs: 5000 });
  await bed.lab.start(1);
  expect((await waiting).line).toMatch(/answers, in recovery$/);
});

it('gives a recovering node its time and no more, then returns as soon as it answers', async () => {
  await bed.stop(1, 'immediate');
  const goOn = await bed.startInRecovery(1);
  const { line } = await perform(bed.tools, 'awaitRecovery', inputFor(300));
  expect(line).toMatch(/the database system is/);
  expect(msOf(line)).toBeGreaterThanOrEqual(300);
  expect(msOf(line)).toBeLessThan(1600);

  const environment = createEnvironment();
  const beats: unknown[] = [];
  environment.on('heartbeat', (details: unknown) => beats.push(details));
  const waiting = perform(bed.tools, 'awaitRecovery', inputFor(60_000), environment);
  await waitFor(() => beats.length > 3, { what: 'the wait to report itself', timeoutMs: 5000 });
  await goOn();
  expect((await waiting).line).toMatch(/answers, in recovery$/);
});
