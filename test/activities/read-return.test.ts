// readReturn against a real standby: away, back, back without streaming. Only "not yet" is a failure, and a quiet one.
import { type Bed, failureOf, perform, startBed, waitFor } from './support';

let bed: Bed;

beforeAll(async () => {
  bed = await startBed('return', 2);
});
afterAll(() => bed.down());

const read = (until: 'answers' | 'streams') =>
  perform(bed.tools, 'readReturn', { cluster: bed.configuration.cluster, node: 1, until });

it('sees a node that answers and streams, as often as it is asked', async () => {
  for (const until of ['answers', 'streams', 'streams'] as const) {
    expect(await read(until)).toEqual({ line: 'node 1 is back: streams' });
  }
});

it('is not back while it is stopped: a retryable failure that is not an alarm', async () => {
  await bed.stop(1);
  const failure = await failureOf(read('answers'));
  expect(failure).toMatchObject({ type: 'Unreachable', nonRetryable: false, category: 'BENIGN' });
  expect(failure.message).toMatch(/^node 1 is not back: PostgreSQL at 127\..*ECONNREFUSED/);
  await bed.lab.start(1);
  expect(await read('answers')).toMatchObject({ line: expect.stringMatching(/^node 1 is back: /) as string });
});

it('tells answering from streaming', async () => {
  await bed.ask(1, `alter system set primary_conninfo = ''`);
  await bed.ask(1, 'select pg_reload_conf()');
  await waitFor(async () => (await bed.ask(1, 'select count(*)::int as n from pg_stat_wal_receiver'))['n'] === 0, {
    what: 'the end of the WAL receiver',
    timeoutMs: 5000,
  });
  expect(await read('answers')).toEqual({ line: 'node 1 is back: answers but does not stream' });
  expect((await failureOf(read('streams'))).message).toBe('node 1 is not back: answers but does not stream');
});

it('is not back while it recovers', async () => {
  await bed.stop(1);
  const goOn = await bed.startInRecovery(1);
  expect((await failureOf(read('answers'))).message).toMatch(/the database system is/);
  await goOn();
});
