// Stories in which planFailover promotes no node: refusals, and two primaries. Told in failover-plan.test.ts.

import {
  at,
  frozen,
  onTimeline2,
  pgpoolSees,
  probe,
  promotedToTimeline2,
  receiverFrom,
  receivesNothing,
  stopped,
  vanished,
} from '../builders';
import { parks, pgpoolLost, withoutReceivers, type FailoverStory } from './failover-stories';

export const refusalStories: readonly FailoverStory[] = [
  {
    title: 'pgpool names a node that the cluster file does not know',
    topology: '0* stopped; pgpool: 7/0',
    facts: { nodes: { 0: stopped } },
    request: { failedNode: 7 },
    expected: { action: 'refuse', reason: 'node-not-configured' },
  },
  {
    title: 'pgpool’s old primary is a node that the cluster file does not know',
    topology: '0* well; pgpool: 0/9',
    facts: {},
    request: { oldPrimary: 9 },
    expected: { action: 'refuse', reason: 'node-not-configured' },
  },
  {
    title: 'the fenced node was taken out of the cluster file meanwhile',
    topology: '0 1 2 known, node 5 was fenced',
    facts: { nodes: { 0: stopped } },
    request: { fencedNode: 5 },
    expected: { action: 'refuse', reason: 'node-not-configured' },
  },
  {
    title: 'every node is a standby and no number names a primary',
    topology: '0 1 2 in recovery; pgpool: -1/-1',
    facts: { nodes: { 0: { isInRecovery: true }, ...withoutReceivers }, pgpools: [pgpoolSees(null)] },
    request: { failedNode: null, oldPrimary: null },
    expected: { action: 'refuse', reason: 'primary-unknown' },
  },
  {
    title: 'every node is a standby, even the one that pgpool calls the primary',
    topology: '0 restarted as a standby, 1 2 well; pgpool: 0/0',
    facts: { nodes: { 0: { isInRecovery: true } } },
    expected: { action: 'refuse', reason: 'primary-unknown' },
  },
  {
    title: 'the primary answers but has no connection to spare',
    topology: '0* rejects (53300), 1 2 well; pgpool: 0/0',
    facts: { nodes: { 0: { ...frozen, sql: 'rejected', sqlSeen: 'too many clients already (53300)' } } },
    expected: { action: 'refuse', reason: 'primary-rejects-queries', state: 'rejecting' },
  },
  {
    title: 'the primary is silent to one host only, and no other host could ask',
    topology: '0* silent to the worker, probes impossible; pgpool: 0/0',
    facts: {
      nodes: { 0: vanished, ...withoutReceivers },
      probes: [probe(1, 'unknown'), probe(2, 'unknown')],
      pgpools: pgpoolLost,
    },
    expected: { action: 'refuse', reason: 'primary-unreachable', state: 'unknown' },
  },
  {
    title: 'a first look in which somebody else heard from the primary is not of one mind: it is taken again',
    topology: '0* silent to the worker and nodes 1 2, up for pgpool; pgpool: 0/0',
    facts: { nodes: { 0: vanished, ...withoutReceivers }, probes: [probe(1, 'silent'), probe(2, 'silent')] },
    expected: { action: 'look-again', state: 'unknown', node: 0 },
  },
  {
    title: 'the primary is silent to two hosts, but a WAL message came after the event',
    topology: '0* silent, 2 heard it 100 ms ago, event 2 s ago; pgpool: 0/0',
    facts: {
      nodes: { 0: vanished, 1: receivesNothing, 2: { walReceiver: { lastMessageAgeMs: 100 } } },
      probes: [probe(1, 'silent'), probe(2, 'silent')],
      pgpools: pgpoolLost,
    },
    request: { sinceEventMs: 2000, hasLookedAgain: true },
    expected: { action: 'refuse', reason: 'primary-unreachable', state: 'unknown' },
  },
  {
    title: 'pgpool’s own live look says up while everybody else is met with silence',
    topology: '0* silent to the worker and nodes 1 2, up for pgpool; pgpool: 0/0',
    facts: { nodes: { 0: vanished, ...withoutReceivers }, probes: [probe(1, 'silent'), probe(2, 'silent')] },
    request: { hasLookedAgain: true },
    expected: { action: 'refuse', reason: 'primary-unreachable', state: 'unknown' },
  },
  {
    title: 'a firewall refuses the worker, but pgpool’s live look says up: no proof of death',
    topology: '0* refuses the worker, ssh silent, up for pgpool; pgpool: 0/0',
    facts: { nodes: { 0: { ...vanished, sql: 'refused', sqlSeen: 'connection refused' }, ...withoutReceivers } },
    request: { hasLookedAgain: true },
    expected: { action: 'refuse', reason: 'primary-unreachable', state: 'unknown' },
  },
  {
    title: 'policy.unreachableHost is park: a vanished host is for people to judge',
    topology: '0* vanished for the worker and node 1; pgpool: 0/0',
    configuration: parks,
    facts: { nodes: { 0: vanished, ...withoutReceivers }, probes: [probe(1, 'silent')], pgpools: pgpoolLost },
    expected: { action: 'refuse', reason: 'primary-unreachable', state: 'unreachable' },
  },
  {
    title: 'a vanished host seconds after the last promotion is too soon',
    topology: '0 gone, 1* vanished on timeline 2 (59 s old), 2 well; pgpool: 1/1',
    facts: {
      nodes: { 0: stopped, 1: vanished, 2: { ...onTimeline2, timelineAgeMs: 59_999, walReceiver: null } },
      probes: [probe(2, 'silent', 1)],
      pgpools: [pgpoolSees(1, { 1: 'down' })],
    },
    request: { failedNode: 1, oldPrimary: 1 },
    expected: { action: 'refuse', reason: 'too-soon', state: 'unreachable' },
  },
];

