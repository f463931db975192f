// Each witness's word about a primary, and the judgement from all of them.

import { getNode } from '../../../domain/facts/cluster';
import { judgePrimary, type PrimaryState, type WitnessAnswer } from '../../../domain/plans/primary-state';
import { answeringStandbys, factsOf, writableNodes } from '../../../domain/facts/facts';
import {
  frozen,
  makeConfiguration,
  makeFacts,
  pgpoolSees,
  probe,
  receivesNothing,
  recovering,
  stopped,
  vanished,
  type Differences,
} from '../builders';

const configuration = makeConfiguration();

/** Node 0 is judged 2 s after the event; unless a row says so, no receiver hears it and pgpool sees it down. */
function judge({ nodes, ...differences }: Differences): ReturnType<typeof judgePrimary> {
  const facts = makeFacts({
    nodes: { 1: receivesNothing, 2: receivesNothing, ...nodes },
    pgpools: [pgpoolSees(0, { 0: 'down' })],
    ...differences,
  });
  return judgePrimary(facts, 0, getNode(configuration, 0), 2000);
}

const hears = (lastMessageAgeMs: number | null): NonNullable<Differences['nodes']> => ({
  1: { walReceiver: { lastMessageAgeMs } },
});
const silentHost = { ...vanished, host: { ...vanished.host, processes: 'unknown' as const } };

const rows: readonly (readonly [title: string, facts: Differences, state: PrimaryState])[] = [
  ['a query was answered', {}, 'working'],
  [
    'a query was answered only on the host of a standby',
    { nodes: { 0: vanished }, probes: [probe(1, 'silent'), probe(2, 'answered')] },
    'working',
  ],
  [
    'an answer anywhere outweighs a rejection',
    { nodes: { 0: { ...frozen, sql: 'rejected' } }, probes: [probe(1, 'answered')] },
    'working',
  ],
  ['57P03', { nodes: { 0: recovering } }, 'recovering'],
  ['57P03 from a standby’s host only', { nodes: { 0: vanished }, probes: [probe(1, 'recovering')] }, 'recovering'],
  ['another error than 57P03', { nodes: { 0: { ...frozen, sql: 'rejected' } } }, 'rejecting'],
  ['another error, to a standby’s host only', { nodes: { 0: vanished }, probes: [probe(1, 'rejected')] }, 'rejecting'],
  ['port closed, no process', { nodes: { 0: stopped } }, 'dead'],
  [
    'SQL silent, no process: the port was filtered',
    { nodes: { 0: { ...frozen, host: { processes: 'none' } } } },
    'dead',
  ],
  ['port closed, orphan backends', { nodes: { 0: { ...stopped, host: { processes: 'orphans' } } } }, 'dead'],
  ['no process, although a late WAL message is fresh', { nodes: { 0: stopped, ...hears(100) } }, 'dead'],
  [
    'port closed on an answering host that cannot be looked into',
    { nodes: { 0: { ...stopped, host: { processes: 'unknown' } } } },
    'closed',
  ],
  ['port closed to a standby’s host only', { nodes: { 0: silentHost }, probes: [probe(2, 'refused')] }, 'closed'],
  [
    'port closed to the worker, but a fresh WAL message',
    { nodes: { 0: { ...silentHost, sql: 'refused' }, ...hears(100) } },
    'unknown',
  ],
  ['process there, SQL silent', { nodes: { 0: frozen } }, 'hung'],
  ['process there, port closed', { nodes: { 0: { ...frozen, sql: 'refused' } } }, 'hung'],
  ['process there, SQL silent, but a fresh WAL message', { nodes: { 0: frozen, ...hears(1999) } }, 'unknown'],
  [
    'process there, SQL silent, WAL message exactly as old as the event',
    { nodes: { 0: frozen, ...hears(2000) } },
    'hung',
  ],
  ['silent to the worker and one more host', { nodes: { 0: vanished }, probes: [probe(1, 'silent')] }, 'unreachable'],
  [
    'silent to the worker, no standby’s host could ask',
    { nodes: { 0: vanished }, probes: [probe(1, 'unknown')] },
    'unknown',
  ],
  ['silent to the worker, nobody else was asked', { nodes: { 0: vanished } }, 'unknown'],
  [
    'silent to two hosts, "streaming" with an old message',
    { nodes: { 0: vanished, ...hears(2001) }, probes: [probe(1, 'silent')] },
    'unreachable',
  ],
  [
    'silent to two hosts, "streaming" without any message',
    { nodes: { 0: vanished, ...hears(null) }, probes: [probe(1, 'silent')] },
    'unreachable',
  ],
  [
    'silent to two hosts, a fresh message',
    { nodes: { 0: vanished, ...hears(500) }, probes: [probe(1, 'silent')] },
    'unknown',
  ],
  [
    'silent to two hosts, up for pgpool',
    { nodes: { 0: vanished }, probes: [probe(1, 'silent')], pgpools: [pgpoolSees(0)] },
    'unknown',
  ],
  [
    'silent to two hosts, unknown to pgpool',
    { nodes: { 0: vanished }, probes: [probe(1, 'silent')], pgpools: [pgpoolSees(0, { 0: 'unknown' })] },
    'unreachable',
  ],
  [
    'silent, and a probe that was about another node',
    { nodes: { 0: vanished }, probes: [probe(2, 'silent', 1)] },
    'unknown',
  ],
];

