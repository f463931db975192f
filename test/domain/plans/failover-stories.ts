// Stories for planFailover: one row each, the topology in a line, what is decided and why. Told in failover-plan.test.ts.
// 0* = node 0 is the primary; a node's state follows its number; "pgpool: d/P" are %d and %P.

import type { ClusterConfiguration } from '../../../domain/facts/cluster';
import type { FailoverPlan, FailoverRequest } from '../../../domain/plans/failover-request';
import type { ReasonCode } from '../../../domain/facts/reasons';
import type { PrimaryState } from '../../../domain/plans/primary-state';
import {
  frozen,
  makeConfiguration,
  onTimeline2,
  pgpoolSees,
  probe,
  promotedToTimeline2,
  receiverFrom,
  receivesNothing,
  recovering,
  stopped,
  vanished,
  type Differences,
} from '../builders';

export interface FailoverStory {
  readonly title: string;
  readonly topology: string;
  readonly configuration?: ClusterConfiguration;
  readonly facts: Differences;
  readonly request?: Partial<FailoverRequest>;
  readonly expected: {
    readonly action: FailoverPlan['action'];
    readonly reason?: ReasonCode;
    readonly state?: PrimaryState;
    /** The candidate, the kept primary, or the node that is fenced or given time. */
    readonly node?: number;
    readonly formerPrimary?: number;
    /** A proven fence must come before the promotion. */
    readonly needsFence?: boolean;
  };
}

export const withoutReceivers = { 1: receivesNothing, 2: receivesNothing };
export const pgpoolLost = [pgpoolSees(0, { 0: 'down' })];
export const parks = makeConfiguration({ policy: { unreachableHost: 'park' } });

