// Stories of planFailover in which another node than the one that is lost, or kept, may be the primary. Told in failover.test.ts.

import type { PgpoolFacts, PgpoolNodeFacts } from '../../../domain/facts/facts';
import type { NodeSample } from '../../../domain/facts/watch';
import {
  type DeepPartialNode,
  makeConfiguration,
  onTimeline2,
  pgpoolSees,
  probe,
  promotedToTimeline2,
  receiverFrom,
  receivesNothing,
  stopped,
  vanished,
  wellLsn,
} from '../builders';
import type { FailoverStory } from './failover-stories';
import { makeRecord } from './record-stories';
import { primarySays, shows } from './watch-world';

const at = '2025-12-31T23:59:58.000Z';
const own = makeRecord({ primary: 0, timeline: 1, openedBy: 'others', former: null, away: [] });

/** The node accepted writes on this timeline two seconds ago, and is silent since. */
function heard(node: number, timeline: number): NodeSample {
  const said = primarySays({ position: { timeline, lsn: wellLsn } });
  return { node, misses: 2, seen: 'no answer', answeredAt: at, said, streamedAt: null, isNews: false };
}

function watched(sample: NodeSample, primary: number | null = null) {
  const nodes = primary === null ? [] : shows(primary);
  return { takenAt: at, nodes: [sample], pgpools: [{ pgpool: 'pgpool0', at, isReached: true, nodes, seen: '' }] };
}

function but(pgpool: PgpoolFacts, node: number, more: Partial<PgpoolNodeFacts>): PgpoolFacts {
  return { ...pgpool, nodes: pgpool.nodes.map((entry) => (entry.node === node ? { ...entry, ...more } : entry)) };
}

const view = pgpoolSees(0);
/** pgpool takes node 0 for the primary, and hears node 2 as one. */
const hears = but(view, 2, { liveRole: 'primary' });
const onTimeline3: DeepPartialNode = {
  position: { timeline: 3, lsn: '0/7000000' },
  history: [
    { timeline: 1, endLsn: wellLsn },
    { timeline: 2, endLsn: '0/6000000' },
  ],
  isInRecovery: true,
  walReceiver: null,
};
const refused = { action: 'refuse', reason: 'primary-unreachable' } as const;
const promoted = { action: 'promote', state: 'dead', node: 1, formerPrimary: 0 } as const;
const lost = { 0: stopped, 1: receivesNothing, 2: vanished };