test.each(rows)('%s', (_, differences, state) => {
  expect(judge(differences).state).toBe(state);
});

test('every state is reached by a row', () => {
  const states: Record<PrimaryState, true> = {
    working: true,
    recovering: true,
    hung: true,
    dead: true,
    closed: true,
    unreachable: true,
    rejecting: true,
    unknown: true,
  };
  expect(new Set(rows.map(([, , state]) => state))).toEqual(new Set(Object.keys(states)));
});

test('a fresh message from another primary is no sign of life of this one', () => {
  const elsewhere = { 1: { walReceiver: { host: '10.0.0.12', lastMessageAgeMs: 1 } } };
  const otherPort = { 1: { walReceiver: { port: 5433, lastMessageAgeMs: 1 } } };
  for (const nodes of [elsewhere, otherPort]) expect(judge({ nodes: { 0: frozen, ...nodes } }).state).toBe('hung');
});

test('a node that nobody measured is unknown, not dead', () => {
  const facts = makeFacts({ pgpools: [] });
  const nodes = facts.nodes.slice(1).map((entry) => ({ ...entry, walReceiver: null }));
  const { state, witnesses } = judgePrimary({ ...facts, nodes }, 0, getNode(configuration, 0), 2000);
  expect(state).toBe('unknown');
  expect(witnesses).toEqual([{ from: 'worker, SQL', answer: 'unknown', seen: 'not asked' }]);
});

describe('each witness speaks for itself', () => {
  const answersOf = (differences: Differences): Record<string, WitnessAnswer> =>
    Object.fromEntries(judge(differences).witnesses.map(({ from, answer }) => [from, answer]));

  test('a vanished host: everybody is asked, nobody knows', () => {
    const nodes = { 0: vanished, 1: { walReceiver: { lastMessageAgeMs: 8000 } } };
    expect(answersOf({ nodes, probes: [probe(1, 'silent'), probe(2, 'unknown')] })).toEqual({
      'worker, SQL': 'unknown',
      'worker, ssh': 'unknown',
      'node 1, SQL': 'unknown',
      'node 2, SQL': 'unknown',
      'node 1, WAL receiver': 'unknown',
      'pgpool pgpool0': 'unknown',
    });
  });

  test('a stopped primary: SQL and ssh say dead; pgpool’s "down" is only why we were called', () => {
    expect(answersOf({ nodes: { 0: stopped }, probes: [probe(1, 'refused')] })).toEqual({
      'worker, SQL': 'dead',
      'worker, ssh': 'dead',
      'node 1, SQL': 'dead',
      'pgpool pgpool0': 'unknown',
    });
  });

  test('a working primary: everybody says alive', () => {
    const answers = answersOf({ nodes: hears(100), probes: [probe(2, 'answered')], pgpools: [pgpoolSees(0)] });
    expect(new Set(Object.values(answers))).toEqual(new Set(['alive']));
    expect(Object.keys(answers)).toHaveLength(4);
  });

  test('what was seen is told with numbers', () => {
    const { witnesses } = judge({ nodes: { 0: frozen, ...hears(1234) } });
    const seen = witnesses.map((witness) => witness.seen);
    expect(seen).toEqual([
      'no answer in 1000 ms',
      'host answers; processes: running',
      'last message 1234 ms ago',
      'live status down',
    ]);
  });
});

test('only nodes that answered now are writable or standbys', () => {
  const facts = makeFacts({ nodes: { 1: { ...vanished, isInRecovery: true }, 2: { isInRecovery: null } } });
  expect(writableNodes(facts).map((entry) => entry.node)).toEqual([0]);
  expect(answeringStandbys(facts)).toEqual([]);
  expect(factsOf(facts, 2)?.node).toBe(2);
  expect(factsOf(facts, 9)).toBeUndefined();
});
