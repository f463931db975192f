// Stories in which planFailover waits for better evidence, or refuses before anything alive is stopped. Told in failover-plan.test.ts.

import {
  at,
  frozen,
  makeConfiguration,
  onTimeline2,
  pgpoolSees,
  probe,
  receivesNothing,
  recovering,
  stopped,
  systemIdentifier,
  vanished,
} from '../builders';
import { pgpoolLost, withoutReceivers, type FailoverStory } from './failover-stories';
import { lastingStories } from './lasting-stories';

const noPgpool = [{ ...pgpoolSees(0, { 0: 'down' }), isReached: false, nodes: [] }];
const twoProbes = [probe(1, 'silent'), probe(2, 'silent')];
const closed = { ...stopped, host: { ...vanished.host, ssh: 'rejected' as const } };
const listed = { synchronousStandbyNames: 'ANY 1 (node1, node2)' };
const fences = makeConfiguration({ policy: { fenceCommand: ['/usr/local/bin/power-off'] } });

/** A refused connection proves a death only together with a look at the host. */
const closedStories: readonly FailoverStory[] = [
  {
    title: 'the port is closed and ssh is rejected: a restart looks the same, so it is looked at again in two seconds',
    topology: '0* refuses, ssh rejected; pgpool: 0/0',
    facts: { nodes: { 0: closed, ...withoutReceivers }, probes: [probe(1, 'refused')], pgpools: pgpoolLost },
    expected: { action: 'look-again', state: 'closed', node: 0 },
  },
  {
    title: 'the port was closed two seconds ago, too, and to another host: then it is as good as silent',
    topology: '0* refuses for two seconds, ssh rejected, refuses node 1; pgpool: 0/0',
    facts: { nodes: { 0: closed, ...withoutReceivers }, probes: [probe(1, 'refused')], pgpools: pgpoolLost },
    request: { lasted: 0 },
    expected: { action: 'promote', state: 'closed', node: 1, formerPrimary: 0 },
  },
  {
    title: 'the port is closed to the worker alone, for two seconds, and no other host could ask',
    topology: '0* refuses the worker, ssh rejected, no probes; pgpool: 0/0',
    facts: { nodes: { 0: closed, ...withoutReceivers }, pgpools: pgpoolLost },
    request: { lasted: 0 },
    expected: { action: 'refuse', reason: 'primary-unreachable' },
  },
  {
    title: 'a closed port is no way around policy.unreachableHost: park',
    topology: '0* refuses for two seconds, ssh rejected, refuses node 1; policy park',
    configuration: makeConfiguration({ policy: { unreachableHost: 'park' } }),
    facts: { nodes: { 0: closed, ...withoutReceivers }, probes: [probe(1, 'refused')], pgpools: pgpoolLost },
    request: { lasted: 0 },
    expected: { action: 'refuse', reason: 'primary-unreachable' },
  },
  {
    title: 'a closed port is no way around policy.minimumIntervalMs',
    topology: '0* refuses for two seconds, ssh rejected, refuses node 1; timeline 2 is 10 s old',
    facts: {
      nodes: { 0: closed, 1: { ...onTimeline2, timelineAgeMs: 10_000 }, 2: { ...onTimeline2, timelineAgeMs: 10_000 } },
      probes: [probe(1, 'refused')],
      pgpools: pgpoolLost,
    },
    request: { lasted: 0 },
    expected: { action: 'refuse', reason: 'too-soon' },
  },
  {
    title: 'a node was copied a moment ago: its young history file is not the last promotion',
    topology: '0* vanished, 1 on timeline 2 for a year, 2 rebuilt a second ago',
    facts: {
      nodes: { 0: vanished, 1: { ...onTimeline2, timelineAgeMs: 3e10 }, 2: { ...onTimeline2, timelineAgeMs: 1000 } },
      probes: twoProbes,
      pgpools: pgpoolLost,
    },
    expected: { action: 'promote', state: 'unreachable', node: 1, formerPrimary: 0 },
  },
];

