// Stories for chooseCandidate about branches, readiness, and what is known of the lost primary's WAL. Told in candidate.test.ts.

import type { ClusterConfiguration } from '../../../domain/facts/cluster';
import type { FailoverRequest } from '../../../domain/plans/failover-request';
import type { ReasonCode } from '../../../domain/facts/reasons';
import {
  at,
  makeConfiguration,
  onTimeline2,
  stopped,
  stoppedAt,
  systemIdentifier,
  vanished,
  type Differences,
} from '../builders';

export interface CandidateStory {
  readonly title: string;
  readonly topology: string;
  readonly configuration?: ClusterConfiguration;
  readonly facts: Differences;
  readonly request?: Partial<FailoverRequest>;
  readonly expected:
    { readonly candidate: number; readonly lagBytes: number | null } | { readonly refusal: ReasonCode };
}

const stray = { ...onTimeline2, walReceiver: null };
const crashedAt = (lsn: string, timeline = 1): Differences['nodes'] => ({
  0: {
    ...stopped,
    host: {
      processes: 'none',
      controlFile: { state: 'in production', systemIdentifier, checkpoint: { timeline, lsn } },
    },
  },
});
const marked = { fenceMark: 'before-promotion' as const };

/** A branch that parted before WAL which is known to exist is no successor. */
const branchStories: readonly CandidateStory[] = [
  {
    title:
      'a standby was promoted by mistake and turned back: its newer timeline parted long before what the others hold',
    topology: '0 crashed at (1, 0/8FFFF00), 1 at (1, 0/9000000), 2 at (2, 0/5000100), forked from 1 at 0/5000000',
    facts: { nodes: { ...crashedAt('0/8FFFF00'), 1: at('0/9000000'), 2: stray } },
    expected: { candidate: 1, lagBytes: null },
  },
  {
    title: 'the primary vanished, but a standby streamed from it on the older timeline: the newer one is the stray',
    topology: '0 vanished, 1 streamed (1, 0/9000000) from 0, 2 at (2, 0/5000100)',
    facts: { nodes: { 0: vanished, 1: at('0/9000000'), 2: stray } },
    expected: { candidate: 1, lagBytes: null },
  },
  {
    title: 'only the stray is left, and the control file shows what it lacks',
    topology: '0 crashed at (1, 0/8FFFF00), 1 stopped, 2 at (2, 0/5000100), forked from 1 at 0/5000000',
    facts: { nodes: { ...crashedAt('0/8FFFF00'), 1: stopped, 2: stray } },
    expected: { refusal: 'diverged-branches' },
  },
  {
    title: 'nothing shows which of two branches the vanished primary wrote: people decide',
    topology: '0 vanished, 1 at (1, 0/9000000), 2 at (2, 0/5000100), nobody streamed from 0',
    facts: { nodes: { 0: vanished, 1: { ...at('0/9000000'), walReceiver: null }, 2: stray } },
    expected: { refusal: 'diverged-branches' },
  },
  {
    title: 'a former primary of an earlier failover is past the fork: the current primary wrote the newer branch',
    topology: '0 crashed at (2, 0/5000080), 1 left at (1, 0/9000000), 2 at (2, 0/5000100)',
    facts: { nodes: { ...crashedAt('0/5000080', 2), 1: { ...at('0/9000000'), walReceiver: null }, 2: stray } },
    expected: { candidate: 2, lagBytes: null },
  },
  {
    title: 'the primary died before its first checkpoint: its WAL segments, not its control file, name its timeline',
    topology:
      '0 crashed, checkpoint (1, 0/4FFFF00), segments of timeline 2; 1 left at (1, 0/9000000), 2 at (2, 0/5000100)',
    facts: {
      nodes: {
        0: {
          ...stopped,
          host: {
            processes: 'none',
            walTimeline: 2,
            controlFile: { state: 'in production', systemIdentifier, checkpoint: { timeline: 1, lsn: '0/4FFFF00' } },
          },
        },
        1: { ...at('0/9000000'), walReceiver: null },
        2: stray,
      },
    },
    expected: { candidate: 2, lagBytes: null },
  },
  {
    title:
      'our own promotion opened the timeline of the primary that vanished, and the other standby had not followed it yet',
    topology: '0 promoted by us to timeline 2 and vanished, 1 stopped, 2 left at (1, 0/5000000)',
    facts: { nodes: { 0: vanished, 1: stopped, 2: { walReceiver: null } } },
    request: { opened: [{ node: 0, timeline: 2 }] },
    expected: { refusal: 'diverged-branches' },
  },
  {
    title: 'the primary vanished, and the standby that is past the fork carries our mark: it was replaced before',
    topology: '0 vanished, 1 fenced by us at (1, 0/9000000), 2 at (2, 0/5000100), nobody streamed from 0',
    facts: { nodes: { 0: vanished, 1: { ...at('0/9000000'), walReceiver: null, ...marked }, 2: stray } },
    expected: { candidate: 2, lagBytes: null },
  },
];

const tooSmall = {
  isReplayPaused: true,
  ownSettings: { max_connections: 100, max_wal_senders: 10 },
  host: { neededSettings: { max_connections: 200, max_wal_senders: 10 } },
};
const notTold = (times: number, ...nodes: readonly number[]): Partial<FailoverRequest> => ({
  notTold: nodes.map((node) => ({ node, times, line: 'its lock is held' })),
});

