// As many runs as fit in a minute, from a fixed seed, break no rule of design.md section 2 in a way that is not known. SIMULATION_SEED and SIMULATION_SECONDS
// change both; `npm run simulate -- --runs 1 --seed N` tells the story of one run. Coverage of the plans by this test alone:
// npx jest --selectProjects unit --testPathPatterns simulation.test --coverage --collectCoverageFrom 'domain/plans/**'

import { rows } from '../../domain/plans/incident-rows';
import { medianOf, search } from './search';

const seed = Number(process.env['SIMULATION_SEED'] ?? 1);
const seconds = Number(process.env['SIMULATION_SECONDS'] ?? 60);

test('a minute of runs breaks no rule', async () => {
  const until = Date.now() + seconds * 1000;
  const isOver = (): boolean => Date.now() > until;
  const searched = await search({ seed, runs: Infinity, most: 20, isOver });
  const { runs, knownRuns, states, found } = searched;
  const [events, faults] = [medianOf(searched.events), medianOf(searched.faults)];
  process.stdout.write(
    `simulation: ${runs} runs from seed ${seed} in ${seconds} s, ${states.size} states, ${knownRuns} runs with a known violation; at the median ${events} events and ${faults} faults\n`,
  );
  expect(found.map(({ seed: own, violation: { rule, line } }) => `seed ${own}: ${rule}: ${line}`)).toEqual([]);
  expect(events).toBeGreaterThanOrEqual(10);
  expect(faults).toBeGreaterThanOrEqual(3);
  // The last row of the page does nothing, and is not told.
  const numbers = rows.map(({ number }) => number).slice(0, -1);
  expect(numbers.filter((number) => !searched.rows.has(number))).toEqual([]);
}, 240_000);
