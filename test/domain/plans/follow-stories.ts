// planFollow's questions and answers: node 1 was promoted to timeline 2, node 0 is stopped.

import type { NodeWords, WatchSamples } from '../../../domain/facts/watch';
import type { FollowStory } from './follow-story';
import { standbySays } from './watch-world';
import { inHand } from './pause-stories';
import { stoppedStories } from './follow-stopped-stories';
import {
  at,
  frozen,
  onTimeline2,
  promotedToTimeline2,
  receiverFrom,
  receivesNothing,
  recovering,
  stopped,
  vanished,
  wellLsn,
} from '../builders';

/** WAL up to a page boundary, within a record, as a standby has it whose primary died while it wrote. */
const receivedMore = { ...at('0/5002000'), replayedLsn: wellLsn, walReceiver: null };
const twinHistory = [{ timeline: 1, endLsn: '0/4FFFF00' }];

const streams = { ...onTimeline2, walReceiver: receiverFrom(1, 2) };
/** Samples of a watch that has heard this node a moment ago. */
function watched(node: number, said: NodeWords): WatchSamples {
  const at = '2026-01-01T00:00:00.000Z';
  const sample = { node, misses: 0, seen: '', answeredAt: at, said, streamedAt: at, isNews: false };
  return { takenAt: at, nodes: [sample], pgpools: [] };
}
const foreign = '7999999999999999999';