/** Ready, late, or unable. */
const readinessStories: readonly CandidateStory[] = [
  {
    title: 'a standby that PostgreSQL paused for a too small setting is passed over',
    topology: '1 paused, max_connections 100 of 200, 2 well',
    facts: { nodes: { 0: stopped, 1: tooSmall } },
    expected: { candidate: 2, lagBytes: null },
  },
  {
    title: 'the only standby is paused for a too small setting: a person restarts it with a greater one first',
    topology: '1 paused, max_connections 100 of 200, 2 stopped',
    facts: { nodes: { 0: stopped, 1: tooSmall, 2: stopped } },
    expected: { refusal: 'insufficient-settings' },
  },
  {
    title: 'a paused replay with settings that are great enough was paused by a person',
    topology: '1 paused, settings equal, 2 stopped',
    facts: {
      nodes: { 0: stopped, 1: { ...tooSmall, ownSettings: { max_connections: 200, max_wal_senders: 10 } }, 2: stopped },
    },
    expected: { candidate: 1, lagBytes: null },
  },
  {
    title: 'a standby that delays its replay on purpose comes last, although it has received more',
    topology: '1 delayed by an hour and 0x10 ahead, 2 well',
    facts: { nodes: { 0: stopped, 1: { ...at('0/5000010'), applyDelayMs: 3_600_000 } } },
    expected: { candidate: 2, lagBytes: 0x10 },
  },
  {
    title: 'of two that have received the same, the one that has replayed more is ready sooner',
    topology: '1 replayed to 0/4000000, 2 to 0/5000000, both received 0/5000000',
    facts: { nodes: { 0: stopped, 1: { ...at('0/5000000'), replayedLsn: '0/4000000' } } },
    expected: { candidate: 2, lagBytes: null },
  },
  {
    title: 'a candidate that could not be told once is tried again',
    topology: '1 not told once, 2 well',
    facts: { nodes: { 0: stopped } },
    request: notTold(1, 1),
    expected: { candidate: 1, lagBytes: null },
  },
  {
    title: 'a candidate that could not be told twice comes after the others',
    topology: '1 not told twice, 2 well',
    facts: { nodes: { 0: stopped } },
    request: notTold(2, 1),
    expected: { candidate: 2, lagBytes: null },
  },
  {
    title: 'no candidate could be told: people mend the cause',
    topology: '1 2 not told twice',
    facts: { nodes: { 0: stopped } },
    request: notTold(2, 1, 2),
    expected: { refusal: 'promotion-failed' },
  },
  {
    title: 'a candidate that was told is believed before one with a lower id',
    topology: '1 well, 2 told',
    facts: { nodes: { 0: stopped } },
    request: { told: [2] },
    expected: { candidate: 2, lagBytes: null },
  },
];

const cold = { receivedLsn: null, walReceiver: null };

/** The candidate's lag when no standby has streamed. */
const streamedStories: readonly CandidateStory[] = [
  {
    title: 'a standby that was away for days and has just been started: nobody knows what it lacks',
    topology: '0 1 vanished, 2 has received nothing since its start',
    facts: { nodes: { 0: vanished, 1: vanished, 2: cold } },
    expected: { refusal: 'lag-unknown' },
  },
  {
    title: 'the primary crashed, and the only standby has received nothing since its start',
    topology: '0 crashed, 1 stopped, 2 has received nothing since its start',
    facts: { nodes: { ...crashedAt('0/4000000'), 1: stopped, 2: cold } },
    expected: { refusal: 'lag-unknown' },
  },
  {
    title: 'the primary died while it sent the empty rest of a segment that pg_switch_wal() had ended: it did stream',
    topology: '0 1 vanished, 2 received up to 0/6D22000, replayed up to 0/7000000',
    facts: {
      nodes: { 0: vanished, 1: vanished, 2: { ...at('0/7000000'), receivedLsn: '0/6D22000', walReceiver: null } },
    },
    expected: { candidate: 2, lagBytes: null },
  },
  {
    title: 'the primary was shut down cleanly: its control file says that a standby which never streamed lacks nothing',
    topology: '0 shut down at 0/5000000, 1 stopped, 2 has received nothing since its start',
    facts: { nodes: { 0: stoppedAt('0/5000000'), 1: stopped, 2: cold } },
    expected: { candidate: 2, lagBytes: 0 },
  },
  {
    title: 'another standby streamed: it shows how far the primary came',
    topology: '0 vanished, 1 priority 0 streamed to 0/5000010, 2 has received nothing since its start',
    configuration: makeConfiguration({ nodes: { 1: { priority: 0 } } }),
    facts: { nodes: { 0: vanished, 1: at('0/5000010'), 2: cold } },
    expected: { candidate: 2, lagBytes: 0x10 },
  },
  {
    title: 'an idle cluster: received is replayed, nothing is known of the lag, and nothing speaks against a promotion',
    topology: '0 crashed, 1 2 well and idle',
    facts: { nodes: { ...crashedAt('0/4000000') } },
    expected: { candidate: 1, lagBytes: null },
  },
];

export const evidenceStories: readonly CandidateStory[] = [...branchStories, ...readinessStories, ...streamedStories];
