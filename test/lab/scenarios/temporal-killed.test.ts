// Temporal itself dies by SIGKILL in the middle of a failover and comes back on the same database: the incident goes on.

import { incidentWorkflowId } from '../../../domain/facts/names';
import {
  expectFollowing,
  expectHonestLoss,
  expectOneWritable,
  expectPgpoolUses,
  expectServed,
  finishedIncident,
  thirdOf,
  until,
  useScenario,
} from './support';

const scenario = useScenario('temporal-killed');

test('Temporal killed in mid-failover and restarted ends the same failover', async () => {
  const { lab, temporal } = scenario();
  const stopping = lab.stopImmediate(0);
  const handle = temporal.workflow.getHandle(incidentWorkflowId(lab.configuration.cluster));
  await until('the incident has begun', async () => ((await handle.fetchHistory()).events ?? []).length > 4);
  await lab.killTemporal();
  await stopping;
  await lab.startTemporal();
  const report = await finishedIncident(scenario());
  expect(verdictReasons(report.events)).toContain('promoted');
  const primary = report.primary!;
  const other = thirdOf(0, primary);
  await expectOneWritable(scenario(), primary);
  await expectFollowing(scenario(), other, primary);
  await expectPgpoolUses(scenario(), primary, [other]);
  await expectServed(scenario());
  await expectHonestLoss(scenario(), primary, [other]);
});

function verdictReasons(events: readonly { readonly reason: string }[]): string[] {
  return events.map((event) => event.reason);
}
