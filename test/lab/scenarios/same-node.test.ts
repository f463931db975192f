// %d = %m: pgpool has been seen to call follow for the primary itself; pgpool's samples then destroy its data directory.

import {
  expectOneWritable,
  expectPgpoolUses,
  expectServed,
  finishedIncident,
  runHook,
  until,
  useScenario,
  verdictOf,
} from './support';

const scenario = useScenario('same-node');

test('hooks that name the primary as its own follower, or a living primary as failed, change no data', async () => {
  const { lab, temporal } = scenario();
  const follow = await runHook(scenario(), 'follow', '0', '0', '0');
  expect(follow.exitCode).toBe(0);
  const failover = await runHook(scenario(), 'failover', '0', '0', '0');
  expect(failover).toMatchObject({ exitCode: 0, said: expect.stringContaining('kept') as string });
  const report = await finishedIncident(scenario());
  expect(verdictOf(report, 'failover')).toMatchObject({ outcome: 'completed', reason: 'primary-kept' });
  await expectServed(scenario());
  await expectOneWritable(scenario(), 0);
  await expectPgpoolUses(scenario(), 0, [1, 2]);
  expect((await lab.report()).nodes.map((node) => node.timeline)).toEqual([1, 1, 1]);
  await until(
    'no incident is open',
    async () => (await temporal.workflow.count(`ExecutionStatus="Running" AND WorkflowType!="cluster"`)).count === 0,
  );
});
