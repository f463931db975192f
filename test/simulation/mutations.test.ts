// The simulation must be able to fail: every mutation of the product is found, and by the rule that it breaks.

import { actMutations } from './mutations/acts';
import { decisionMutations } from './mutations/decisions';
import { type Mutation, steer, subjectOf } from './mutations/mutation';
import * as seams from './mutations/seams';
import { search } from './search';

// Jest lifts these calls above the imports, and lets them use names that begin with mock.
function mockSeam(path: string, name: seams.SeamName): Record<string, unknown> {
  const { withSeam } = jest.requireActual<typeof seams>('./mutations/seams');
  return withSeam(jest.requireActual<Record<string, unknown>>(path), name);
}
jest.mock('../../domain/plans/failover', () => mockSeam('../../domain/plans/failover', 'planFailover'));
jest.mock('../../domain/plans/candidate', () => mockSeam('../../domain/plans/candidate', 'chooseCandidate'));
jest.mock('../../domain/plans/follow', () => mockSeam('../../domain/plans/follow', 'planFollow'));
jest.mock('../../domain/plans/pause', () => mockSeam('../../domain/plans/pause', 'pauseInstead'));
jest.mock('../../domain/plans/reach', () => mockSeam('../../domain/plans/reach', 'describeCutOff'));
jest.mock('../../domain/plans/rival-primaries', () =>
  mockSeam('../../domain/plans/rival-primaries', 'planWithTwoPrimaries'),
);
jest.mock('../../domain/plans/suspect', () => mockSeam('../../domain/plans/suspect', 'suspectPrimary'));
jest.mock('../../domain/plans/synchronous', () => mockSeam('../../domain/plans/synchronous', 'hasLastCommit'));

const mutations: readonly Mutation[] = [...decisionMutations, ...actMutations];
const mostRuns = 50_000;
/** On a slow machine, too, a test ends by itself. */
const mostMs = 150_000;

afterEach(() => {
  seams.setSeams({});
});

test.each(mutations.map((mutation) => [mutation.rule, mutation.title, mutation] as const))(
  '%s: %s',
  async (rule, _, mutation) => {
    seams.setSeams(mutation.seams?.() ?? {});
    const until = Date.now() + mostMs;
    const [subject, draw] = [subjectOf(mutation), steer(mutation)];
    const isOver = (): boolean => Date.now() > until;
    const found = await search({ seed: 1, runs: mostRuns, rule, subject, draw, isOver });
    expect(found.found.map(({ violation }) => violation.rule)).toEqual([rule]);
    if (process.env['SIMULATION_COUNTS']) console.log(`${rule}: ${mutation.title}: run ${found.runs}`);
  },
);

test('every rule has three mutations at least', () => {
  const rules = [...Array.from({ length: 10 }, (_, index) => `rule-${index + 1}`), 'liveness', 'lost-commit'];
  const few = rules.filter((rule) => mutations.filter((mutation) => mutation.rule === rule).length < 3);
  expect(few).toEqual([]);
});