export const livingPrimaryStories: readonly FailoverStory[] = [
  {
    title: 'pgpool names a healthy primary: it is kept',
    topology: '0* well, 1 2 stream from 0; pgpool: 0/0',
    facts: {},
    expected: { action: 'keep', reason: 'primary-kept', node: 0 },
  },
  {
    title: 'pgpool names a healthy primary whose WAL receivers are gone: one answer to SQL is enough',
    topology: '0* well, 1 2 hear nothing; pgpool: 0/0',
    facts: { nodes: withoutReceivers, pgpools: pgpoolLost },
    expected: { action: 'keep', reason: 'primary-kept', node: 0 },
  },
  {
    title: 'a standby dies: nothing is promoted',
    topology: '0* well, 1 well, 2 stopped; pgpool: 2/0',
    facts: { nodes: { 2: stopped } },
    request: { failedNode: 2 },
    expected: { action: 'keep', reason: 'standby-failed', node: 0 },
  },
  {
    title: 'the standby with the lowest id dies: still no promotion, although %m changes',
    topology: '0* well, 1 vanished, 2 well; pgpool: 1/0',
    facts: { nodes: { 1: vanished } },
    request: { failedNode: 1 },
    expected: { action: 'keep', reason: 'standby-failed', node: 0 },
  },
  {
    title: 'pgpool names a standby that answers: the primary works, nobody failed',
    topology: '0* well, 1 2 well; pgpool: 2/0',
    facts: {},
    request: { failedNode: 2 },
    expected: { action: 'keep', reason: 'primary-working', node: 0 },
  },
  {
    title: 'a standby dies while pgpool knows no primary (%P = -1)',
    topology: '0* well, 1 well, 2 stopped; pgpool: 2/-1',
    facts: { nodes: { 2: stopped }, pgpools: [pgpoolSees(null)] },
    request: { failedNode: 2, oldPrimary: null },
    expected: { action: 'keep', reason: 'standby-failed', node: 0 },
  },
  {
    title: 'an event without any number while the primary works changes nothing',
    topology: '0* well, 1 2 well; pgpool: -1/-1',
    facts: {},
    request: { failedNode: null, oldPrimary: null },
    expected: { action: 'keep', reason: 'primary-working', node: 0 },
  },
  {
    title: 'the same event comes again after the failover',
    topology: '0 stopped, 1* on timeline 2, 2 streams from 1; pgpool: 0/0',
    facts: { nodes: { 0: stopped, 1: promotedToTimeline2, 2: { ...onTimeline2, walReceiver: receiverFrom(1, 2) } } },
    expected: { action: 'keep', reason: 'already-failed-over', node: 1 },
  },
  {
    title: 'the same event comes again after the old primary has become a standby',
    topology: '0 streams from 1, 1* on timeline 2; pgpool: 0/0',
    facts: { nodes: { 0: { ...onTimeline2, isInRecovery: true }, 1: promotedToTimeline2, 2: onTimeline2 } },
    expected: { action: 'keep', reason: 'already-failed-over', node: 1 },
  },
  {
    title: 'pgpool calls for a promoted node in the role that it had before (%d = new primary, %P = the old one)',
    topology: '0 stopped, 1* on timeline 2, 2 well; pgpool: 1/0',
    facts: { nodes: { 0: stopped, 1: promotedToTimeline2 } },
    request: { failedNode: 1 },
    expected: { action: 'keep', reason: 'primary-kept', node: 1 },
  },
  {
    title: 'after the fence somebody started the only writable node: it is kept',
    topology: '0 fenced, 1* on timeline 2; plan again',
    facts: { nodes: { 0: stopped, 1: promotedToTimeline2 } },
    request: { fencedNode: 0, hasWaited: true },
    expected: { action: 'keep', reason: 'already-failed-over', node: 1 },
  },
  {
    title: 'the worker cannot reach the primary but the host of a standby can: it is kept',
    topology: '0* silent to the worker, answers node 2; pgpool: 0/0',
    facts: { nodes: { 0: vanished }, probes: [probe(1, 'silent'), probe(2, 'answered')], pgpools: pgpoolLost },
    expected: { action: 'keep', reason: 'primary-kept', state: 'working', node: 0 },
  },
  {
    title: 'the port is closed to the worker by a firewall, and the host of a standby gets an answer: it is kept',
    topology: '0* refuses the worker, answers node 1; pgpool: 0/0',
    facts: { nodes: { 0: { ...vanished, sql: 'refused' } }, probes: [probe(1, 'answered')], pgpools: pgpoolLost },
    expected: { action: 'keep', reason: 'primary-kept', state: 'working', node: 0 },
  },
];

