// A standby dies: nothing is promoted, clients are not kept waiting for a decision, and the node is looked after when it is back.

import {
  bringBack,
  expectFollowing,
  expectOneWritable,
  expectPgpoolUses,
  expectServed,
  finishedIncident,
  outageMs,
  useScenario,
  verdictOf,
} from './support';

const scenario = useScenario('standby-fails');

test('a failed standby changes nothing for the primary, and is attached again when it is back', async () => {
  const { lab } = scenario();
  const since = performance.now();
  await lab.stopImmediate(2);
  const report = await finishedIncident(scenario());
  expect(verdictOf(report, 'failover')).toMatchObject({ outcome: 'completed', reason: 'standby-failed' });
  expect(report.primary).toBe(0);
  expect(report.follows).toMatchObject([{ node: 2, outcome: 'incomplete', reason: 'node-unreachable' }]);
  await expectServed(scenario());
  // A hook that waited for the outcome would have kept them for up to WAIT_SECONDS (15).
  expect(outageMs(scenario(), since)).toBeLessThan(10_000);
  await expectOneWritable(scenario(), 0);
  expect((await lab.report()).nodes[0]?.timeline).toBe(1);

  const second = await bringBack(scenario(), 2, () => lab.start(2));
  expect(verdictOf(second, 'watch-answers').outcome).toBe('completed');
  await expectFollowing(scenario(), 2, 0);
  await expectPgpoolUses(scenario(), 0, [1, 2]);
});
