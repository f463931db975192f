// Decisions can be typed by any user of Temporal Web: accepted, or one clear sentence why not.

import fc from 'fast-check';
import { type Decision, findDecisionProblem, type ParkedStep } from '../../../domain/facts/decision';
import { deepFreeze } from '../builders';

const parked: readonly ParkedStep[] = deepFreeze([
  {
    stepId: 'node0.base-backup',
    title: 'Base backup',
    problem: 'no space left',
    choices: ['retry', 'abort'],
    since: '2026-01-01T00:00:00Z',
  },
  {
    stepId: 'node2.attach',
    title: 'Attach',
    problem: 'pgpool0 does not answer',
    choices: ['retry', 'skip', 'abort'],
    since: '2026-01-01T00:01:00Z',
  },
]);
const decision: Decision = deepFreeze({
  stepId: 'node0.base-backup',
  choice: 'retry',
  operator: 'dba@host',
  reason: 'more disk',
});

test.each([
  ['the first choice of a step', {}],
  ['its last one', { choice: 'abort' }],
  ['a choice that only another step has', { stepId: 'node2.attach', choice: 'skip' }],
  ['the longest reason', { reason: 'a'.repeat(500) }],
  ['a field more', { at: 'now' }],
])('%s is accepted', (_, differences) => {
  expect(findDecisionProblem({ ...decision, ...differences }, parked)).toBeNull();
});

const open = 'node0.base-backup, node2.attach';
test.each([
  ['a step that is not parked', { stepId: 'node1.stop' }, `no step "node1.stop" is parked; parked now: ${open}`],
  ['no step', { stepId: undefined }, `no step null is parked; parked now: ${open}`],
  ['a step that is no text', { stepId: 0 }, `no step 0 is parked; parked now: ${open}`],
  ['a choice that is not open', { choice: 'skip' }, 'step node0.base-backup takes retry, abort, not "skip"'],
  ['a choice that nobody has', { choice: 'Retry' }, 'step node0.base-backup takes retry, abort, not "Retry"'],
  ['no choice', { choice: undefined }, 'step node0.base-backup takes retry, abort, not null'],
  ['no operator', { operator: undefined }, 'operator is missing: who decides this?'],
  ['an empty operator', { operator: ' ' }, 'operator is missing: who decides this?'],
  ['an operator that is no text', { operator: 7 }, 'operator is missing: who decides this?'],
  ['no reason', { reason: undefined }, 'reason is missing: it is kept with the decision'],
  ['an empty reason', { reason: '\n' }, 'reason is missing: it is kept with the decision'],
  ['dots for a reason', { reason: '...' }, 'reason is missing: it is kept with the decision'],
])('%s is refused', (_, differences, problem) => {
  expect(findDecisionProblem({ ...decision, ...differences }, parked)).toBe(problem);
});

test('what is too long is refused', () => {
  for (const name of ['operator', 'reason'])
    expect(findDecisionProblem({ ...decision, [name]: 'a'.repeat(501) }, parked)).not.toBeNull();
});

test('nothing can be decided when nothing is parked', () => {
  expect(findDecisionProblem(decision, [])).toBe('no step "node0.base-backup" is parked; parked now: none');
});

test.each([[null], [undefined], ['retry'], [7], [[]], [[decision]]])('%j is no decision', (value) => {
  expect(findDecisionProblem(value, parked)).toMatch(/^a decision is an object: /);
});

test('any JSON value, alone or in one field, is accepted or refused, and nothing is thrown', () => {
  const field = fc.constantFrom(...Object.keys(decision));
  fc.assert(
    fc.property(field, fc.jsonValue(), (name, value) => {
      for (const whole of [value, { ...decision, [name]: value }]) {
        const problem = findDecisionProblem(whole, parked);
        if (problem === null)
          expect(parked.map(({ stepId }) => stepId)).toContain((whole as unknown as Decision).stepId);
        else expect(problem).not.toBe('');
      }
    }),
  );
});
