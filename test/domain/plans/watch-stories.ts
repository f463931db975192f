// Stories of planFailover in which the watch's last look at a lost primary counts. Told in failover.test.ts.

import type { NodeSample, NodeWords, WatchSamples } from '../../../domain/facts/watch';
import { makeConfiguration, pgpoolSees, probe, receivesNothing, stopped, vanished, wellLsn } from '../builders';
import type { FailoverStory } from './failover-stories';
import { primarySays, shows, standbySays } from './watch-world';

/** Facts are taken at midnight. */
const before = (ms: number): string => new Date(Date.parse('2026-01-01T00:00:00.000Z') - ms).toISOString();

interface Seen {
  readonly said: NodeWords;
  readonly answeredMsAgo: number;
  /** Null = never. */
  readonly streamedMsAgo?: number | null;
}

function samples(nodes: Readonly<Record<number, Seen>>): WatchSamples {
  const list = Object.entries(nodes).map(([id, { said, answeredMsAgo, streamedMsAgo = null }]): NodeSample => {
    const streamedAt = streamedMsAgo === null ? null : before(streamedMsAgo);
    return {
      node: Number(id),
      misses: 3,
      seen: '',
      answeredAt: before(answeredMsAgo),
      said,
      streamedAt,
      isNews: false,
    };
  });
  return { takenAt: before(1000), nodes: list, pgpools: [] };
}

const primary: Seen = { said: primarySays(), answeredMsAgo: 9000 };
const streamed = (node: number): Seen => ({ said: standbySays(node), answeredMsAgo: 1000, streamedMsAgo: 9000 });
/** A node that answers, and has not streamed for a minute. */
const idle = (node: number): Seen => ({ said: standbySays(node), answeredMsAgo: 1000, streamedMsAgo: 60_000 });

const gone = {
  nodes: { 0: vanished, 1: receivesNothing, 2: receivesNothing },
  probes: [probe(1, 'silent'), probe(2, 'silent')],
  pgpools: [pgpoolSees(null, { 0: 'down' })],
};
/** Both standbys seem to have started a moment ago. */
const restarted = { ...receivesNothing, receivedLsn: null };
const bothRestarted = { ...gone, nodes: { 0: vanished, 1: restarted, 2: restarted } };
const promotes = { action: 'promote', state: 'unreachable', node: 1, formerPrimary: 0 } as const;