export const lostPrimaryStories: readonly FailoverStory[] = [
  {
    title: 'the primary was shut down at once, as in the article: the first standby is promoted',
    topology: '0* stopped, 1 2 equal; pgpool: 0/0',
    facts: { nodes: { 0: stopped, ...withoutReceivers }, pgpools: pgpoolLost },
    expected: { action: 'promote', state: 'dead', node: 1, formerPrimary: 0 },
  },
  {
    title: 'pgpool knew no primary (%P = -1): the failed node is not a standby, so it was the primary',
    topology: '0* stopped, 1 2 equal; pgpool: 0/-1',
    facts: { nodes: { 0: stopped, ...withoutReceivers }, pgpools: [pgpoolSees(null)] },
    request: { oldPrimary: null },
    expected: { action: 'promote', state: 'dead', node: 1, formerPrimary: 0 },
  },
  {
    title: 'no number at all: the one node that does not answer was the primary',
    topology: '0* stopped, 1 2 equal; pgpool: -1/-1',
    facts: { nodes: { 0: stopped, ...withoutReceivers }, pgpools: [] },
    request: { failedNode: null, oldPrimary: null, isPrimaryReported: true },
    expected: { action: 'promote', state: 'dead', node: 1, formerPrimary: 0 },
  },
  {
    title:
      'the event is about a standby that answers, the primary is dead, and no pgpool says so: a person may have stopped it',
    topology: '0* stopped, 1 2 equal; pgpool: 2/0',
    facts: { nodes: { 0: stopped, ...withoutReceivers } },
    request: { failedNode: 2 },
    // A pgpool that uses node 0 reports it, too.
    expected: { action: 'refuse', reason: 'primary-unreachable' },
  },
  {
    title: 'primary and lowest standby die together and pgpool calls one hook: the last standby is promoted',
    topology: '0* stopped, 1 stopped, 2 well; pgpool: 0/0',
    facts: { nodes: { 0: stopped, 1: stopped, 2: receivesNothing } },
    expected: { action: 'promote', state: 'dead', node: 2, formerPrimary: 0 },
  },
  {
    title: 'SIGKILL left orphan backends that go on committing: the primary is dead, and is fenced first',
    topology: '0* port closed, orphans; pgpool: 0/0',
    facts: { nodes: { 0: { ...stopped, host: { processes: 'orphans' } }, ...withoutReceivers } },
    expected: { action: 'promote', state: 'dead', node: 1, formerPrimary: 0 },
  },
  {
    title: 'the primary is frozen: process there, SQL silent; it is fenced and replaced',
    topology: '0* frozen, 1 2 heard it 12 s ago; pgpool: 0/0',
    facts: {
      nodes: {
        0: frozen,
        1: { walReceiver: { lastMessageAgeMs: 12_000 } },
        2: { walReceiver: { lastMessageAgeMs: 12_000 } },
      },
      probes: [probe(1, 'silent'), probe(2, 'silent')],
      pgpools: pgpoolLost,
    },
    expected: { action: 'promote', state: 'hung', node: 1, formerPrimary: 0 },
  },
  {
    title: 'SQLSTATE 57P03: the primary is given time first',
    topology: '0* in crash recovery; pgpool: 0/0',
    facts: { nodes: { 0: recovering, ...withoutReceivers } },
    expected: { action: 'wait', state: 'recovering', node: 0 },
  },
  {
    title: 'SQLSTATE 57P03 seen only from the host of a standby: time as well',
    topology: '0* silent to the worker, recovering to node 2; pgpool: 0/0',
    facts: { nodes: { 0: vanished, ...withoutReceivers }, probes: [probe(2, 'recovering')], pgpools: pgpoolLost },
    expected: { action: 'wait', state: 'recovering', node: 0 },
  },
  {
    title: 'SQLSTATE 57P03 after crashRecoveryMs: it is fenced and replaced',
    topology: '0* still in crash recovery; pgpool: 0/0',
    facts: { nodes: { 0: recovering, ...withoutReceivers } },
    request: { hasWaited: true },
    expected: { action: 'promote', state: 'recovering', node: 1, formerPrimary: 0 },
  },
  {
    title: 'the whole host vanished and two hosts fail to reach it',
    topology: '0* vanished for the worker and node 1; pgpool: 0/0',
    facts: { nodes: { 0: vanished, ...withoutReceivers }, probes: [probe(1, 'silent')], pgpools: pgpoolLost },
    expected: { action: 'promote', state: 'unreachable', node: 1, formerPrimary: 0 },
  },
  {
    title:
      'the host vanished while receivers still say "streaming", with messages from before the event: no sign of life',
    topology: '0* vanished, 1 2 "streaming", last message 8 s ago, event 2 s ago; pgpool: 0/0',
    facts: {
      nodes: {
        0: vanished,
        1: { walReceiver: { lastMessageAgeMs: 8000 } },
        2: { walReceiver: { lastMessageAgeMs: 8000 } },
      },
      probes: [probe(1, 'silent'), probe(2, 'silent')],
      pgpools: pgpoolLost,
    },
    request: { sinceEventMs: 2000 },
    expected: { action: 'promote', state: 'unreachable', node: 1, formerPrimary: 0 },
  },
  {
    title: 'the host vanished long after the last promotion',
    topology: '0 gone since then, 1* vanished on timeline 2 (5 minutes old), 2 well; pgpool: 1/1',
    facts: {
      nodes: { 0: stopped, 1: vanished, 2: { ...onTimeline2, ...receivesNothing } },
      probes: [probe(0, 'unknown', 1), probe(2, 'silent', 1)],
      pgpools: [pgpoolSees(1, { 1: 'down' })],
    },
    request: { failedNode: 1, oldPrimary: 1 },
    expected: { action: 'promote', state: 'unreachable', node: 2, formerPrimary: 1 },
  },
  {
    title: 'a second failover at once is allowed when the primary is proven dead',
    topology: '0 gone, 1* stopped on timeline 2 (1 s old), 2 well; pgpool: 1/1',
    facts: { nodes: { 0: stopped, 1: stopped, 2: { ...onTimeline2, timelineAgeMs: 1000, walReceiver: null } } },
    request: { failedNode: 1, oldPrimary: 1 },
    expected: { action: 'promote', state: 'dead', node: 2, formerPrimary: 1 },
  },
];

