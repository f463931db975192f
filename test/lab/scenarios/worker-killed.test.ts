// The worker dies by SIGKILL in the middle of a failover, and another one takes the incident up where it was.

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

const scenario = useScenario('worker-killed');

test('a worker killed in mid-failover costs seconds, not the failover', async () => {
  const { lab, temporal } = scenario();
  const stopping = lab.stopImmediate(0);
  const handle = temporal.workflow.getHandle(incidentWorkflowId(lab.configuration.cluster));
  await until('the fence is scheduled', async () => {
    const { events } = await handle.fetchHistory();
    return (events ?? []).some((event) => event.activityTaskScheduledEventAttributes?.activityType?.name === 'fence');
  });
  await lab.killWorker();
  await stopping;
  await lab.startWorker();
  const report = await finishedIncident(scenario());
  expect(report).toMatchObject({ outcome: 'completed', reason: 'promoted' });
  const primary = report.primary!;
  const other = thirdOf(0, primary);
  await expectOneWritable(scenario(), primary);
  await expectFollowing(scenario(), other, primary);
  await expectPgpoolUses(scenario(), primary, [other]);
  await expectServed(scenario());
  await expectHonestLoss(scenario(), primary, [other]);
});
