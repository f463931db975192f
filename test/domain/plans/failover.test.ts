// planFailover by stories, and the proof that the stories reach every action, refusal and state of the primary.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { getNode } from '../../../domain/facts/cluster';
import { planFailover } from '../../../domain/plans/failover';
import type { FailoverPlan } from '../../../domain/plans/failover-request';
import { suspectPrimary } from '../../../domain/plans/suspect';
import { reasonCodes } from '../../../domain/facts/reasons';
import { judgePrimary, type PrimaryState } from '../../../domain/plans/primary-state';
import { makeConfiguration, makeFacts, makeRequest } from '../builders';
import { candidateStories } from './candidate-stories';
import { cautionStories } from './caution-stories';
import {
  fencedStories,
  livingPrimaryStories,
  lostPrimaryStories,
  suspectStories,
  type FailoverStory,
} from './failover-stories';
import { pauseStories } from './pause-stories';
import { recordStories } from './record-stories';
import { rivalStories } from './rival-stories';
import { watchStories } from './watch-stories';
import { refusalStories, twoPrimariesStories } from './failover-refusal-stories';

interface Told {
  readonly plan: FailoverPlan;
  /** Null when no node had to be judged. */
  readonly state: PrimaryState | null;
}

function tell(story: FailoverStory): Told {
  const configuration = story.configuration ?? makeConfiguration();
  const facts = makeFacts(story.facts, configuration.nodes.length);
  const request = makeRequest(story.request);
  const plan = planFailover(configuration, facts, request);
  if (plan.action === 'promote') return { plan, state: plan.state };
  const suspect = request.fencedNode === null ? suspectPrimary(configuration, facts, request) : null;
  if (suspect === null) return { plan, state: null };
  return { plan, state: judgePrimary(facts, suspect, getNode(configuration, suspect), request.sinceEventMs).state };
}

function nodeOf(plan: FailoverPlan): number | undefined {
  if (plan.action === 'promote') return plan.candidate;
  if (plan.action === 'keep') return plan.primary;
  return plan.action === 'refuse' ? undefined : plan.node;
}

/** Refusals and kept primaries as the source writes them, so that a new one without a story fails here. */
function declaredReasons(...files: string[]): string[] {
  const text = files.map((file) => readFileSync(join(__dirname, '../../../domain/plans', file), 'utf8')).join('\n');
  const found = [...text.matchAll(/(?:\brefuse\(\s*|\brefusal: |\breason: )'([a-z-]+)'/g)].map((match) => match[1]!);
  return [...new Set(found)].sort();
}

/** Every story is told, and counts in the proofs below. */
const chapters: readonly (readonly [string, readonly FailoverStory[]])[] = [
  ['a primary works', livingPrimaryStories],
  ['the primary is lost', lostPrimaryStories],
  ['after the fence', fencedStories],
  ['who was the primary', suspectStories],
  ['nothing is done', refusalStories],
  ['two primaries', twoPrimariesStories],
  ['better evidence first', cautionStories],
  ['the record', recordStories],
  ['the watch', watchStories],
  ['another one may be the primary', rivalStories],
  ['people have it in hand', pauseStories],
];
const stories = chapters.flatMap(([, rows]) => rows);

describe.each(chapters)('%s', (_, rows) => {
  test.each(rows)('$title [$topology]', (story) => {
    const { plan, state } = tell(story);
    const { action, reason, state: expectedState, node, formerPrimary, needsFence = false } = story.expected;
    expect({ action: plan.action, reason: 'reason' in plan ? plan.reason : undefined, node: nodeOf(plan) }).toEqual({
      action,
      reason,
      node,
    });
    if (expectedState) expect(state).toBe(expectedState);
    expect(plan.action === 'promote' ? (plan.formerPrimary ?? undefined) : undefined).toBe(formerPrimary);
    expect(plan.action === 'promote' && plan.needsFence).toBe(needsFence);
    expect(plan.line).toMatch(/^[^\n]{10,400}$/);
  });
});

describe('the stories leave nothing out', () => {
  test('every action is reached', () => {
    const actions: Record<FailoverPlan['action'], true> = {
      promote: true,
      keep: true,
      wait: true,
      'look-again': true,
      fence: true,
      refuse: true,
    };
    expect(new Set(stories.map((story) => tell(story).plan.action))).toEqual(new Set(Object.keys(actions)));
  });

  test('every state of the primary is reached', () => {
    const states: Record<PrimaryState, true> = {
      working: true,
      recovering: true,
      hung: true,
      dead: true,
      closed: true,
      unreachable: true,
      rejecting: true,
      unknown: true,
    };
    const reached = stories.filter((story) => story.expected.state).map((story) => tell(story).state);
    expect(new Set(reached)).toEqual(new Set(Object.keys(states)));
  });

  test('the reasons reached are exactly those that planFailover and chooseCandidate can give', () => {
    const declared = declaredReasons(
      'failover.ts',
      'lost-primary.ts',
      'candidate.ts',
      'rival-primaries.ts',
      'pause.ts',
    );
    expect(declared.length).toBeGreaterThan(12);
    expect(reasonCodes).toEqual(expect.arrayContaining(declared));
    const all = [
      ...stories,
      ...candidateStories.map((story) => ({ ...story, expected: { action: 'refuse' as const } })),
    ];
    const reached = all.flatMap((story) => {
      const { plan } = tell(story);
      return 'reason' in plan ? [plan.reason] : [];
    });
    expect([...new Set(reached)].sort()).toEqual(declared);
  });

  test('titles are told once', () => {
    const titles = [...stories, ...candidateStories].map((story) => story.title);
    expect(new Set(titles).size).toBe(titles.length);
  });
});

describe('the line tells a person what was seen', () => {
  const lineOf = (story: Partial<FailoverStory>): string =>
    tell({ ...refusalStories[0]!, request: {}, ...story }).plan.line;
  const silentToTwo = refusalStories.find((story) => story.title.startsWith('pgpool’s own live look'))!;

  test('when somebody heard from the silent primary, it says who', () => {
    expect(lineOf(silentToTwo)).toContain('pgpool pgpool0');
  });
  test('two primaries are named with their timelines', () => {
    const twice = twoPrimariesStories.find((story) => story.title.startsWith('the former primary accepts'))!;
    expect(lineOf({ ...twice, request: twice.request ?? {} })).toMatch(
      /node 0 \(timeline 1\), is no pgpool’s primary.*; node 1 \(timeline 2\), serves pgpool0, is followed by node 2/,
    );
  });
  test('a rejected query is quoted', () => {
    const rejecting = refusalStories.find((story) => story.expected.reason === 'primary-rejects-queries')!;
    expect(lineOf(rejecting)).toContain('too many clients already (53300)');
  });
});
