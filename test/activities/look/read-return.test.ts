// readReturn against real nodes: away, back, back without following. Only "not yet" is a failure, and a quiet one.
import { type Bed, createEnvironment, failureOf, perform, startBed, waitFor } from '../support';

let bed: Bed;

beforeAll(async () => {
  bed = await startBed('return', 3);
});
afterAll(() => bed.down());

/** `details`: what the attempt before has left. */
const read = (until: 'answers' | 'streams' | 'returns', node = 1, details?: unknown) =>
  perform(
    bed.tools,
    'readReturn',
    { cluster: bed.configuration.cluster, node, until },
    createEnvironment({ heartbeatDetails: details }),
  );
const following = { line: 'node 1 is back: follows the primary' };

it('sees a node that follows, as often as it is asked', async () => {
  for (const until of ['answers', 'streams', 'streams'] as const) expect(await read(until)).toEqual(following);
});

it('is not back while it is stopped: a retryable failure that is not an alarm', async () => {
  await bed.stop(1);
  const failure = await failureOf(read('answers'));
  expect(failure).toMatchObject({ type: 'Unreachable', nonRetryable: false, category: 'BENIGN' });
  expect(failure.message).toMatch(/^node 1 is not back: PostgreSQL at 127\..*ECONNREFUSED/);
  await bed.lab.start(1);
  expect((await read('answers')).line).toMatch(/^node 1 is back: /);
});

it('is not back while it recovers', async () => {
  await bed.stop(1);
  const goOn = await bed.startInRecovery(1);
  expect((await failureOf(read('answers'))).message).toMatch(/the database system is/);
  await goOn();
});

describe('a node that answers and does not follow', () => {
  const line = 'answers, but does not follow the primary';

  beforeAll(async () => {
    await bed.ask(1, `alter system set primary_conninfo = ''`);
    await bed.ask(1, 'select pg_reload_conf()');
    await waitFor(async () => (await bed.ask(1, 'select count(*)::int as n from pg_stat_wal_receiver'))['n'] === 0, {
      what: 'the end of the WAL receiver',
      timeoutMs: 5000,
    });
  });

  it('is back for those who wait for an answer only', async () => {
    expect(await read('answers')).toEqual({ line: `node 1 is back: ${line}` });
    expect((await failureOf(read('streams'))).message).toBe(`node 1 is not back: ${line}`);
  });

  it('is news again once it was silent, as one attempt tells the next', async () => {
    const environment = createEnvironment();
    const left: unknown[] = [];
    environment.on('heartbeat', (details: unknown) => details && left.push(details));
    const input = { cluster: bed.configuration.cluster, node: 1, until: 'streams' } as const;
    await failureOf(perform(bed.tools, 'readReturn', input, environment));
    await failureOf(read('streams', 1, left.at(-1)));
    await bed.stop(1);
    await failureOf(perform(bed.tools, 'readReturn', input, environment));
    await bed.lab.start(1);
    for (const until of ['streams', 'returns'] as const)
      expect(await read(until, 1, left.at(-1))).toEqual({ line: `node 1 is back: ${line}` });
    expect((await failureOf(read('returns'))).message).toBe(`node 1 is not back: ${line}`);
  });

  it('may stream: from a node that is not the primary', async () => {
    await bed.stop(2);
    await bed.followNode(2, 1);
    expect((await failureOf(read('streams', 2))).message).toBe(`node 2 is not back: ${line}`);
  });
});