export const rivalStories: readonly FailoverStory[] = [
  {
    title: 'a pgpool hears a node as a primary that the worker does not reach',
    topology: '0* stopped, 1 well, 2 vanished; pgpool hears 2 as a primary',
    facts: { nodes: lost, pgpools: [hears] },
    expected: refused,
  },
  {
    title: 'a pgpool hears it and has given it up: a former primary, which it will not use',
    topology: '0* stopped, 1 well, 2 vanished; pgpool has detached 2, and hears it as a primary',
    facts: {
      nodes: lost,
      pgpools: [but(hears, 2, { status: 'down' })],
    },
    expected: promoted,
  },
  {
    title: 'a silent node accepted writes on a newer timeline when the watch heard it: pgpool uses whom it finds',
    topology: '0* stopped, 1 well, 2 vanished; watch: 2 accepted writes on timeline 2',
    facts: { nodes: lost, watch: watched(heard(2, 2)), pgpools: [] },
    expected: refused,
  },
  {
    title: 'a silent node accepted writes on the timeline of the standbys: a former primary that vanished',
    topology: '0* stopped, 1 well, 2 vanished; watch: 2 accepted writes on timeline 1',
    facts: { nodes: lost, watch: watched(heard(2, 1)) },
    expected: promoted,
  },
  {
    title: 'a silent node accepted writes on a newer timeline an hour ago: promoted by mistake, and gone since',
    topology: '0* stopped, 1 well, 2 vanished; watch: 2 accepted writes on timeline 2, an hour ago',
    facts: {
      nodes: lost,
      watch: watched({ ...heard(2, 2), answeredAt: '2025-12-31T22:59:58.000Z' }),
      pgpools: [],
    },
    expected: promoted,
  },
  {
    title: 'the standbys have gone past the recorded promotion: somebody has promoted the silent node since',
    topology: '0 1 on timeline 3, 2* vanished, 3 stopped; record: 3 on timeline 2; pgpool: 2/2',
    configuration: makeConfiguration({}, 4),
    facts: {
      nodes: { 0: onTimeline3, 1: onTimeline3, 2: vanished, 3: stopped },
      record: makeRecord({ primary: 3, former: null }, 4),
      pgpools: [],
      probes: [probe(0, 'silent'), probe(1, 'silent')],
    },
    request: { failedNode: 2, oldPrimary: 2, isPrimaryReported: true, lasted: 2 },
    expected: refused,
  },
  {
    title: 'a late event of a pgpool that knew the primary before: the only pgpool that answers uses today’s',
    topology: '0 vanished, 1* stopped, 2 on timeline 2; record: 1 after 0; pgpool1: 0/0; pgpool0 uses 1',
    facts: {
      nodes: { 0: vanished, 1: stopped, 2: { ...onTimeline2, walReceiver: null } },
      record: makeRecord(),
      pgpools: [pgpoolSees(1, { 1: 'down' })],
    },
    request: { failedNode: 0, oldPrimary: 0, isPrimaryReported: true, lasted: 1 },
    expected: refused,
  },
  {
    title: 'pgpool’s own primary is silent, and the record names another one, which is dead',
    topology: '0* stopped, 1 well, 2 vanished; record: 0; pgpool: 2/2',
    facts: { nodes: lost, record: own },
    request: { failedNode: 2, oldPrimary: 2, isPrimaryReported: true },
    expected: refused,
  },
  {
    title: 'pgpool’s own primary is the one before the recorded promotion: its event is late',
    topology: '0 vanished, 1* stopped, 2 on timeline 2; record: 1 after 0; pgpool: 0/0',
    facts: {
      nodes: { 0: vanished, 1: stopped, 2: { ...onTimeline2, walReceiver: null } },
      record: makeRecord(),
      pgpools: [pgpoolSees(null, { 0: 'down', 1: 'down' })],
    },
    request: { failedNode: 0, oldPrimary: 0, isPrimaryReported: true },
    expected: { action: 'promote', state: 'dead', node: 2, formerPrimary: 1 },
  },
  {
    title: 'beside a node that accepts writes another one is silent that pgpool served on a newer timeline',
    topology: '0* well, 1 well, 2 vanished; watch: 2 accepted writes on timeline 2, served',
    facts: { nodes: { 2: vanished }, watch: watched(heard(2, 2), 2) },
    request: { failedNode: 2, oldPrimary: 2 },
    expected: { action: 'refuse', reason: 'two-primaries' },
  },
  {
    title: 'beside a node that accepts writes the silent one is a former primary on an older timeline',
    topology: '1* on timeline 2, 2 follows it, 0 vanished; watch: 0 accepted writes on timeline 1, served',
    facts: {
      nodes: { 0: vanished, 1: promotedToTimeline2, 2: { ...onTimeline2, walReceiver: receiverFrom(1, 2) } },
      watch: watched(heard(0, 1), 0),
    },
    expected: { action: 'keep', reason: 'already-failed-over', node: 1 },
  },
  {
    title: 'nobody has given the primary up: a person may have stopped it with pgpool',
    topology: '0* stopped, 1 2 well; no pgpool answers; a person wants 2 back',
    facts: { nodes: { 0: stopped, 1: receivesNothing, 2: receivesNothing }, pgpools: [], record: own },
    request: { failedNode: null, oldPrimary: null, rejoin: 2 },
    expected: refused,
  },
  {
    title: 'pgpool shows the primary as down',
    topology: '0* stopped, 1 2 well; pgpool shows 0 down; a person wants 2 back',
    facts: {
      nodes: { 0: stopped, 1: receivesNothing, 2: receivesNothing },
      pgpools: [but(view, 0, { status: 'down' })],
      record: own,
    },
    request: { failedNode: null, oldPrimary: null, rejoin: 2 },
    expected: promoted,
  },
  {
    title: 'no pgpool takes the primary for one: it serves nobody',
    topology: '0* stopped, 1 2 well; pgpool shows no primary; 2 returned',
    facts: {
      nodes: { 0: stopped, 1: receivesNothing, 2: receivesNothing },
      pgpools: [pgpoolSees(null, { 0: 'down' })],
      record: own,
    },
    request: { failedNode: null, oldPrimary: null },
    expected: promoted,
  },
  {
    title: 'the last promotion of this incident is not in the record yet: an event with old numbers says nothing of it',
    topology: '0 stopped, 1* told and promoted, vanished, 2 well; record: 0; pgpool: 0/0',
    facts: {
      nodes: { 0: stopped, 1: vanished, 2: receivesNothing },
      record: own,
      pgpools: [pgpoolSees(null, { 0: 'down', 1: 'down' })],
    },
    request: { opened: [{ node: 1, timeline: 2 }], isPrimaryReported: true },
    expected: { action: 'refuse', reason: 'primary-unreachable', state: 'unknown' },
  },
  {
    title: 'the only node that answers holds another cluster’s data',
    topology: '0* stopped, 1 vanished, 2 of another system; record: 0',
    facts: {
      nodes: { 0: stopped, 1: vanished, 2: { ...receivesNothing, systemIdentifier: '7000000000000000099' } },
      record: own,
    },
    expected: { action: 'refuse', reason: 'other-system' },
  },
  {
    title:
      'a person has made the recorded primary a standby, and the only candidate stayed behind on the timeline before',
    topology: '0 stopped, 1* a standby with priority 0 on timeline 2, 2 on timeline 1; record: 1 on timeline 2',
    configuration: makeConfiguration({ nodes: { 1: { priority: 0 } } }),
    facts: {
      nodes: { 0: stopped, 1: { ...onTimeline2, walReceiver: null }, 2: receivesNothing },
      record: makeRecord(),
    },
    expected: { action: 'refuse', reason: 'diverged-branches' },
  },
];