export const fencedStories: readonly FailoverStory[] = [
  {
    title: 'after the fence the silent host counts as settled, whatever its state was',
    topology: '0 fenced, still silent; plan again',
    configuration: parks,
    facts: { nodes: { 0: vanished }, pgpools: [pgpoolSees(0)] },
    request: { fencedNode: 0, hasWaited: true },
    expected: { action: 'promote', state: 'dead', node: 1, formerPrimary: 0 },
  },
  {
    title: 'a fenced node that its service started again answers as a standby: it is not a candidate',
    topology: '0 fenced, answers in recovery and is ahead, 1 2 well; plan again',
    facts: { nodes: { 0: { isInRecovery: true, position: { timeline: 1, lsn: '0/5000800' } }, ...withoutReceivers } },
    request: { fencedNode: 0, hasWaited: true },
    expected: { action: 'promote', state: 'dead', node: 1, formerPrimary: 0 },
  },
  {
    title: 'a fenced node that answers as a standby is the last one: nobody is promoted',
    topology: '0 fenced, answers in recovery, 1 2 stopped; plan again',
    facts: { nodes: { 0: { isInRecovery: true }, 1: stopped, 2: stopped } },
    request: { fencedNode: 0, hasWaited: true },
    expected: { action: 'refuse', reason: 'no-candidate' },
  },
  {
    title: 'the first candidate failed and was fenced: the next one is promoted, the primary is not fenced again',
    topology: '0 fenced, 1 fenced candidate, 2 well; next round',
    facts: { nodes: { 0: stopped, 1: stopped, 2: receivesNothing } },
    request: { fencedNode: 0, excluded: [1], hasWaited: true },
    expected: { action: 'promote', state: 'dead', node: 2, formerPrimary: 0 },
  },
  {
    title: 'every candidate failed: people are asked',
    topology: '0 fenced, 1 2 tried; next round',
    facts: { nodes: { 0: stopped, ...withoutReceivers } },
    request: { fencedNode: 0, excluded: [1, 2], hasWaited: true },
    expected: { action: 'refuse', reason: 'no-candidate' },
  },
];

