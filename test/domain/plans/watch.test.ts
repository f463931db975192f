// The watch's lines, and the time after which each is told; no line is told twice, too often, or to an incident that
// sees it anyway.

import type { ClusterRecord } from '../../../domain/facts/record';
import { newerState, parseWatchState } from '../../../domain/facts/watch';
import { concludeSamples } from '../../../domain/plans/record';
import { eventOf } from '../../../domain/plans/watch';
import { parseEvent } from '../../../domain/facts/event';
import { makeConfiguration, systemIdentifier } from '../builders';
import { makeRecord } from './record-stories';
import {
  primarySays,
  recordOf0,
  shows,
  standbySays,
  startedAt,
  type Terms,
  watchFor,
  well,
  wellBut,
  type World,
} from './watch-world';

const dead = wellBut({ 0: null }, { pgpool0: shows(0) });
const alone = { receiver: null };
const stray = primarySays({ position: { timeline: 2, lsn: '0/6000000' } });
const synchronous = { synchronous: { standbys: 1, whenNone: 'degrade' as const } };
const two = makeConfiguration({ policy: synchronous });

/** The world is well for 20 s and then as told. */
interface Line {
  readonly title: string;
  readonly world: World;
  readonly kind: string;
  readonly node: number;
  /** Time from the change to the line. */
  readonly seconds: number;
  readonly terms?: Terms;
}

/** Between two looks at pgpool, of which the next is at 30 s unless SQL shows the change, too. */
const changeAt = 21;

const lines: readonly Line[] = [
  { title: 'a second writable node', world: wellBut({ 2: stray }), kind: 'second-writable', node: 2, seconds: 0 },
  {
    title: 'a former primary that is back, writable on the older timeline',
    world: wellBut({ 0: primarySays(), 1: stray, 2: standbySays(2, alone) }, { pgpool0: shows(1) }),
    terms: { record: makeRecord() },
    kind: 'second-writable',
    node: 0,
    seconds: 0,
  },
  {
    title: 'a pgpool that does not show the primary',
    world: wellBut({}, { pgpool0: shows(1) }),
    kind: 'not-shown',
    node: 0,
    seconds: 10,
  },
  {
    title: 'a pgpool that has detached the living primary',
    world: wellBut({}, { pgpool0: shows(0, 0) }),
    kind: 'not-shown',
    node: 0,
    seconds: 10,
  },
  {
    title: 'no node accepts writes, and pgpool has given the primary up',
    world: wellBut({ 0: null }, { pgpool0: shows(null, 0) }),
    kind: 'given-up',
    node: 0,
    seconds: 2,
  },
  {
    title: 'every node is a standby, and pgpool has given the primary up',
    world: wellBut({ 0: standbySays(0, alone) }, { pgpool0: shows(null, 0) }),
    kind: 'given-up',
    node: 0,
    seconds: 2,
  },
  {
    title: 'a standby that does not stream',
    world: wellBut({ 1: standbySays(1, alone) }),
    kind: 'not-streaming',
    node: 1,
    seconds: 30,
  },
  {
    title: 'a standby that streams on another timeline than the primary’s',
    world: wellBut({ 1: standbySays(1, { receiver: { host: '10.0.0.10', port: 5432, timeline: 2 } }) }),
    kind: 'not-streaming',
    node: 1,
    seconds: 30,
  },
  {
    title: 'a standby whose upstream streams from nobody',
    world: wellBut({
      1: standbySays(1, { receiver: { host: '10.0.0.12', port: 5432, timeline: 1 } }),
      2: standbySays(2, alone),
    }),
    kind: 'not-streaming',
    node: 1,
    seconds: 30,
  },
  {
    title: 'a standby that streams and that somebody detached',
    world: wellBut({}, { pgpool0: shows(0, 2) }),
    kind: 'detached',
    node: 2,
    seconds: 69,
  },
  {
    title: 'a detached standby, by a shorter policy.reattachMs',
    world: wellBut({}, { pgpool0: shows(0, 2) }),
    terms: { configuration: makeConfiguration({ policy: { reattachMs: 10_000 } }) },
    kind: 'detached',
    node: 2,
    seconds: 19,
  },
  {
    title: 'the last synchronous standby that is gone while commits wait for it',
    world: wellBut({ 0: primarySays({ synchronousStandbyNames: 'ANY 1 ("node1")', followers: [] }) }),
    terms: { configuration: two },
    kind: 'synchronous',
    node: 0,
    seconds: 2,
  },
  {
    title: 'a primary that somebody made asynchronous',
    world: wellBut({ 0: primarySays({ followers: ['node1'] }) }),
    terms: { configuration: two },
    kind: 'synchronous',
    node: 0,
    seconds: 2,
  },
  { title: 'a silent primary, while pgpool says nothing', world: dead, kind: 'primary-silent', node: 0, seconds: 10 },
  {
    title: 'the same, and policy.actOn is watch',
    world: dead,
    terms: { configuration: makeConfiguration({ policy: { actOn: 'watch' } }) },
    kind: 'given-up',
    node: 0,
    seconds: 10,
  },
  {
    title: 'a primary that is not the record’s, which has become a standby',
    world: wellBut({ 0: standbySays(0, alone), 1: stray }, { pgpool0: shows(1) }),
    kind: 'other-primary',
    node: 1,
    seconds: 10,
  },
];