/** Silence counts only on the side where most hosts are. */
const cutOffStories: readonly FailoverStory[] = [
  {
    title:
      'two hosts with PostgreSQL and pgpool each, the primary’s is lost: nobody else is silent, so the other is promoted',
    topology: '0* and pgpool0 vanished with their host, 1 and pgpool1 on the other; pgpool: 0/0',
    configuration: withPgpoolOn([0, 1], 2),
    facts: {
      nodes: { 0: vanished, 1: receivesNothing },
      probes: [probe(1, 'silent')],
      pgpools: [...noPgpool, { ...pgpoolSees(0, { 0: 'down' }, 2), pgpool: 'pgpool1' }],
    },
    expected: { action: 'promote', state: 'unreachable', node: 1, formerPrimary: 0 },
  },
  {
    title: 'the link between two sites breaks: the side with the worker and one of three nodes keeps still',
    topology: '0* 1 there, 2 and pgpool on its host here; pgpool: 0/0',
    configuration: withPgpoolOn([2], 3),
    facts: {
      nodes: { 0: vanished, 1: vanished, 2: receivesNothing },
      probes: [probe(2, 'silent')],
      pgpools: [{ ...pgpoolSees(0, { 0: 'down' }), pgpool: 'pgpool2' }],
    },
    expected: { action: 'refuse', reason: 'cut-off' },
  },
  {
    title: 'half of the hosts is not more than half',
    topology: '0* 1 there, 2 and pgpool on a host of its own here; pgpool: 0/0',
    facts: {
      nodes: { 0: vanished, 1: vanished, 2: receivesNothing },
      probes: [probe(2, 'silent')],
      pgpools: pgpoolLost,
    },
    expected: { action: 'refuse', reason: 'cut-off' },
  },
  {
    title: 'four of five nodes are silent',
    topology: '0* 1 2 3 vanished, 4 well; pgpool: 0/0',
    configuration: makeConfiguration({}, 5),
    facts: {
      nodes: { 0: vanished, 1: vanished, 2: vanished, 3: vanished, 4: receivesNothing },
      probes: [probe(4, 'silent')],
      pgpools: pgpoolLost,
    },
    expected: { action: 'refuse', reason: 'cut-off' },
  },
  {
    title: 'two of five nodes are silent: most hosts are on this side',
    topology: '0* 1 vanished, 2 3 4 well; pgpool: 0/0',
    configuration: makeConfiguration({}, 5),
    facts: {
      nodes: { 0: vanished, 1: vanished, ...noneReceives(2, 3, 4) },
      probes: [probe(4, 'silent')],
      pgpools: pgpoolLost,
    },
    expected: { action: 'promote', state: 'unreachable', node: 2, formerPrimary: 0 },
  },
  {
    title: 'a standby that is only stopped is on a host that answers: it is reached',
    topology: '0* vanished, 1 stopped, 2 well, pgpool; pgpool: 0/0',
    facts: {
      nodes: { 0: vanished, 1: stopped, 2: receivesNothing },
      probes: [probe(2, 'silent')],
      pgpools: pgpoolLost,
    },
    expected: { action: 'promote', state: 'unreachable', node: 2, formerPrimary: 0 },
  },
  {
    title: 'the worker may be cut off, but there is a fence command: it is tried, and must succeed',
    topology: '0* 1 there, 2 and pgpool here; policy.fenceCommand; pgpool: 0/0',
    configuration: fences,
    facts: {
      nodes: { 0: vanished, 1: vanished, 2: receivesNothing },
      probes: [probe(2, 'silent')],
      pgpools: pgpoolLost,
    },
    expected: { action: 'promote', state: 'unreachable', node: 2, formerPrimary: 0, needsFence: true },
  },
  {
    title: 'the fence command has succeeded: who is reached does not count any more',
    topology: '0* fenced, 1 there, 2 and pgpool here; plan again',
    configuration: fences,
    facts: {
      nodes: { 0: vanished, 1: vanished, 2: receivesNothing },
      probes: [probe(2, 'silent')],
      pgpools: pgpoolLost,
    },
    request: { fencedNode: 0, hasWaited: true },
    expected: { action: 'promote', state: 'dead', node: 2, formerPrimary: 0 },
  },
];

