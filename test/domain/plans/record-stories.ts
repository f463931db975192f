// Stories of planFailover in which the record of an earlier decision counts. Told in failover.test.ts.

import type { ClusterRecord } from '../../../domain/facts/record';
import { recordedNodes } from '../../../domain/facts/record';
import {
  makeConfiguration,
  onTimeline2,
  pgpoolSees,
  probe,
  receivesNothing,
  stopped,
  stoppedAt,
  systemIdentifier,
  vanished,
  wellLsn,
} from '../builders';
import type { FailoverStory } from './failover-stories';

/** Node 1 was promoted by us on new year's eve; node 0 was not proven to be stopped. */
export function makeRecord(more: Partial<ClusterRecord> = {}, count = 3): ClusterRecord {
  return {
    systemIdentifier,
    primary: 1,
    timeline: 2,
    openedBy: 'us',
    former: { node: 0, isFenceConfirmed: false },
    away: [0],
    at: '2025-12-31T12:00:00.000Z',
    since: '2025-12-31T12:00:00.000Z',
    by: 'pgpool-shop/run',
    voids: null,
    nodes: recordedNodes(makeConfiguration({}, count)),
    ...more,
  };
}

const lost = (...down: number[]) => [pgpoolSees(null, Object.fromEntries(down.map((node) => [node, 'down'])))];
/** A node that is back, writable on timeline 1, without clients and standbys. */
const stale = { clients: 0, followers: 0 };
const follows1 = { ...onTimeline2, walReceiver: null };
const onTimeline3 = {
  position: { timeline: 3, lsn: '0/7000000' },
  history: [
    { timeline: 1, endLsn: wellLsn },
    { timeline: 2, endLsn: '0/6000000' },
  ],
};
const failedOne = { failedNode: 1, oldPrimary: 1 };
const two = makeConfiguration({}, 2);
const moved = makeRecord({ nodes: [{ id: 0, host: '10.9.9.9', port: 5432 }] });

/** On timeline 1, so that the age of files counts. */
const vanishedPrimary = {
  nodes: {
    0: vanished,
    1: { ...receivesNothing, timelineAgeMs: 1000 },
    2: { ...receivesNothing, timelineAgeMs: 1000 },
  },
  probes: [probe(1, 'silent'), probe(2, 'silent')],
  pgpools: lost(0),
};
/** pgpool's view of the same nodes. */
const away = { 0: 'down', 3: 'down', 4: 'down' };
const onTimeline1 = { primary: 0, timeline: 1, former: null, away: [] };