/** A world in which the set is by policy from the first look on. */
const wellWith = ({ configuration }: Terms = {}): World =>
  configuration === two ? wellBut({ 0: primarySays({ synchronousStandbyNames: 'ANY 1 (node2, node1)' }) }) : well;

describe('is told, and not before it has lasted', () => {
  test.each(lines)('$title: after $seconds s', ({ world, terms, kind, node, seconds }) => {
    const worldAt = (second: number): World => (second < changeAt ? wellWith(terms) : world);
    const { told } = watchFor(changeAt + seconds + 1, worldAt, terms);
    const [first, ...others] = told.filter((entry) => entry.kind === kind && entry.node === node);
    expect(first).toMatchObject({ kind, node, second: changeAt + seconds });
    expect(others).toEqual([]);
    // Gone one look before it would be told.
    const passing = (second: number): World =>
      second >= changeAt && second < changeAt + seconds ? world : wellWith(terms);
    const shorter = seconds === 0 ? [] : watchFor(changeAt + 100, passing, terms).told;
    expect(shorter.filter((entry) => entry.kind === kind && entry.node === node)).toEqual([]);
  });
});

test('without a record, the primary by its last word is the one that is lost', () => {
  const { told } = watchFor(60, (second) => (second < 5 ? well : dead), { record: null });
  expect(told).toMatchObject([{ kind: 'primary-silent', node: 0, second: 15 }]);
});

describe('says nothing', () => {
  const quiet: readonly [string, World, Terms][] = [
    ['while all is well', well, {}],
    [
      'of a cascade that is well',
      wellBut({ 1: standbySays(1, { receiver: { host: '10.0.0.12', port: 5432, timeline: 1 } }) }),
      {},
    ],
    ['of a standby that is away and that no incident waits for', wellBut({ 2: null }, { pgpool0: shows(0, 2) }), {}],
    ['of a detached standby that does not answer', wellBut({ 2: null }, { pgpool0: shows(0, 2) }), {}],
    ['of a pgpool that does not answer', wellBut({}, { pgpool0: null }), {}],
    ['of a set that the policy says nothing of', wellBut({ 0: primarySays({ synchronousStandbyNames: 'node1' }) }), {}],
    [
      'of a set in other words',
      wellBut({ 0: primarySays({ synchronousStandbyNames: '1 (NODE2, node1)' }) }),
      { configuration: two },
    ],
    ['without a record while pgpool shows another primary', wellBut({}, { pgpool0: shows(1) }), { record: null }],
  ];
  test.each(quiet)('%s', (_title, world, terms) => {
    const { told, changes } = watchFor(300, () => world, terms);
    expect(told.filter(({ kind }) => kind !== 'not-shown')).toEqual([]);
    // Nothing grows, either: one heartbeat for the first look.
    expect(changes.filter((second) => second > 1)).toEqual([]);
  });
});

describe('a node that answers after a silence', () => {
  const between = (from: number, to: number) => (second: number) =>
    second >= from && second < to ? wellBut({ 2: null }) : well;
  test('is told at once, and once', () => {
    const { told } = watchFor(100, between(20, 30));
    expect(told).toMatchObject([
      { kind: 'answers', node: 2, second: 30, eventId: `watch-answers.2-${startedAt + 30_000}` },
    ]);
  });
  test('after a single miss is no news', () => {
    expect(watchFor(100, between(20, 21)).told).toEqual([]);
  });
  test('is told where the record says that it was away, though this watch has never missed it', () => {
    const record = makeRecord({ ...recordOf0, away: [2] });
    expect(watchFor(10, () => well, { record }).told).toMatchObject([{ kind: 'answers', node: 2, second: 0 }]);
  });
  test('twice within a minute, is told once where it is well by then', () => {
    const isAway = (second: number): boolean => (second >= 20 && second < 25) || (second >= 40 && second < 45);
    const { told } = watchFor(200, (second) => (isAway(second) ? wellBut({ 2: null }) : well));
    expect(told.map(({ kind, second }) => [kind, second])).toEqual([['answers', 25]]);
  });
  test('flapping, is told at most once a minute, and at last as it is', () => {
    const flapping = (second: number): World => (second < 600 && second % 10 < 5 ? wellBut({ 2: null }) : well);
    const { told } = watchFor(700, flapping);
    expect(told.length).toBeGreaterThan(5);
    for (const [index, { second }] of told.entries())
      if (index > 0) expect(second - told[index - 1]!.second).toBeGreaterThanOrEqual(60);
    expect(told.at(-1)!.second).toBeGreaterThan(595 - 60);
    expect(new Set(told.map(({ eventId }) => eventId)).size).toBe(told.length);
  });
});

