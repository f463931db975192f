// As many runs as fit in a minute, from a fixed seed, break no rule of design.md section 2 in a way that is not known. SIMULATION_SEED and SIMULATION_SECONDS
// change both; `npm run simulate -- --runs 1 --seed N` tells the story of one run. Coverage of the plans by this test alone:
// npx jest --selectProjects unit --testPathPatterns simulation.test --coverage --collectCoverageFrom 'domain/plans/**'

import { rows } from '../../domain/plans/incident-rows';
import { medianOf, search } from './search';

const seed = Number(process.env['SIMULATION_SEED'] ?? 1);
const seconds = Number(process.env['SIMULATION_SECONDS'] ?? 60);

/*
 * 95.2 % of the branches of domain/plans, in 2500 runs. The other 82, by reason:
 * - PostgreSQL and the looks always say it, so no world has the other case (46): a position, a replayed LSN, the age of a receiver's last message, the
 *   number of clients, a host of a suspect, a node or a pgpool of the cluster file among the facts: follow.ts 53, 81, 102, 138, 143, 209, 250;
 *   rival-primaries.ts 34, 67, 105, 107, 223; candidate.ts 131, 173, 207, 289; primary-state.ts 52, 53, 63, 70, 75, 116, 117; overview.ts 71 to 75, 151;
 *   record.ts 42, 116, 132, 157; suspect.ts 49, 70, 106; assumed.ts 48, 52; unserved.ts 24, 44; reach.ts 41; lost-primary.ts 36; last-sample.ts 59.
 * - Whoever calls has asked before (20): follow.ts 67; rebuild.ts 39, 63, 65, 66, 140; rebuild-places.ts 58, 97; incident.ts 78, 81, 85, 292; incident-work.ts
 *   47, 76; incident-turn.ts 130; differences.ts 79, 167, 216; watch.ts 146.
 * - PostgreSQL refuses such a synchronous_standby_names (4): synchronous.ts 25, 34, 62; differences.ts 181.
 * - A race that some thousand runs do not meet, or not all of them (12): follow.ts 129, 237; rival-primaries.ts 71, 161, 181, 182; rebuild.ts 116;
 *   rebuild-places.ts 124; incident.ts 229; verdict.ts 13; failover.ts 125; branches.ts 135.
 */
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
