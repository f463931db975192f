// The article's failure: the primary is shut down with `pg_ctl -m immediate stop` while clients write.

import {
  expectFollowing,
  expectHonestLoss,
  expectOneWritable,
  expectPgpoolUses,
  expectServed,
  finishedIncident,
  isMissed,
  pgpoolLog,
  thirdOf,
  useScenario,
  verdictOf,
} from './support';

const scenario = useScenario('immediate-stop');

test('an immediate stop promotes a standby, the other one follows, and pgpool serves again by itself', async () => {
  await scenario().lab.stopImmediate(0);
  const report = await finishedIncident(scenario());
  expect(verdictOf(report, 'failover')).toMatchObject({ outcome: 'completed', reason: 'promoted' });
  expect(report.outcome).toBe('completed');
  const primary = report.primary!;
  const other = thirdOf(0, primary);
  expect(report.follows).toMatchObject([{ node: other, rung: 'repoint', outcome: 'completed' }]);
  await expectOneWritable(scenario(), primary);
  await expectFollowing(scenario(), other, primary);
  await expectPgpoolUses(scenario(), primary, [other]);
  await expectServed(scenario());
  expect(await isMissed(scenario(), 0)).toBe(true);
  expect(pgpoolLog(scenario())).toContain(`pgpool-runbook: promoted node ${primary} to timeline 2`);
  await expectHonestLoss(scenario(), primary, [other]);
});