test('of a node that a person has in hand only that it accepts writes is told, until it is given back', () => {
  const until = new Date(startedAt + 100_000).toISOString();
  const since = new Date(startedAt).toISOString();
  const maintenance = [{ node: 2, operator: 'ann@db', reason: 'kernel', since, until }];
  const lost = wellBut({ 2: standbySays(2, alone) });
  expect(watchFor(140, () => lost, { maintenance }).told).toMatchObject([{ kind: 'not-streaming', second: 130 }]);
  expect(watchFor(20, () => wellBut({ 2: stray }), { maintenance }).told).toMatchObject([{ kind: 'second-writable' }]);
});

test('what stands is told again after 1, 2, 4, 8 and then every 15 minutes, each time as an event of its own', () => {
  const { told } = watchFor(3700, () => wellBut({ 1: standbySays(1, { receiver: null }) }));
  expect(told.map(({ second }) => second)).toEqual([30, 90, 210, 450, 930, 1830, 2730, 3630]);
  expect(new Set(told.map(({ eventId }) => eventId)).size).toBe(told.length);
  expect(new Set(told.map(({ since }) => since)).size).toBe(1);
});

test('with rejoin: manual a standby that does not stream is told once, until it has streamed again', () => {
  const configuration = makeConfiguration({ policy: { rejoin: 'manual' } });
  const lost = wellBut({ 1: standbySays(1, { receiver: null }) });
  const { told } = watchFor(3700, (second) => (second === 2000 ? well : lost), { configuration });
  const expected = [
    ['not-streaming', 30],
    ['answers', 2000],
    ['not-streaming', 2031],
  ];
  expect(told.map(({ kind, second }) => [kind, second])).toEqual(expected);
});

test('a node that was told not to stream is news when it streams, whoever mended it', () => {
  const lost = wellBut({ 1: standbySays(1, { receiver: null }) });
  const { told } = watchFor(100, (second) => (second < 50 ? lost : well));
  expect(told.map(({ kind, second }) => [kind, second])).toEqual([
    ['not-streaming', 30],
    ['answers', 50],
  ]);
});

test('a former primary that is started again at once is news, although it was hardly silent', () => {
  const record = makeRecord({ at: new Date(startedAt + 10_000).toISOString() });
  const after = wellBut({ 0: standbySays(0, { receiver: null }), 1: primarySays(), 2: standbySays(2) });
  const { state } = watchFor(9, () => well, { record: recordOf0 });
  const { told } = watchFor(20, (second) => (second < 12 ? wellBut({ 0: null }) : after), { record, state });
  expect(told.some(({ kind, node, second }) => kind === 'answers' && node === 0 && second === 12)).toBe(true);
});

describe('of a node that a person has let go', () => {
  const left = [1];
  test('nothing is told for the reason that stands', () => {
    const { told } = watchFor(3700, () => wellBut({ 1: standbySays(1, { receiver: null }) }), { left });
    expect(told).toEqual([]);
  });
  test('it is told that it does what it should, and that it came back', () => {
    expect(watchFor(5, () => well, { left }).told).toMatchObject([{ kind: 'taken-up', node: 1, second: 0 }]);
    const lost = wellBut({ 1: standbySays(1, { receiver: null }) });
    const gone = wellBut({ 1: null });
    const { told } = watchFor(60, (second) => (second > 10 && second < 20 ? gone : lost), { left });
    expect(told).toMatchObject([{ kind: 'answers', node: 1, second: 20 }]);
  });
});