/** Which node was the primary? pgpool's numbers may be older than the last promotion. */
export const suspectStories: readonly FailoverStory[] = [
  {
    title: 'pgpool still names the primary before the last one: the frozen node without standby.signal is fenced',
    topology: '0 fenced long ago, 1* frozen on timeline 2, 2 streams from 1; pgpool: 1/0',
    facts: {
      nodes: {
        0: { ...stopped, host: { processes: 'none', hasStandbySignal: true } },
        1: frozen,
        2: { ...onTimeline2, walReceiver: { ...receiverFrom(1, 2), lastMessageAgeMs: 9000 } },
      },
      pgpools: [pgpoolSees(0, { 0: 'down', 1: 'down' })],
    },
    request: { failedNode: 1 },
    expected: { action: 'promote', state: 'hung', node: 2, formerPrimary: 1 },
  },
  {
    title:
      'pgpool still names the primary before the last one, and its successor vanished: standby.signal clears the old one',
    topology: '0 fenced long ago, 1* vanished on timeline 2, 2 streamed from 1; pgpool: 1/0',
    facts: {
      nodes: {
        0: { ...stopped, host: { processes: 'none', hasStandbySignal: true } },
        1: vanished,
        2: { ...onTimeline2, walReceiver: { ...receiverFrom(1, 2), lastMessageAgeMs: 9000 } },
      },
      probes: [probe(2, 'silent', 1)],
      pgpools: [pgpoolSees(0, { 0: 'down', 1: 'down' })],
    },
    request: { failedNode: 1 },
    expected: { action: 'promote', state: 'unreachable', node: 2, formerPrimary: 1 },
  },
  {
    title: 'pgpool knew no primary and names a stopped standby: its standby.signal says that it was none',
    topology: '0* frozen, 1 well, 2 stopped standby; pgpool: 2/-1',
    facts: {
      nodes: { 0: frozen, 1: receivesNothing, 2: { ...stopped, host: { processes: 'none', hasStandbySignal: true } } },
      pgpools: [],
    },
    request: { failedNode: 2, oldPrimary: null, isPrimaryReported: true, lasted: 0 },
    expected: { action: 'promote', state: 'hung', node: 1, formerPrimary: 0 },
  },
  {
    title: 'a standby’s receiver says who the primary was when pgpool knows nothing',
    topology: '0* vanished, 1 well, 2 stopped; pgpool: 2/-1',
    facts: {
      nodes: { 0: vanished, 1: { walReceiver: { lastMessageAgeMs: 9000 } }, 2: stopped },
      probes: [probe(1, 'silent')],
      pgpools: [{ ...pgpoolSees(null), nodes: [] }],
    },
    request: { failedNode: 2, oldPrimary: null, isPrimaryReported: true, lasted: 0 },
    expected: { action: 'promote', state: 'unreachable', node: 1, formerPrimary: 0 },
  },
  {
    title: 'a cluster that follows another one has lost a standby: a node with standby.signal was no primary',
    topology: '0 follows a foreign primary, 1 a stopped standby; pgpool: 1/-1; two nodes',
    configuration: makeConfiguration({}, 2),
    facts: {
      nodes: {
        0: { isInRecovery: true, walReceiver: { host: '10.9.9.9', port: 5432 } },
        1: { ...stopped, host: { processes: 'none', hasStandbySignal: true } },
      },
      pgpools: [pgpoolSees(null, {}, 2)],
    },
    request: { failedNode: 1, oldPrimary: null },
    expected: { action: 'refuse', reason: 'primary-unknown' },
  },
  {
    title: 'a cluster that follows another one has lost the host of a standby: that was no primary either',
    topology: '0 follows a foreign primary, 1 vanished; pgpool: 1/-1; two nodes',
    configuration: makeConfiguration({}, 2),
    facts: {
      nodes: { 0: { isInRecovery: true, walReceiver: { host: '10.9.9.9', port: 5432 } }, 1: vanished },
      probes: [{ ...probe(0, 'silent'), about: 1 }],
      pgpools: [pgpoolSees(null, {}, 2)],
    },
    request: { failedNode: 1, oldPrimary: null, lasted: 1 },
    expected: { action: 'refuse', reason: 'primary-unknown' },
  },
  {
    title: 'an earlier incident fenced the primary and ended: it is still the one that must be replaced',
    topology: '0 fenced (standby.signal), 1 2 well; pgpool: 0/0',
    facts: { nodes: { 0: { ...stopped, host: { processes: 'none', hasStandbySignal: true } }, ...withoutReceivers } },
    expected: { action: 'promote', state: 'dead', node: 1, formerPrimary: 0 },
  },
  {
    title: 'pgpool’s roles name the primary when the event does not and two nodes are silent',
    topology: '0* stopped, 1 well, 2 stopped; pgpool: -1/-1, role primary on 0',
    facts: { nodes: { 0: stopped, 1: receivesNothing, 2: stopped } },
    request: { failedNode: null, oldPrimary: null, isPrimaryReported: true },
    expected: { action: 'promote', state: 'dead', node: 1, formerPrimary: 0 },
  },
];
