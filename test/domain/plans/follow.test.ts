// planFollow by stories: node 1 was promoted to timeline 2; how does each other node come to follow it?
// Everything that goes in is frozen, so that a plan which changes its input throws.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describeMissing, planFollow, type FollowPlan } from '../../../domain/plans/follow';
import { reasonCodes } from '../../../domain/facts/reasons';
import { deepFreeze, makeConfiguration, makeFacts, promotedToTimeline2, stopped } from '../builders';
import { followStories as stories } from './follow-stories';
import type { FollowStory } from './follow-story';

function tell({ node = 2, primary = 1, own, nodes, maintenance, watch, request, follow }: FollowStory): FollowPlan {
  const facts = makeFacts({
    nodes: { 0: stopped, 1: promotedToTimeline2, ...(own && { 2: own }), ...nodes },
    ...(maintenance && { maintenance }),
    ...(watch && { watch }),
  });
  const configuration = makeConfiguration(follow && { policy: { follow } });
  return planFollow(
    configuration,
    facts,
    deepFreeze({ node, primary, isStartAllowed: false, hasLostWal: false, ...request }),
  );
}

const answerOf = (plan: FollowPlan): string => (plan.rung === 'refuse' ? plan.reason : plan.rung);

test.each(stories)('$title [$topology]: $expected', (story) => {
  const plan = tell(story);
  expect(answerOf(plan)).toBe(story.expected);
  expect(plan.line).toMatch(new RegExp(`^[^\\n]*node (${story.node ?? 2}|${story.primary ?? 1})[^\\n]*$`));
});

test('every rung and exactly the reasons of the source are reached', () => {
  const source = readFileSync(join(__dirname, '../../../domain/plans/follow.ts'), 'utf8');
  const reasons = [...source.matchAll(/\b(?:refuse\(|rebuild\(about,)\s*'([a-z-]+)'/g)].map((match) => match[1]!);
  expect(reasonCodes).toEqual(expect.arrayContaining(reasons));
  expect(reasons.length).toBeGreaterThan(4);
  const rungs: Record<Exclude<FollowPlan['rung'], 'refuse'>, true> = {
    none: true,
    repoint: true,
    start: true,
    rebuild: true,
    compare: true,
    wait: true,
  };
  expect(new Set(stories.map((story) => answerOf(tell(story))))).toEqual(new Set([...reasons, ...Object.keys(rungs)]));
});

test.each([
  ['a standby one byte past', '(1, 0/5000001): it must be rebuilt'],
  ['a diverged standby where', 'must be rebuilt, which policy.follow does not allow'],
  ['a stopped node that nobody', 'pgpool-runbook rejoin 2'],
  ['a node that refuses while', 'PostgreSQL runs there'],
  ['backends without', 'postmaster'],
  ['a primary that ended in production, never looked at', 'does it hold WAL past the fork?'],
  [
    'a standby that received a whole record',
    '(1, 0/5000000): it holds records that node 1 does not have: it must be rebuilt',
  ],
  ['a clean stop exactly', 'last checkpoint (1, 0/5000000)'],
  ['a frozen node', 'no answer in 1000 ms'],
])('%s … is told with "%s"', (title, words) => {
  expect(tell(stories.find((story) => story.title.startsWith(title))!).line).toContain(words);
});

test('the new primary itself is told apart from a node that merely accepts writes', () => {
  const itself = stories.find((story) => story.title.startsWith('pgpool calls follow for the new primary'))!;
  expect(tell(itself).line).toContain('is the primary itself');
});

test('a worker that is turned away does not say that the primary is none', () => {
  const tellOf = (seen: object): string =>
    describeMissing('node 0', makeFacts({ nodes: { 0: { ...stopped, ...seen } } }).nodes[0]);
  const rejecting = { sql: 'rejected', sqlSeen: 'PostgreSQL at db0:5432: password authentication failed' };
  expect(tellOf(rejecting)).toBe(
    "node 0 refuses the worker's query: PostgreSQL at db0:5432: password authentication failed",
  );
  expect(tellOf({ sql: 'silent', sqlSeen: 'PostgreSQL at db0:5432: no answer in time' })).toMatch(
    /^node 0 does not answer as the primary: .*no answer in time$/,
  );
  expect(describeMissing('node 7', undefined)).toBe('node 7 is not in the cluster file');
});
