// The failover of a lost primary is as `plan --if` has told it: the verbs up to the promotion, who is promoted, and how each standby follows.

import { main } from '../../../client/cli';
import { incidentWorkflowId } from '../../../domain/facts/names';
import type { ToldPlan } from '../../../workflows/runbooks/telling';
import {
  expectFollowing,
  expectHonestLoss,
  expectOneWritable,
  expectServed,
  finishedIncident,
  type Scenario,
  thirdOf,
  useScenario,
} from './support';

const scenario = useScenario('plan');

async function plan({ lab }: Scenario, ...down: readonly number[]): Promise<ToldPlan> {
  let out = '';
  const conditions = down.flatMap((node) => ['--if', `${node}=down`]);
  const words = ['plan', ...conditions, '--config', lab.clusterFile, '-o', 'json'];
  await main(words, { writeOut: (text) => (out += text), writeError: () => undefined });
  return JSON.parse(out) as ToldPlan;
}

/** Names of the verbs that the incident did, in order, up to the promotion; a second look in a row is one look. */
async function verbsDone({ lab, temporal }: Scenario): Promise<string[]> {
  const handle = temporal.workflow.getHandle(incidentWorkflowId(lab.configuration.cluster));
  const { events } = await handle.fetchHistory();
  return untilPromote(
    (events ?? []).flatMap(
      ({ activityTaskScheduledEventAttributes: scheduled }) => scheduled?.activityType?.name ?? [],
    ),
  );
}

function untilPromote(verbs: readonly string[]): string[] {
  return verbs
    .slice(0, verbs.indexOf('promote') + 1)
    .filter((verb, index) => verb !== 'observe' || verbs[index - 1] !== 'observe');
}

test('plan changes nothing, and the failover that follows does what it told', async () => {
  const { lab } = scenario();
  const both = await plan(scenario(), 0, 1, 2);
  expect(both).toMatchObject({ outcome: 'refused', reason: 'no-candidate', primary: null });

  const told = await plan(scenario(), 0);
  expect(told).toMatchObject({ outcome: 'completed', reason: 'promoted' });
  const next = told.primary!;
  const other = thirdOf(0, next);
  await expectServed(scenario());
  await expectOneWritable(scenario(), 0);
  await expectFollowing(scenario(), 1, 0);
  await expectFollowing(scenario(), 2, 0);

  await lab.killPostgres(0);
  const report = await finishedIncident(scenario());
  expect(report).toMatchObject({ outcome: 'completed', reason: 'promoted', primary: next });
  const toldVerbs = untilPromote(told.verbs.map(({ verb }) => verb));
  expect(toldVerbs).toEqual(expect.arrayContaining(['observe', 'fence', 'promote']));
  expect(await verbsDone(scenario())).toEqual(toldVerbs);
  const rungOf = (node: number): string | undefined => told.follows.find((entry) => entry.node === node)?.rung;
  expect(report.follows.find(({ node }) => node === other)?.rung).toBe(rungOf(other));
  // A primary that is down follows when it is back; here the fence has brought it back at once.
  expect(rungOf(0)).toBe('left');
  await expectOneWritable(scenario(), next);
  await expectFollowing(scenario(), other, next);
  await expectServed(scenario());
  await expectHonestLoss(scenario(), next, [other]);
});