/** A living node is not stopped before the promotion is known to be possible. */
const aliveStories: readonly FailoverStory[] = [
  {
    title: 'the recovering primary’s own files list standbys that do not answer: it is not fenced',
    topology: '0* recovering for 3 s, ANY 1 (node1, node2), 2 stopped; pgpool: 0/0',
    facts: {
      nodes: { 0: { ...recovering, host: { processes: 'running', ...listed } }, 1: receivesNothing, 2: stopped },
      pgpools: pgpoolLost,
    },
    request: { hasWaited: true },
    expected: { action: 'refuse', reason: 'synchronous-set-unreachable' },
  },
  {
    title: 'the frozen primary’s own files list standbys that do not answer: it is not fenced',
    topology: '0* frozen, ANY 1 (node1, node2), 2 stopped; pgpool: 0/0',
    facts: {
      nodes: { 0: { ...frozen, host: { processes: 'running', ...listed } }, 1: receivesNothing, 2: stopped },
      pgpools: pgpoolLost,
    },
    expected: { action: 'refuse', reason: 'synchronous-set-unreachable' },
  },
  {
    title: 'nothing of the vanished primary is readable: a standby’s copy of the set counts',
    topology: '0* vanished, 1 has ANY 1 (node1, node2) in its files, 2 stopped; pgpool: 0/0',
    facts: {
      nodes: { 0: vanished, 1: { ...receivesNothing, ...listed }, 2: stopped },
      probes: [probe(1, 'silent')],
      pgpools: pgpoolLost,
    },
    expected: { action: 'refuse', reason: 'synchronous-set-unreachable' },
  },
  {
    title: 'the frozen primary’s files say that nobody was waited for: a standby’s old copy does not count',
    topology: '0* frozen, asynchronous, 1 has ANY 1 (node1, node2) in its files, 2 stopped; pgpool: 0/0',
    facts: {
      nodes: {
        0: { ...frozen, host: { processes: 'running', synchronousStandbyNames: '' } },
        1: { ...receivesNothing, ...listed },
        2: stopped,
      },
      pgpools: pgpoolLost,
    },
    expected: { action: 'promote', state: 'hung', node: 1, formerPrimary: 0 },
  },
];

const fenced = { isInRecovery: true, fenceMark: 'before-promotion' as const, walReceiver: null, upstream: null };

const unfollowed = { followers: 0 };

/** A witness must not be taken for more than it says. */
const witnessStories: readonly FailoverStory[] = [
  {
    title: 'another node’s host gets an answer from it as a standby: that is no primary that works',
    topology: '0 silent to the worker, a standby for node 2; pgpool: 0/0',
    facts: {
      nodes: { 0: vanished, ...withoutReceivers },
      probes: [probe(1, 'silent'), { ...probe(2, 'answered'), isInRecovery: true }],
      pgpools: pgpoolLost,
    },
    request: { hasLookedAgain: true },
    expected: { action: 'refuse', reason: 'primary-unreachable' },
  },
  {
    title: 'another node’s host gets an answer from it as a standby, while its own host shows no process: it is alive',
    topology: '0 refuses the worker, no process found, a standby for node 2; pgpool: 0/0',
    facts: {
      nodes: { 0: stopped, ...withoutReceivers },
      probes: [{ ...probe(2, 'answered'), isInRecovery: true }],
      pgpools: pgpoolLost,
    },
    request: { hasLookedAgain: true },
    expected: { action: 'refuse', reason: 'primary-unreachable', state: 'unknown' },
  },
  {
    title: 'a WAL message that came after the event and is old by now is no sign of life',
    topology: '0* vanished a second after the event, a minute ago; 2 still "streams"; pgpool: 0/0',
    facts: {
      nodes: { 0: vanished, 1: receivesNothing, 2: { walReceiver: { lastMessageAgeMs: 59_000 } } },
      probes: twoProbes,
      pgpools: pgpoolLost,
    },
    request: { sinceEventMs: 60_000 },
    expected: { action: 'promote', state: 'unreachable', node: 1, formerPrimary: 0 },
  },
  {
    title: 'a former primary that is starting is not the one that was lost: the standbys are on a newer timeline',
    topology: '0 recovering with segments of timeline 1, 1* stopped, 2 on timeline 2; pgpool: 1/1',
    facts: {
      nodes: {
        0: { ...recovering, host: { processes: 'running', walTimeline: 1 } },
        1: { ...stopped, host: { processes: 'none', walTimeline: 2 } },
        2: { ...onTimeline2, walReceiver: null },
      },
      pgpools: [pgpoolSees(1, { 1: 'down' })],
    },
    request: { failedNode: 1, oldPrimary: 1 },
    expected: { action: 'promote', state: 'dead', node: 2, formerPrimary: 1 },
  },
  {
    title: 'a node that this decision waited for has come up: pgpool’s number is still another one’s',
    topology: '0* timeline 1 came up, 1 stopped, 2 on timeline 2; pgpool: 1/1, we waited for 0',
    facts: {
      nodes: { 0: unfollowed, 1: stopped, 2: { ...onTimeline2, walReceiver: null } },
      pgpools: [pgpoolSees(1)],
    },
    request: { failedNode: 1, oldPrimary: 1, suspect: 0, hasWaited: true },
    expected: { action: 'refuse', reason: 'diverged-branches' },
  },
  {
    title: 'the only node that answers was succeeded by a promotion of ours',
    topology: '0* timeline 1, 1 stopped after our promotion to timeline 2; returned 0; two nodes',
    configuration: makeConfiguration({}, 2),
    facts: { nodes: { 0: unfollowed, 1: stopped }, pgpools: [pgpoolSees(1, {}, 2)] },
    request: { failedNode: null, oldPrimary: null, opened: [{ node: 1, timeline: 2 }] },
    expected: { action: 'refuse', reason: 'diverged-branches' },
  },
  {
    title:
      'something streams from it that is no standby of the cluster, such as an archiver: it was succeeded all the same',
    topology: '0* timeline 1, 2 foreign streams, 1 stopped after our promotion to timeline 2, 2 on timeline 2',
    facts: { nodes: { 1: stopped, 2: { ...onTimeline2, walReceiver: null } }, pgpools: [pgpoolSees(1)] },
    request: { failedNode: null, oldPrimary: null, opened: [{ node: 1, timeline: 2 }] },
    expected: { action: 'refuse', reason: 'diverged-branches' },
  },
  {
    title: 'the only node that answers was succeeded, by its successor’s own files',
    topology: '0* timeline 1, 1 stopped with segments of timeline 2; two nodes',
    configuration: makeConfiguration({}, 2),
    facts: {
      nodes: {
        0: unfollowed,
        1: {
          ...stopped,
          host: {
            processes: 'none',
            walTimeline: 2,
            controlFile: { state: 'in production', systemIdentifier, checkpoint: { timeline: 1, lsn: '0/5000000' } },
          },
        },
      },
      pgpools: [pgpoolSees(1, {}, 2)],
    },
    request: { failedNode: 1, oldPrimary: 1 },
    expected: { action: 'refuse', reason: 'diverged-branches' },
  },
];