describe('while an incident is open', () => {
  const open = { isIncidentOpen: true };
  test.each(lines.filter(({ kind }) => kind !== 'second-writable'))(
    '$kind is told once the incident has not mended it for 90 s: $title',
    ({ world, terms, kind }) => {
      const { told } = watchFor(300, (second) => (second < changeAt ? wellWith(terms) : world), { ...terms, ...open });
      const [first] = told.filter((entry) => entry.kind === kind);
      expect(first!.second - changeAt).toBeGreaterThanOrEqual(90);
      expect(first!.second - changeAt).toBeLessThanOrEqual(100);
    },
  );
  test('what is mended sooner is not told', () => {
    const lost = wellBut({ 1: standbySays(1, { receiver: null }) });
    expect(watchFor(300, (second) => (second < 80 ? lost : well), open).told).toEqual([]);
  });
  test('a second writable node is told at once, and again while it lasts: a look of the incident may have missed it', () => {
    const { told } = watchFor(400, () => wellBut({ 2: stray }), open);
    expect(told.map(({ kind, second }) => [kind, second])).toEqual([
      ['second-writable', 0],
      ['second-writable', 90],
      ['second-writable', 210],
    ]);
    expect(new Set(told.map(({ eventId }) => eventId)).size).toBe(3);
  });
  test('a node that is lost and comes back is told both times', () => {
    const { told } = watchFor(100, (second) => (second >= 20 && second < 40 ? wellBut({ 2: null }) : well), open);
    expect(told).toMatchObject([
      { kind: 'lost', node: 2, second: 21 },
      { kind: 'answers', node: 2, second: 40 },
    ]);
  });
  test('a node that comes back writable is one event, not two', () => {
    const { told } = watchFor(60, (second) => (second < 20 ? wellBut({ 2: null }) : wellBut({ 2: stray })), open);
    expect(told.filter(({ second }) => second >= 20)).toMatchObject([{ kind: 'second-writable', node: 2 }]);
  });
});

describe('an empty record is filled', () => {
  const empty = { record: null };
  test('when one writable node is followed and shown for 10 s', () => {
    const { told, state } = watchFor(30, () => well, empty);
    expect(told).toMatchObject([{ kind: 'no-record', node: 0, second: 10 }]);
    const found = {
      systemIdentifier,
      primary: 0,
      timeline: 1,
      openedBy: 'others',
      former: null,
      away: [],
      by: 'watch',
    };
    expect(concludeSamples(makeConfiguration(), state.samples, 0, null)).toMatchObject(found);
    expect(concludeSamples(makeConfiguration(), state.samples, 7, null)).toBeNull();
  });
  test.each<[string, World]>([
    ['two nodes accept writes', wellBut({ 2: stray })],
    [
      'a standby streams from elsewhere',
      wellBut({ 2: standbySays(2, { receiver: { host: '10.9.9.9', port: 5432, timeline: 1 } }) }),
    ],
    ['a pgpool shows another primary', wellBut({}, { pgpool1: shows(1) })],
    ['no pgpool answers', wellBut({}, { pgpool0: null })],
    ['a node is of another system', wellBut({ 2: standbySays(2, { systemIdentifier: '1', receiver: null }) })],
  ])('not when %s', (_title, world) => {
    expect(watchFor(60, () => world, empty).told.filter(({ kind }) => kind === 'no-record')).toEqual([]);
  });
  test.each<[string, Partial<ClusterRecord>, boolean]>([
    ['of another system', { systemIdentifier: '1' }, true],
    ['of nodes elsewhere', { nodes: [{ id: 0, host: '10.9.9.9', port: 5432 }] }, true],
    ['of a timeline that no node has reached', { timeline: 7 }, true],
    ['that holds', {}, false],
  ])('a record %s counts as none: %s', (_title, more, isVoid) => {
    const { told } = watchFor(30, () => well, { record: { ...recordOf0, ...more } });
    expect(told.some(({ kind }) => kind === 'no-record')).toBe(isVoid);
  });
});

test('every event is one that an incident takes, about the node that it is about', () => {
  for (const { world, kind, node, terms } of lines) {
    const { told } = watchFor(changeAt + 100, (second) => (second < changeAt ? wellWith(terms) : world), terms);
    const event = eventOf(told.find((entry) => entry.kind === kind)!);
    if (kind === 'primary-silent') expect(event).toBeNull();
    else expect(parseEvent(event)).toEqual({ event: expect.objectContaining({ node }) as unknown });
  }
});

test('a state survives its way through JSON, and nothing else passes for one', () => {
  const { state } = watchFor(3, () => well);
  expect(parseWatchState(JSON.parse(JSON.stringify(state)))).toEqual(state);
  for (const other of [
    null,
    'node 0',
    {},
    { ...state, told: 3 },
    { ...state, samples: { ...state.samples, nodes: [{}] } },
  ])
    expect(parseWatchState(other)).toBeNull();
  const later = watchFor(9, () => well).state;
  expect([newerState(state, later), newerState(later, state), newerState(null, state)]).toEqual([later, later, state]);
});