export const recordStories: readonly FailoverStory[] = [
  {
    title: 'E12, two nodes: a former primary is back while its successor is down: it has been succeeded',
    topology: '0 writable on 1, unused, 1* stopped, its files are of 2; record: 1 on 2, by us',
    configuration: two,
    facts: { nodes: { 0: stale, 1: stoppedAt('0/6000000', 2) }, pgpools: lost(0, 1), record: makeRecord({}, 2) },
    request: failedOne,
    expected: { action: 'refuse', reason: 'diverged-branches' },
  },
  {
    title: 'E12, two nodes, without a record nothing tells that the former primary has been succeeded',
    topology: '0 writable on 1, 1* stopped; no record',
    configuration: two,
    facts: { nodes: { 0: stale, 1: stopped }, pgpools: lost(0, 1) },
    request: failedOne,
    expected: { action: 'keep', reason: 'already-failed-over', node: 0 },
  },
  {
    title: 'E12, three nodes: the stale one is stopped, because the standby on our timeline can be promoted after it',
    topology: '0 writable on 1, unused, 1* stopped, 2 on 2; record: 1 on 2, by us',
    facts: { nodes: { 0: stale, 1: stopped, 2: follows1 }, pgpools: lost(0, 1), record: makeRecord() },
    request: failedOne,
    expected: { action: 'fence', node: 0 },
  },
  {
    title: 'E12, three nodes: somebody has a session on the stale one',
    topology: '0 writable on 1, one session, 1* stopped, 2 on 2; record: 1 on 2, by us',
    facts: {
      nodes: { 0: { ...stale, clients: 1 }, 1: stopped, 2: follows1 },
      pgpools: lost(0, 1),
      record: makeRecord(),
    },
    request: failedOne,
    expected: { action: 'refuse', reason: 'diverged-branches' },
  },
  {
    title:
      'E12, three nodes: our last promotion was ten seconds ago and its node is only silent, so nothing is stopped yet',
    topology: '0 writable on 1, unused, 1* vanished, 2 on 2; record: 1 on 2, by us, since 10 s',
    facts: {
      nodes: { 0: stale, 1: vanished, 2: follows1 },
      pgpools: lost(0, 1),
      record: makeRecord({ since: '2025-12-31T23:59:50.000Z' }),
    },
    request: failedOne,
    expected: { action: 'refuse', reason: 'diverged-branches' },
  },
  {
    title: 'E12, three nodes: its node is silent for good',
    topology: '0 writable on 1, unused, 1* vanished, 2 on 2; record: 1 on 2, by us',
    facts: { nodes: { 0: stale, 1: vanished, 2: follows1 }, pgpools: lost(0, 1), record: makeRecord() },
    request: failedOne,
    expected: { action: 'fence', node: 0 },
  },
  {
    title: 'E12, three nodes: the standby on our timeline may not be promoted, so nothing is stopped for it',
    topology: '0 writable on 1, unused, 1* stopped, 2 on 2 with priority 0; record: 1 on 2, by us',
    configuration: makeConfiguration({ nodes: { 2: { priority: 0 } } }),
    facts: { nodes: { 0: stale, 1: stopped, 2: follows1 }, pgpools: lost(0, 1), record: makeRecord() },
    request: failedOne,
    expected: { action: 'refuse', reason: 'diverged-branches' },
  },
  {
    title: 'a record of nodes that were elsewhere is void: a restored or renumbered cluster',
    topology: '0 writable on 1, unused, 1* stopped, 2 on 2; record: of other hosts',
    facts: { nodes: { 0: stale, 1: stopped, 2: follows1 }, pgpools: lost(0, 1), record: moved },
    request: failedOne,
    expected: { action: 'refuse', reason: 'diverged-branches' },
  },
  {
    title:
      'a stray is the only writable node that the worker reaches, and the primary that everybody uses only does not answer it',
    topology: '0* vanished, served, followed by 2, 1 writable on 2, unused; record: 0 on 1',
    facts: {
      nodes: { 0: vanished, 1: { ...onTimeline2, ...stale, isInRecovery: false, walReceiver: null } },
      pgpools: [pgpoolSees(0)],
      record: makeRecord({ primary: 0, timeline: 1, former: null, away: [] }),
    },
    expected: { action: 'refuse', reason: 'accept-primary' },
  },
  {
    title: 'the same after the primary was lost: the stray lacks what the primary and its standby hold',
    topology: '0* stopped, 1 writable on 2, unused; record: 0 on 1',
    facts: {
      nodes: { 0: stopped, 1: { ...onTimeline2, ...stale, isInRecovery: false, walReceiver: null } },
      pgpools: lost(0),
      record: makeRecord({ primary: 0, timeline: 1, former: null, away: [] }),
    },
    request: { failedNode: 0, oldPrimary: 0 },
    expected: { action: 'refuse', reason: 'accept-primary' },
  },
  {
    title: 'the same without a record, while a standby still streams from the primary',
    topology: '0* vanished, followed by 2, 1 writable on 2, unused; no record',
    facts: {
      nodes: { 0: vanished, 1: { ...onTimeline2, ...stale, isInRecovery: false, walReceiver: null } },
      pgpools: [pgpoolSees(0)],
    },
    expected: { action: 'refuse', reason: 'primary-unreachable' },
  },
  {
    title: 'a promotion of ours that the record does not know yet is no rival of it',
    topology: '0* vanished, 1 writable on 2; record: 0 on 1; this incident has promoted 1',
    facts: {
      nodes: { 0: vanished, 1: { ...onTimeline2, ...stale, isInRecovery: false, walReceiver: null } },
      pgpools: [pgpoolSees(1, { 0: 'down' })],
      record: makeRecord({ primary: 0, timeline: 1, former: null, away: [] }),
    },
    request: { failedNode: 0, oldPrimary: 0, opened: [{ node: 1, timeline: 2 }] },
    expected: { action: 'keep', reason: 'already-failed-over', node: 1 },
  },
  {
    title:
      'the recorded primary works, and a standby still hears a former one that does not answer: no pgpool was asked',
    topology: '0 vanished, 1* writable on 2, 2 streams from 0; record: 1 on 2, by us',
    facts: {
      nodes: { 0: vanished, 1: { ...onTimeline2, isInRecovery: false, walReceiver: null }, 2: {} },
      pgpools: [],
      record: makeRecord(),
    },
    request: { failedNode: null, oldPrimary: null },
    expected: { action: 'keep', reason: 'primary-working', node: 1 },
  },
  {
    title: 'the recorded primary is away and pgpool serves another writable node: a person must say which is right',
    topology: '0 stopped, 1* vanished, 2 writable on 2, served; record: 1 on 2, by us',
    facts: {
      nodes: { 0: stopped, 1: vanished, 2: { ...onTimeline2, isInRecovery: false, walReceiver: null } },
      pgpools: [pgpoolSees(2, { 0: 'down', 1: 'down' })],
      record: makeRecord(),
    },
    request: failedOne,
    expected: { action: 'refuse', reason: 'accept-primary' },
  },
  {
    title:
      'the recorded primary is away, pgpool serves its successor, and a former primary is back: nobody is stopped yet',
    topology: '0 writable on 1, unused, 1* vanished, 2 writable on 3, served; record: 1 on 2, by us',
    facts: {
      nodes: { 0: stale, 1: vanished, 2: { ...onTimeline3, isInRecovery: false, walReceiver: null } },
      pgpools: [pgpoolSees(2, { 0: 'down', 1: 'down' })],
      record: makeRecord(),
    },
    request: { ...failedOne, opened: [{ node: 1, timeline: 2 }] },
    expected: { action: 'refuse', reason: 'accept-primary' },
  },
  {
    title:
      'the recorded primary was stopped by us, because pgpool serves its successor and nobody used it: that is decided',
    topology: '0 stopped by us, 1* writable on 2, served; record: 0 on 1',
    facts: {
      nodes: {
        0: { ...stopped, host: { processes: 'none', hasStandbySignal: true, fenceMark: 'after-return' } },
        1: { ...onTimeline2, isInRecovery: false, walReceiver: null },
        2: { ...onTimeline2, walReceiver: null },
      },
      pgpools: [pgpoolSees(1, { 0: 'down' })],
      record: makeRecord(onTimeline1),
    },
    request: { failedNode: 0, oldPrimary: 0, fenceTried: 0 },
    expected: { action: 'keep', reason: 'already-failed-over', node: 1 },
  },
  {
    title: 'E20: files that a rebuild wrote a second ago do not make the last promotion young',
    topology: '0* vanished, 1 2 well with young files; record: 0 since yesterday',
    facts: { ...vanishedPrimary, record: makeRecord(onTimeline1) },
    expected: { action: 'promote', state: 'unreachable', node: 1, formerPrimary: 0 },
  },
  {
    title: 'E20: without a record the files are all that tells',
    topology: '0* vanished, 1 2 well with young files; no record',
    facts: vanishedPrimary,
    expected: { action: 'refuse', reason: 'too-soon' },
  },
  {
    title: 'a promotion that the record dates ten seconds ago is young, however old the files are',
    topology: '0* vanished, 1 2 well with old files; record: 0 since 10 s',
    facts: {
      ...vanishedPrimary,
      nodes: { ...vanishedPrimary.nodes, 1: { ...receivesNothing, timelineAgeMs: 9e6 }, 2: receivesNothing },
      record: makeRecord({ ...onTimeline1, since: '2025-12-31T23:59:50.000Z' }),
    },
    expected: { action: 'refuse', reason: 'too-soon' },
  },
  {
    title: 'every node answers as a standby, no fence mark, and the record names a primary here',
    topology: '0 1 2 in recovery on 1; record: 0 on 1',
    facts: {
      nodes: { 0: { isInRecovery: true, replayedLsn: wellLsn } },
      pgpools: lost(),
      record: makeRecord(onTimeline1),
    },
    expected: { action: 'promote', state: 'dead', node: 0 },
  },
  {
    title: 'rule 5: hosts that were away before the event do not make the worker the one that is cut off',
    topology: '0* vanished, 1 2 well, 3 4 vanished long ago by the record; 6 hosts',
    configuration: makeConfiguration({}, 5),
    facts: {
      ...vanishedPrimary,
      nodes: { 0: vanished, 1: receivesNothing, 2: receivesNothing, 3: vanished, 4: vanished },
      pgpools: [pgpoolSees(null, away, 5)],
      record: makeRecord({ ...onTimeline1, away: [3, 4] }, 5),
    },
    expected: { action: 'promote', state: 'unreachable', node: 1, formerPrimary: 0 },
  },
  {
    title: 'rule 5: without a record the same silence is half of all hosts',
    topology: '0* vanished, 1 2 well, 3 4 vanished; 6 hosts',
    configuration: makeConfiguration({}, 5),
    facts: {
      ...vanishedPrimary,
      nodes: { 0: vanished, 1: receivesNothing, 2: receivesNothing, 3: vanished, 4: vanished },
      pgpools: [pgpoolSees(null, away, 5)],
    },
    expected: { action: 'refuse', reason: 'cut-off' },
  },
];