/** Every configured node answers as a standby. */
const standbysOnlyStories: readonly FailoverStory[] = [
  {
    title:
      'a fence without a promotion: the former primary was started by hand and holds the most WAL, so it is promoted',
    topology: '0 a standby with our mark, ahead; 1 2 well; pgpool: 0/0',
    facts: { nodes: { 0: { ...fenced, ...at('0/6000000') } } },
    expected: { action: 'promote', node: 0 },
  },
  {
    title: 'a fence without a promotion, and nothing was lost with it: the lowest of the equals',
    topology: '0 priority 10 with our mark, 1 2 equal',
    configuration: makeConfiguration({ nodes: { 0: { priority: 10 } } }),
    facts: { nodes: { 0: fenced } },
    expected: { action: 'promote', node: 1 },
  },
  {
    title: 'a disaster recovery cluster has no primary of its own, whatever marks it has',
    topology: '0 1 2 standbys, 0 with our mark, 1 follows a host that the cluster file does not know',
    facts: {
      nodes: { 0: fenced, 1: { upstream: { host: '10.9.9.9', port: 5432 }, walReceiver: { host: '10.9.9.9' } } },
    },
    expected: { action: 'refuse', reason: 'primary-unknown' },
  },
  {
    title: 'an earlier former primary is past the fork: the branch of the standby without our mark is the last one',
    topology: '0 with our mark past the fork on timeline 1, 1 with our mark on timeline 2, 2 followed 1',
    facts: {
      nodes: {
        0: { ...fenced, ...at('0/6000000') },
        1: { ...onTimeline2, ...fenced },
        2: { ...onTimeline2, walReceiver: null },
      },
    },
    expected: { action: 'promote', node: 1 },
  },
];

export const cautionStories: readonly FailoverStory[] = [
  ...closedStories,
  ...cutOffStories,
  ...aliveStories,
  ...lastingStories,
  ...witnessStories,
  ...standbysOnlyStories,
];

function noneReceives(...nodes: readonly number[]): Record<number, typeof receivesNothing> {
  return Object.fromEntries(nodes.map((node) => [node, receivesNothing]));
}

/** A pgpool on the host of each of these nodes. */
function withPgpoolOn(nodes: readonly number[], count: number): ReturnType<typeof makeConfiguration> {
  const configuration = makeConfiguration({}, count);
  const [first] = configuration.pgpool;
  const pgpool = nodes.map((id) => ({ ...first!, name: `pgpool${id}`, host: configuration.nodes[id]!.host }));
  return { ...configuration, pgpool };
}