const foreign = '7999999999999999999';

/** A former primary without clients and standbys. */
const unused = { clients: 0, followers: 0 };
const servedTwo = { 1: promotedToTimeline2, 2: { ...onTimeline2, walReceiver: receiverFrom(1, 2) } };

export const twoPrimariesStories: readonly FailoverStory[] = [
  {
    title: 'the former primary came back by itself, pgpool serves its successor, nobody is on it: it is fenced',
    topology: '0* timeline 1, unused, 1* timeline 2 forked from 1, 2 follows 1; pgpool: 0/0',
    facts: { nodes: { 0: unused, ...servedTwo }, pgpools: [pgpoolSees(1)] },
    expected: { action: 'fence', node: 0 },
  },
  {
    title:
      'the former primary came back with clients on it, and a promotion of ours opened the newer timeline: it is fenced',
    topology: '0* timeline 1, 3 clients, 1* timeline 2 by us; no pgpool answers',
    facts: { nodes: servedTwo, pgpools: [] },
    request: { opened: [{ node: 1, timeline: 2 }] },
    expected: { action: 'fence', node: 0 },
  },
  {
    title: 'our promotion was followed by another one: the newer timeline descends from ours',
    topology: '0* timeline 1, 2* timeline 3 from 2, which we opened on node 1; pgpool: 0/0',
    facts: {
      nodes: {
        1: stopped,
        2: {
          ...promotedToTimeline2,
          position: { timeline: 3, lsn: '0/5000200' },
          history: [
            { timeline: 1, endLsn: '0/5000000' },
            { timeline: 2, endLsn: '0/5000100' },
          ],
        },
      },
      pgpools: [],
    },
    request: { opened: [{ node: 1, timeline: 2 }] },
    expected: { action: 'fence', node: 0 },
  },
  {
    title: 'somebody promoted a standby by mistake while the primary serves: nothing is stopped',
    topology: '0* timeline 1 serves and is followed by 1, 2* timeline 2; pgpool: 1/0, primary 0',
    facts: { nodes: { 2: promotedToTimeline2 } },
    request: { failedNode: 1 },
    expected: { action: 'refuse', reason: 'two-primaries' },
  },
  {
    title: 'a stray has the same timeline number as a promotion of ours on another node: nothing is stopped',
    topology: '0* timeline 1 serves, 2* timeline 2, ours was on node 1',
    facts: { nodes: { 2: promotedToTimeline2 } },
    request: { opened: [{ node: 1, timeline: 2 }] },
    expected: { action: 'refuse', reason: 'two-primaries' },
  },
  {
    title: 'pgpool took up the stray, but a standby still follows the older one: nothing is stopped',
    topology: '0* timeline 1 followed by 1, 2* timeline 2; pgpool: primary 2',
    facts: { nodes: { 0: unused, 2: promotedToTimeline2 }, pgpools: [pgpoolSees(2)] },
    expected: { action: 'refuse', reason: 'two-primaries' },
  },
  {
    title: 'pgpool serves the newer one, but clients are on the older: nothing is stopped',
    topology: '0* timeline 1 with one client, 1* timeline 2, 2 follows 1; pgpool: primary 1',
    facts: { nodes: { 0: { clients: 1, followers: 0 }, ...servedTwo }, pgpools: [pgpoolSees(1)] },
    expected: { action: 'refuse', reason: 'two-primaries' },
  },
  {
    title: 'a standby outside of the cluster file follows the older one: nothing is stopped',
    topology: '0* timeline 1 with one foreign follower, 1* timeline 2; pgpool: primary 1',
    facts: { nodes: { 0: { clients: 0, followers: 1 }, ...servedTwo }, pgpools: [pgpoolSees(1)] },
    expected: { action: 'refuse', reason: 'two-primaries' },
  },
  {
    title: 'two pgpools disagree about two primaries: nothing is stopped',
    topology: '0* timeline 1, unused, 1* timeline 2; pgpool0: primary 1, pgpool1: primary 0',
    facts: {
      nodes: { 0: unused, ...servedTwo },
      pgpools: [pgpoolSees(1), { ...pgpoolSees(0), pgpool: 'pgpool1' }],
    },
    expected: { action: 'refuse', reason: 'two-primaries' },
  },
  {
    title: 'a person wants the stray back: the primary is not stopped for it',
    topology: '0* timeline 1, unused, 2* timeline 2; rejoin 2; pgpool: primary 2',
    facts: { nodes: { 0: unused, 1: receivesNothing, 2: promotedToTimeline2 }, pgpools: [pgpoolSees(2)] },
    request: { failedNode: null, oldPrimary: null, rejoin: 2 },
    expected: { action: 'refuse', reason: 'two-primaries' },
  },
  {
    title: 'a person wants the former primary back, which came up writable: it is fenced',
    topology: '0* timeline 1, unused, 1* timeline 2; rejoin 0; pgpool: primary 1',
    facts: { nodes: { 0: unused, ...servedTwo }, pgpools: [pgpoolSees(1)] },
    request: { failedNode: null, oldPrimary: null, rejoin: 0 },
    expected: { action: 'fence', node: 0 },
  },
  {
    title: 'the former primary has the higher id and more WAL, and is fenced all the same',
    topology: '0* timeline 2, 1* timeline 1 and ahead, unused; pgpool: 2/1, primary 0',
    facts: { nodes: { 0: promotedToTimeline2, 1: { ...at('9/0'), isInRecovery: false, ...unused }, 2: stopped } },
    request: { failedNode: 2, oldPrimary: 1 },
    expected: { action: 'fence', node: 1 },
  },
  {
    title: 'the former primary accepts writes although it was fenced: people are asked',
    topology: '0* timeline 1, unused, its stop was tried, 1* timeline 2; plan again',
    facts: { nodes: { 0: unused, ...servedTwo }, pgpools: [pgpoolSees(1)] },
    request: { fenceTried: 0 },
    expected: { action: 'refuse', reason: 'two-primaries' },
  },
  {
    title:
      'a former primary boots writable while its successor is down: the standbys hold more than it, so it is not served',
    topology: '0* timeline 1, 1 stopped, 2 on timeline 2; pgpool: 1/1, primary 1',
    facts: { nodes: { 0: unused, 1: stopped, 2: { ...onTimeline2, walReceiver: null } }, pgpools: [pgpoolSees(1)] },
    request: { failedNode: 1, oldPrimary: 1 },
    expected: { action: 'refuse', reason: 'diverged-branches' },
  },
  {
    title:
      'pgpool serves the living primary: a standby that was promoted by mistake and turned back does not cut it off',
    topology: '0* timeline 1, 1 stopped, 2 on a stray timeline 2; returned 2; pgpool: primary 0',
    facts: { nodes: { 1: stopped, 2: { ...onTimeline2, walReceiver: null } } },
    request: { failedNode: null, oldPrimary: null },
    expected: { action: 'keep', reason: 'primary-working', node: 0 },
  },
  {
    title: 'a standby follows the living primary: a stray on a newer timeline does not cut it off',
    topology: '0* timeline 1, 1 follows, 2 on a stray timeline 2; no pgpool answers',
    facts: { nodes: { 2: { ...onTimeline2, walReceiver: null } }, pgpools: [] },
    request: { failedNode: null, oldPrimary: null },
    expected: { action: 'keep', reason: 'primary-working', node: 0 },
  },
  {
    title: 'pgpool served the living primary until now: a standby on a stray newer timeline does not cut it off',
    topology: '0* timeline 1, 2 on timeline 2; pgpool: 0/0',
    facts: { nodes: { 2: onTimeline2 } },
    expected: { action: 'keep', reason: 'primary-kept', node: 0 },
  },
  {
    title: 'the only node that accepts writes belongs to another system than every standby: it is not served',
    topology: '0* foreign, 1 2 well; pgpool: 1/1',
    facts: { nodes: { 0: { systemIdentifier: foreign } } },
    request: { failedNode: 1, oldPrimary: 1 },
    expected: { action: 'refuse', reason: 'other-system' },
  },
  {
    title: 'two nodes accept writes on the same timeline: neither succeeds the other',
    topology: '0* timeline 1, 1* timeline 1; pgpool: 0/0',
    facts: { nodes: { 1: { isInRecovery: false } } },
    expected: { action: 'refuse', reason: 'two-primaries' },
  },
  {
    title: 'two nodes were promoted from the same timeline: neither succeeds the other',
    topology: '0* timeline 3 from 1, 1* timeline 2 from 1; pgpool: 0/0',
    facts: { nodes: { 0: { ...promotedToTimeline2, ...at('0/5000100', 3) }, 1: promotedToTimeline2 } },
    expected: { action: 'refuse', reason: 'two-primaries' },
  },
  {
    title: 'a server of another cluster on timeline 2 does not succeed ours',
    topology: '0* timeline 1, 1* foreign on timeline 2; pgpool: 0/0',
    facts: { nodes: { 1: { ...promotedToTimeline2, systemIdentifier: foreign } } },
    expected: { action: 'refuse', reason: 'two-primaries' },
  },
  {
    title: 'rule 4: the newer one continues another timeline 2 than the older one is on: neither succeeds the other',
    topology: '0* timeline 2 from 0/4000000, unused, 1* timeline 3 by a timeline 2 from 0/5000000, served',
    facts: {
      nodes: {
        0: { ...promotedToTimeline2, history: [{ timeline: 1, endLsn: '0/4000000' }], clients: 0, followers: 0 },
        1: {
          ...promotedToTimeline2,
          position: { timeline: 3, lsn: '0/6000100' },
          history: [
            { timeline: 1, endLsn: '0/5000000' },
            { timeline: 2, endLsn: '0/6000000' },
          ],
        },
        2: receivesNothing,
      },
      pgpools: [pgpoolSees(1)],
    },
    request: { failedNode: null, oldPrimary: 1 },
    expected: { action: 'refuse', reason: 'two-primaries' },
  },
  {
    title: 'three nodes accept writes: people are asked, even with a clear line of succession',
    topology: '0* timeline 1, 1* timeline 2, 2* timeline 1; pgpool: 0/0',
    facts: { nodes: { 1: promotedToTimeline2, 2: { isInRecovery: false } } },
    expected: { action: 'refuse', reason: 'two-primaries' },
  },
  {
    title: 'two nodes accept writes and the timeline of one is not known',
    topology: '0* timeline unknown, 1* timeline 2; pgpool: 0/0',
    facts: { nodes: { 0: { position: null }, 1: promotedToTimeline2 } },
    expected: { action: 'refuse', reason: 'two-primaries' },
  },
];