export const followStories: readonly FollowStory[] = [
  {
    title: 'a standby that still points at the dead primary is repointed',
    topology: '2 on timeline 1 at the fork, receives nothing',
    own: receivesNothing,
    expected: 'repoint',
  },
  {
    title: 'a standby that lags behind the fork is repointed',
    topology: '2 on timeline 1 before the fork',
    own: { ...at('0/4000000'), walReceiver: null },
    expected: 'repoint',
  },
  {
    title: 'a standby "streaming" from the vanished former primary is repointed',
    topology: '2 streams from 0 on timeline 1',
    own: { walReceiver: { lastMessageAgeMs: 50_000 } },
    expected: 'repoint',
  },
  {
    title: 'a standby that streams from the new primary is left alone',
    topology: '2 streams from 1 on timeline 2',
    own: streams,
    expected: 'none',
  },
  {
    title: 'a second call for a standby that follows already changes nothing',
    topology: '2 streams from 1 on timeline 2, a byte behind',
    own: { ...streams, ...at('0/50000FF', 2) },
    expected: 'none',
  },
  {
    title: 'a receiver that is only waiting does not stream yet',
    topology: '2 waits for 1 on timeline 2',
    own: { ...streams, walReceiver: { ...receiverFrom(1, 2), isStreaming: false } },
    expected: 'repoint',
  },
  {
    title: 'streaming from the right host but on the old timeline is not following',
    topology: '2 streams from 1 on timeline 1',
    own: { walReceiver: receiverFrom(1, 1) },
    expected: 'repoint',
  },
  {
    title: 'streaming from the right host but another port is not following',
    topology: '2 streams from port 5433 of 1’s host',
    own: { ...streams, walReceiver: { ...receiverFrom(1, 2), port: 5433 } },
    expected: 'repoint',
  },
  {
    title: 'E33: a cascade is left so: its upstream, another standby, streams from the primary',
    topology: '2 streams timeline 2 from 0, which streams from 1',
    own: { ...streams, walReceiver: receiverFrom(0, 2) },
    watch: watched(0, standbySays(0, { receiver: { host: '10.0.0.11', port: 5432, timeline: 2 } })),
    expected: 'none',
  },
  {
    title: 'a circle of standbys receives nothing: the standby follows the primary itself',
    topology: '2 streams timeline 2 from 0, which streams from 2',
    own: { ...streams, walReceiver: receiverFrom(0, 2) },
    watch: watched(0, standbySays(0, { receiver: { host: '10.0.0.12', port: 5432, timeline: 2 } })),
    expected: 'repoint',
  },
  {
    title: 'a cascade whose upstream receives nothing ends: the standby follows the primary itself',
    topology: '2 streams timeline 2 from 0, which streams from nobody',
    own: { ...streams, walReceiver: receiverFrom(0, 2) },
    watch: watched(0, standbySays(0, { receiver: null })),
    expected: 'repoint',
  },
  {
    title: 'a standby of a newer branch is not overwritten',
    topology: '2 on timeline 3, which 1 does not know',
    own: { ...at('0/5000100', 3), history: [{ timeline: 1, endLsn: '0/5000000' }] },
    expected: 'diverged-branches',
  },
  {
    title: 'a standby one byte past the fork has diverged',
    topology: '2 on timeline 1 at 0/5000001, the fork is at 0/5000000',
    own: at('0/5000001'),
    expected: 'rebuild',
  },
  {
    title: 'a diverged standby where a rebuild is not allowed',
    topology: '2 on timeline 1 at 0/5000001, the fork is at 0/5000000',
    own: at('0/5000001'),
    follow: ['repoint'],
    expected: 'diverged',
  },
  {
    title: 'a standby that has received more than the fork, but not replayed it, is looked at',
    topology: '2 on timeline 1, received to 0/5002000, replayed to the fork',
    own: receivedMore,
    expected: 'compare',
  },
  {
    title: 'a node in maintenance is left alone, whatever it needs',
    topology: '1* on 2, 2 on 1 in maintenance',
    maintenance: [inHand(2)],
    expected: 'in-maintenance',
  },
  {
    title: 'a maintenance that is over leaves nobody alone',
    topology: '1* on 2, 2 on 1, maintenance over',
    maintenance: [inHand(2, '2025-12-31T23:59:00.000Z')],
    expected: 'repoint',
  },
  {
    title: 'a standby that received part of a record past the fork is repointed',
    topology: '2 on timeline 1, received to 0/5002000, replayed to the fork',
    own: receivedMore,
    request: { ownWal: 'none' },
    expected: 'repoint',
  },
  {
    title: 'a standby whose WAL cannot be read is repointed: that shows what it can do, and harms nothing',
    topology: '2 on timeline 1, received to 0/5002000, replayed to the fork',
    own: receivedMore,
    request: { ownWal: 'unknown' },
    expected: 'repoint',
  },
  {
    title: 'a standby that received a whole record past the fork will replay it, and then cannot follow',
    topology: '2 on timeline 1, received to 0/5002000, replayed to the fork',
    own: { ...receivedMore, isReplayPaused: true },
    request: { ownWal: 'some' },
    expected: 'rebuild',
  },
  {
    title: 'a standby that is far behind has still received more than the fork',
    topology: '2 on timeline 1, received to 0/5002000, replayed to 0/4000000',
    own: { ...receivedMore, replayedLsn: '0/4000000' },
    expected: 'compare',
  },
  {
    title: 'a standby that received part of a record, of WAL that the primary has removed',
    topology: '2 on timeline 1, received to 0/5002000, replayed to the fork',
    own: receivedMore,
    request: { hasLostWal: true, ownWal: 'none' },
    expected: 'rebuild',
  },
  {
    title: 'a standby that has replayed one byte past the fork has diverged, whatever lies in its pg_wal',
    topology: '2 on timeline 1, replayed to 0/5000001',
    own: { ...receivedMore, replayedLsn: '0/5000001' },
    request: { ownWal: 'none' },
    expected: 'rebuild',
  },
  {
    title: 'a standby that has not replayed up to a twin branch that it received',
    topology: '2 received another timeline 2, replayed timeline 1 before both forks',
    own: { ...streams, ...at('0/5000100', 2), walReceiver: null, history: twinHistory, replayedLsn: '0/4FFFE00' },
    expected: 'compare',
  },
  {
    title: 'a standby of a twin branch with the primary’s own number has diverged',
    topology: '2 on another timeline 2, which forked earlier',
    own: { ...streams, walReceiver: null, history: [{ timeline: 1, endLsn: '0/4FFFF00' }] },
    expected: 'rebuild',
  },
  {
    title: 'a standby of a twin branch does not stream what it seems to',
    topology: '2 streams another timeline 2 from a stranger',
    own: { ...streams, history: [{ timeline: 1, endLsn: '0/4FFFF00' }], walReceiver: receiverFrom(7, 2) },
    expected: 'rebuild',
  },
  {
    title: 'a standby that streams the primary’s timeline was only measured later',
    topology: '2 streams from 1’s other name, ahead of 1',
    own: { ...streams, ...at('0/5000900', 2), walReceiver: receiverFrom(7, 2) },
    expected: 'repoint',
  },
  {
    title: 'a standby that streams is left alone where it may not be repointed',
    topology: '2 streams from 1’s other name',
    own: { ...streams, walReceiver: receiverFrom(7, 2) },
    follow: ['rebuild'],
    expected: 'none',
  },
  {
    title: 'a standby that streams has all the WAL that it needs, whatever was said',
    topology: '2 streams from 1’s other name',
    own: { ...streams, walReceiver: receiverFrom(7, 2) },
    request: { hasLostWal: true },
    expected: 'repoint',
  },
  {
    title: 'a standby ahead on the primary’s own timeline is not proven to have diverged',
    topology: '2 on timeline 2 ahead of 1, receives nothing',
    own: { ...streams, ...at('0/5000900', 2), walReceiver: null },
    expected: 'repoint',
  },
  {
    title: 'a standby without its history file is not proven to have diverged',
    topology: '2 on timeline 2, history unknown',
    own: { ...streams, history: [], walReceiver: null },
    expected: 'repoint',
  },
  {
    title: 'a primary without its history file makes nobody diverged',
    topology: '1 on timeline 2, history unknown; 2 on timeline 1',
    nodes: { 1: { ...promotedToTimeline2, history: [] } },
    own: { ...at('0/6000000'), walReceiver: null },
    expected: 'repoint',
  },
  {
    title: 'a standby whose WAL the primary has removed is rebuilt',
    topology: '2 on timeline 1 before the fork',
    own: { ...at('0/4000000'), walReceiver: null },
    request: { hasLostWal: true },
    expected: 'rebuild',
  },
  {
    title: 'a standby whose WAL the primary has removed, where a rebuild is not allowed',
    topology: '2 on timeline 1 before the fork',
    own: { ...at('0/4000000'), walReceiver: null },
    request: { hasLostWal: true },
    follow: ['repoint'],
    expected: 'not-streaming',
  },
  {
    title: 'a standby that may not be repointed is rebuilt',
    topology: '2 on timeline 1 at the fork',
    own: receivesNothing,
    follow: ['rebuild'],
    expected: 'rebuild',
  },
  {
    title: 'a standby for which nothing is allowed',
    topology: '2 on timeline 1 at the fork',
    own: receivesNothing,
    follow: [],
    expected: 'not-streaming',
  },
  {
    title: 'the former primary that came back as a standby past the fork has diverged',
    topology: '0 in recovery on timeline 1 past the fork',
    node: 0,
    nodes: { 0: { isInRecovery: true, ...at('0/5000800') } },
    expected: 'rebuild',
  },
  {
    title: 'the former primary that came back as a standby at the fork is repointed',
    topology: '0 in recovery on timeline 1 at the fork',
    node: 0,
    nodes: { 0: { isInRecovery: true } },
    expected: 'repoint',
  },
  {
    title: 'the former primary that accepts writes itself is not touched',
    topology: '0* on timeline 1, 1* on timeline 2',
    node: 0,
    nodes: { 0: {} },
    expected: 'node-not-standby',
  },
  {
    title: 'pgpool calls follow for the new primary itself (%d = %m)',
    topology: '1* follows 1?',
    node: 1,
    expected: 'node-not-standby',
  },
  {
    title: 'pgpool calls follow for the dead former primary',
    topology: '0 stopped',
    node: 0,
    expected: 'node-unreachable',
  },
  { title: 'a standby whose host vanished', topology: '2 vanished', own: vanished, expected: 'node-unreachable' },
  { title: 'a standby that is starting', topology: '2 says 57P03', own: recovering, expected: 'node-unreachable' },
  {
    title: 'a standby that is starting, wanted back, is waited for',
    topology: '2 says 57P03, standby.signal is there',
    own: { ...recovering, host: { hasStandbySignal: true } },
    request: { isStartAllowed: true },
    expected: 'wait',
  },
  {
    title: 'a crashed primary that is starting by itself is not waited for as a standby',
    topology: '2 says 57P03, no standby.signal',
    own: { ...recovering, host: {} },
    request: { isStartAllowed: true },
    expected: 'node-unreachable',
  },
  {
    title: 'a standby that does not come up is rebuilt when a person says so',
    topology: '2 says 57P03, standby.signal is there',
    own: { ...recovering, host: { hasStandbySignal: true } },
    request: { isStartAllowed: true, isRebuildWanted: true },
    expected: 'rebuild',
  },
  {
    title: 'a rebuild that was wanted, of a standby that is up by now',
    topology: '2 on timeline 1 at the fork, receives nothing',
    own: receivesNothing,
    request: { isStartAllowed: true, isRebuildWanted: true },
    expected: 'repoint',
  },
  ...[
    { title: 'a frozen node', topology: '2 silent', own: frozen },
    { title: 'a node that refuses while it starts', topology: '2 refuses', own: { ...stopped, host: {} } },
    {
      title: 'backends without their postmaster',
      topology: '2 refuses',
      own: { ...stopped, host: { processes: 'orphans' } },
    },
    {
      title: 'a node that ended while it was looked at',
      topology: '2 57P03',
      own: { ...recovering, host: { processes: 'none' } },
    },
    {
      title: 'a stopped node behind a firewall',
      topology: '2 silent',
      own: { ...frozen, host: { processes: 'none' } },
    },
    {
      title: 'a node whose processes nobody may see',
      topology: '2 refuses',
      own: { ...stopped, host: { processes: 'unknown' } },
    },
    { title: 'a vanished node, wanted back', topology: '2 vanished', own: vanished },
    { title: 'a node whose host was not asked', topology: '2 refuses', own: { ...stopped, host: null } },
  ].map((story) => ({ ...story, request: { isStartAllowed: true }, expected: 'node-unreachable' }) as FollowStory),
  ...stoppedStories,
  {
    title: 'a standby that cannot say where it is',
    topology: '2 answers, position unknown',
    own: { position: null },
    expected: 'node-unreachable',
  },
  {
    title: 'a standby of another cluster',
    topology: '2 foreign',
    own: { ...streams, systemIdentifier: foreign },
    expected: 'other-system',
  },
  {
    title: 'a node that the cluster file does not know',
    topology: 'node 7 follows 1?',
    node: 7,
    expected: 'node-not-configured',
  },
  {
    title: 'the primary died meanwhile',
    topology: '1 stopped, 2 well',
    nodes: { 1: stopped },
    own: streams,
    expected: 'primary-missing',
  },
  {
    title: 'the primary is a standby itself',
    topology: '2 follows 1, which is in recovery',
    nodes: { 1: { ...promotedToTimeline2, isInRecovery: true } },
    expected: 'primary-missing',
  },
  {
    title: 'nobody knows the primary',
    topology: '2 follows 9?',
    primary: 9,
    expected: 'primary-missing',
  },
];
