// chooseCandidate by stories; that its answer does not depend on the order of the facts; what its refusals say.

import { chooseCandidate, type CandidateChoice, type CandidateRequest } from '../../../domain/plans/candidate';
import { makeConfiguration, makeFacts, makeRequest } from '../builders';
import { candidateStories, type CandidateStory } from './candidate-stories';

function choose(story: CandidateStory, reversed = false): CandidateChoice {
  const facts = makeFacts(story.facts);
  const nodes = reversed ? [...facts.nodes].reverse() : facts.nodes;
  const request: CandidateRequest = { ...makeRequest(story.request), formerPrimary: 0 };
  return chooseCandidate(story.configuration ?? makeConfiguration(), { ...facts, nodes }, request);
}

const withoutLine = (choice: CandidateChoice): object =>
  'refusal' in choice ? { refusal: choice.refusal } : { candidate: choice.candidate, lagBytes: choice.lagBytes };

test.each(candidateStories)('$title [$topology]', (story) => {
  const choice = choose(story);
  expect(withoutLine(choice)).toEqual(story.expected);
  expect(choice.line).toMatch(/^[^\n]{10,400}$/);
  expect(withoutLine(choose(story, true))).toEqual(story.expected);
});

const lineFor = (title: string): string =>
  choose(candidateStories.find((story) => story.title.startsWith(title))!).line;

test('no candidate: the line says of every node why not', () => {
  const line = lineFor('no standby answers');
  expect(line).toContain('node 0: former primary');
  expect(line).toContain('node 1: connection refused');
  expect(line).toContain('node 2: no answer in 1000 ms');
});

test('no candidate: priority 0 and foreign nodes are named as such', () => {
  expect(lineFor('no standby may be promoted')).toContain('node 1: priority 0');
  expect(lineFor('every standby belongs')).toContain('node 1: another system identifier');
});

test('a refused lag says how many bytes and which setting', () => {
  expect(lineFor('one byte more than')).toMatch(/node 1, lacks 257 bytes .* policy\.maximumLagBytes \(256\)/);
});

test('a choice says that the lag is unknown rather than zero', () => {
  expect(lineFor('nothing is known')).toContain('lag unknown');
  expect(lineFor('a primary that stopped cleanly')).toContain('lag 0 bytes');
});

const choiceFor = (title: string): CandidateChoice =>
  choose(candidateStories.find((story) => story.title.startsWith(title))!);

test('a choice names who holds more WAL and is passed over, so that the act allows what the plan allowed', () => {
  expect(choiceFor('a standby that delays its replay')).toMatchObject({ candidate: 2, passedOver: [1] });
  expect(choiceFor('a candidate that could not be told once')).toMatchObject({ passedOver: [] });
});

test('a choice reserves the timeline of a branch that the candidate does not know', () => {
  const stray = { timeline: 2, history: [{ timeline: 1, endLsn: '0/5000000' }] };
  expect(choiceFor('a standby was promoted by mistake')).toMatchObject({ candidate: 1, reserved: [stray] });
});

test('a synchronous refusal says whose setting and how many answer', () => {
  expect(lineFor('synchronous, one of two had to confirm and only')).toMatch(
    /^1 of the 2 standbys of policy.synchronous/,
  );
});
