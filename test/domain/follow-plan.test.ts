// planFollow by stories: node 1 was promoted to timeline 2; how does each other node come to follow it?

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { planFollow, type FollowPlan } from '../../domain/follow-plan';
import { reasonCodes, type ReasonCode } from '../../domain/outcome';
import {
  at,
  makeConfiguration,
  makeFacts,
  onTimeline2,
  promotedToTimeline2,
  receiverFrom,
  receivesNothing,
  recovering,
  stopped,
  vanished,
  type Differences,
} from './builders';

interface FollowStory {
  readonly title: string;
  readonly topology: string;
  readonly node?: number;
  readonly primary?: number;
  /** Of node 2; the primary is node 1. */
  readonly own?: NonNullable<Differences['nodes']>[number];
  readonly nodes?: Differences['nodes'];
  readonly expected: 'none' | 'repoint' | ReasonCode;
}

const streams = { ...onTimeline2, walReceiver: receiverFrom(1, 2) };
const foreign = '7999999999999999999';

const stories: readonly FollowStory[] = [
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
    title: 'a standby that followed another branch of an older failover is diverged',
    topology: '2 on timeline 3, which 1 does not know',
    own: { ...at('0/5000100', 3), history: [{ timeline: 1, endLsn: '0/5000000' }] },
    expected: 'diverged',
  },
  {
    title: 'a standby one byte past the fork is diverged',
    topology: '2 on timeline 1 at 0/5000001, the fork is at 0/5000000',
    own: at('0/5000001'),
    expected: 'diverged',
  },
  {
    title: 'the former primary that came back as a standby past the fork is diverged',
    topology: '0 in recovery on timeline 1 past the fork',
    node: 0,
    nodes: { 0: { isInRecovery: true, ...at('0/5000800') } },
    expected: 'diverged',
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

function tell({ node = 2, primary = 1, own, nodes }: FollowStory): FollowPlan {
  const facts = makeFacts({ nodes: { 0: stopped, 1: promotedToTimeline2, ...(own && { 2: own }), ...nodes } });
  return planFollow(makeConfiguration(), facts, node, primary);
}

const answerOf = (plan: FollowPlan): string => (plan.rung === 'refuse' ? plan.reason : plan.rung);

test.each(stories)('$title [$topology]: $expected', (story) => {
  const plan = tell(story);
  expect(answerOf(plan)).toBe(story.expected);
  expect(plan.line).toMatch(
    new RegExp(`^[^\\n]*node (${String(story.node ?? 2)}|${String(story.primary ?? 1)})[^\\n]*$`),
  );
});

test('every rung and exactly the reasons of the source are reached', () => {
  const source = readFileSync(join(__dirname, '../../domain/follow-plan.ts'), 'utf8');
  const reasons = [...source.matchAll(/\brefuse\(\s*'([a-z-]+)'/g)].map((match) => match[1]!);
  expect(reasonCodes).toEqual(expect.arrayContaining(reasons));
  expect(reasons.length).toBeGreaterThan(4);
  const rungs: Record<Exclude<FollowPlan['rung'], 'refuse'>, true> = { none: true, repoint: true };
  expect(new Set(stories.map((story) => answerOf(tell(story))))).toEqual(new Set([...reasons, ...Object.keys(rungs)]));
});

test('a diverged node is told with its position', () => {
  const diverged = stories.find((story) => story.title.startsWith('a standby one byte past'))!;
  expect(tell(diverged).line).toContain('(1, 0/5000001)');
});

test('the new primary itself is told apart from a node that merely accepts writes', () => {
  const itself = stories.find((story) => story.title.startsWith('pgpool calls follow for the new primary'))!;
  expect(tell(itself).line).toContain('is the primary itself');
});
