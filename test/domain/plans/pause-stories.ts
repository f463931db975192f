// Stories of planFailover in which a person has a node, or the cluster, in hand. Told in failover.test.ts.

import type { Maintenance } from '../../../domain/facts/maintenance';
import {
  makeConfiguration,
  pgpoolSees,
  probe,
  promotedToTimeline2,
  receivesNothing,
  stopped,
  vanished,
} from '../builders';
import { type FailoverStory, pgpoolLost } from './failover-stories';

/** makeFacts() are of 2026-01-01T00:00:00.000Z. */
export const inHand = (node: number | null, until: string | null = null): Maintenance => ({
  ...{ node, operator: 'ann@db', reason: 'kernel update', since: '2025-12-31T23:00:00.000Z', until },
});

const lost = { nodes: { 0: stopped, 1: receivesNothing, 2: receivesNothing }, pgpools: pgpoolLost };
const five = { 0: vanished, 1: receivesNothing, 2: receivesNothing, 3: vanished, 4: vanished };

export const pauseStories: readonly FailoverStory[] = [
  {
    title: 'a pause: nothing is promoted',
    topology: '0* stopped, 1 2 well; paused',
    facts: { ...lost, maintenance: [inHand(null)] },
    expected: { action: 'refuse', reason: 'paused' },
  },
  {
    title: 'a pause that is over forbids nothing',
    topology: '0* stopped, 1 2 well; paused until a minute ago',
    facts: { ...lost, maintenance: [inHand(null, '2025-12-31T23:59:00.000Z')] },
    expected: { action: 'promote', state: 'dead', node: 1, formerPrimary: 0 },
  },
  {
    title: 'a pause: the living primary is still shown to pgpool',
    topology: '0* well, 1 2 well; paused; pgpool: failover 0',
    facts: { maintenance: [inHand(null)] },
    expected: { action: 'keep', reason: 'primary-kept', node: 0 },
  },
  {
    title: 'a pause: not even a former primary is stopped',
    topology: '0 writable on 1 unused, 1* writable on 2 served; paused',
    facts: {
      nodes: { 0: { clients: 0, followers: 0 }, 1: promotedToTimeline2, 2: receivesNothing },
      pgpools: [pgpoolSees(1)],
      maintenance: [inHand(null)],
    },
    request: { opened: [{ node: 1, timeline: 2 }], failedNode: null, oldPrimary: 1 },
    expected: { action: 'refuse', reason: 'paused' },
  },
  {
    title: 'the primary is in maintenance: its failure is a pause',
    topology: '0* stopped and in maintenance, 1 2 well',
    facts: { ...lost, maintenance: [inHand(0, '2026-01-01T01:00:00.000Z')] },
    expected: { action: 'refuse', reason: 'paused' },
  },
  {
    title: 'a standby in maintenance is not promoted; its place in the set still counts',
    topology: '0* stopped, 1 well and in maintenance, 2 well',
    facts: { ...lost, maintenance: [inHand(1)] },
    expected: { action: 'promote', state: 'dead', node: 2, formerPrimary: 0 },
  },
  {
    title: 'a standby in maintenance holds more WAL than the candidate lacks by policy: its WAL counts',
    topology: '0* stopped, 1 at 0/6000000 in maintenance, 2 at 0/5000000',
    configuration: makeConfiguration({ policy: { maximumLagBytes: 1000 } }),
    facts: {
      ...lost,
      nodes: { ...lost.nodes, 1: { ...receivesNothing, position: { timeline: 1, lsn: '0/6000000' } } },
      maintenance: [inHand(1)],
    },
    expected: { action: 'refuse', reason: 'lag-exceeded' },
  },
  {
    title: 'rule 5: hosts in maintenance do not make the worker the one that is cut off',
    topology: '0* vanished, 1 2 well, 3 4 away in maintenance; 6 hosts',
    configuration: makeConfiguration({}, 5),
    facts: {
      nodes: five,
      probes: [probe(1, 'silent'), probe(2, 'silent')],
      pgpools: [pgpoolSees(null, { 0: 'down', 3: 'down', 4: 'down' }, 5)],
      maintenance: [inHand(3), inHand(4)],
    },
    expected: { action: 'promote', state: 'unreachable', node: 1, formerPrimary: 0 },
  },
];
