// A standby's host goes down and comes up again while clients work: the node is back in its place, without a person.

import {
  bringBack,
  expectFollowing,
  expectHonestLoss,
  expectOneWritable,
  expectPgpoolUntouched,
  expectPgpoolUses,
  expectServed,
  finishedIncident,
  outageMs,
  useScenario,
  verdictOf,
} from './support';

const scenario = useScenario('standby-reboots');

test('a standby whose host was rebooted streams and is attached again, and pgpool was never stopped', async () => {
  const { lab } = scenario();
  const since = performance.now();
  await lab.killHost(2);
  const report = await finishedIncident(scenario());
  expect(verdictOf(report, 'failover')).toMatchObject({ outcome: 'completed', reason: 'standby-failed' });
  await expectServed(scenario());

  const second = await bringBack(scenario(), 2, () => lab.startHost(2));
  expect(verdictOf(second, 'watch-answers').outcome).toBe('completed');
  expect(second.follows).toMatchObject([{ node: 2, outcome: 'completed' }]);
  await expectFollowing(scenario(), 2, 0);
  await expectPgpoolUses(scenario(), 0, [1, 2]);
  expectPgpoolUntouched(scenario());
  await expectOneWritable(scenario(), 0);
  await expectServed(scenario());
  // A hook that waited for the outcome would have kept clients for up to WAIT_SECONDS (15).
  expect(outageMs(scenario(), since)).toBeLessThan(10_000);
  await expectHonestLoss(scenario(), 0, [1, 2]);
});