export const watchStories: readonly FailoverStory[] = [
  {
    title: 'standbys that were restarted after the loss have streamed until then, as the watch saw',
    topology: '0* vanished, 1 2 restarted; watch: both streamed when 0 last answered',
    facts: { ...bothRestarted, watch: samples({ 0: primary, 1: streamed(1), 2: streamed(2) }) },
    expected: promotes,
  },
  {
    title: 'a node that a person promoted, that pgpool serves and that nobody reaches now is not overlooked',
    topology: '0* stopped, 1 in recovery, 2 vanished; watch: 2 accepted writes on 2, served',
    facts: {
      nodes: { 0: stopped, 1: receivesNothing, 2: vanished },
      watch: {
        ...samples({
          0: primary,
          2: { said: primarySays({ position: { timeline: 2, lsn: wellLsn } }), answeredMsAgo: 5000 },
        }),
        pgpools: [{ pgpool: 'pgpool0', at: before(1000), isReached: true, nodes: shows(2, 0), seen: '' }],
      },
    },
    expected: { action: 'refuse', reason: 'primary-unreachable' },
  },
  {
    title: 'without the watch nobody knows that they have',
    topology: '0* vanished, 1 2 restarted; no watch',
    facts: bothRestarted,
    expected: { action: 'refuse', reason: 'lag-unknown' },
  },
  {
    title: 'rule 6: standbys that did not stream when the primary was lost, though they did before',
    topology: '0* vanished, 1 2 have received; watch: neither streamed any more',
    facts: { ...gone, watch: samples({ 0: primary, 1: idle(1), 2: idle(2) }) },
    expected: { action: 'refuse', reason: 'lag-unknown' },
  },
  {
    title: 'rule 6: one that did stream shows how far the primary came',
    topology: '0* vanished, 1 2 have received; watch: 2 streamed',
    facts: { ...gone, watch: samples({ 0: primary, 1: idle(1), 2: streamed(2) }) },
    expected: promotes,
  },
  {
    title: 'rule 6: a standby whose receiver still waited for the primary before the lost one',
    topology: '0* vanished on 2, 1 2 have received on 1; watch: 0 was on 2, both received on 1',
    facts: {
      ...gone,
      watch: samples({
        0: { ...primary, said: primarySays({ position: { timeline: 2, lsn: '0/6000000' } }) },
        1: streamed(1),
        2: streamed(2),
      }),
    },
    expected: { action: 'refuse', reason: 'lag-unknown' },
  },
  {
    title: 'a standby that the watch had not heard beside the primary is no evidence either way',
    topology: '0* vanished, 1 2 have received; watch: 0 last, 1 2 heard a minute before that',
    facts: {
      ...gone,
      watch: samples({
        0: primary,
        1: { ...idle(1), answeredMsAgo: 69_000 },
        2: { ...idle(2), answeredMsAgo: 69_000 },
      }),
    },
    expected: promotes,
  },
  {
    title: 'the primary’s last LSN is too far ahead of every standby',
    topology: '0* vanished, 1 2 at 0/5000000; watch: 0 at 0/7000000',
    facts: {
      ...gone,
      watch: samples({
        0: { ...primary, said: primarySays({ position: { timeline: 1, lsn: '0/7000000' } }) },
        1: streamed(1),
        2: streamed(2),
      }),
    },
    expected: { action: 'refuse', reason: 'lag-exceeded' },
  },
  {
    title: 'an LSN of another timeline says nothing of the lag',
    topology: '0* vanished, 1 2 on 1; watch: 0 on timeline 2, ahead',
    facts: {
      ...gone,
      watch: samples({ 0: { ...primary, said: primarySays({ position: { timeline: 2, lsn: '0/9000000' } }) } }),
    },
    expected: promotes,
  },
  {
    title: 'rule 1: the set that the watch last saw in force counts, and its confirmer is away',
    topology: '0* vanished, 1 well, 2 vanished; watch: ANY 1 (node2)',
    configuration: makeConfiguration({}, 3),
    facts: {
      ...gone,
      nodes: { ...gone.nodes, 2: { ...receivesNothing, replayedLsn: '0/4000000', position: null } },
      watch: samples({
        0: { ...primary, said: primarySays({ synchronousStandbyNames: 'ANY 1 (node2)' }) },
        1: streamed(1),
      }),
    },
    expected: { action: 'refuse', reason: 'synchronous-set-unreachable' },
  },
  {
    title: 'rule 1: an old copy of a set on a standby does not count beside what the watch saw',
    topology: '0* vanished, 1 well with a copy ANY 2 (...), 2 away; watch: asynchronous',
    facts: {
      ...gone,
      nodes: {
        ...gone.nodes,
        1: { ...receivesNothing, synchronousStandbyNames: 'ANY 1 (node2)' },
        2: { ...receivesNothing, position: null },
      },
      watch: samples({ 0: primary, 1: streamed(1) }),
    },
    expected: promotes,
  },
  {
    title: 'the same copy without the watch forbids the promotion',
    topology: '0* vanished, 1 well with a copy, 2 away; no watch',
    facts: {
      ...gone,
      nodes: {
        ...gone.nodes,
        1: { ...receivesNothing, synchronousStandbyNames: 'ANY 1 (node2)' },
        2: { ...receivesNothing, position: null },
      },
    },
    expected: { action: 'refuse', reason: 'synchronous-set-unreachable' },
  },
  {
    title: 'a primary that has answered the watch after the event is alive, whoever else is silent',
    topology: '0* vanished, 1 2 well; the event is a second old, the last answer 300 ms',
    facts: { ...gone, watch: samples({ 0: { ...primary, answeredMsAgo: 300 }, 1: streamed(1), 2: streamed(2) }) },
    request: { sinceEventMs: 1000 },
    expected: { action: 'look-again', state: 'unknown', node: 0 },
  },
  {
    title: 'an answer from before the event is no sign of life',
    topology: '0* vanished, 1 2 well; the event is 200 ms old, the last answer 300 ms',
    facts: {
      ...gone,
      watch: samples({
        0: { ...primary, answeredMsAgo: 300 },
        1: { ...streamed(1), streamedMsAgo: 300 },
        2: streamed(2),
      }),
    },
    request: { sinceEventMs: 200 },
    expected: promotes,
  },
];
