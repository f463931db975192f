// Several pgpools without a watchdog, or one that repeats itself: the same failure is reported three times at once.

import {
  expectFollowing,
  expectOneWritable,
  expectPgpoolUses,
  expectServed,
  finishedIncident,
  pgpoolLog,
  runHook,
  thirdOf,
  until,
  useScenario,
} from './support';

const scenario = useScenario('duplicates');

test('three reports of one failure make one promotion, and all three callers get an answer', async () => {
  await scenario().lab.stopImmediate(0);
  await until('pgpool has called its hook', () =>
    Promise.resolve(/execute command: .* failover 0/.test(pgpoolLog(scenario()))),
  );
  const hooks = await Promise.all([
    runHook(scenario(), 'failover', '0', '1', '0'),
    runHook(scenario(), 'failover', ' 0', ' 1', ' 0'),
  ]);
  expect(hooks.map((hook) => hook.exitCode)).toEqual([0, 0]);
  const report = await finishedIncident(scenario());
  expect(report.events.filter((event) => event.eventId.startsWith('failover'))).toHaveLength(3);
  expect(report.events.filter((event) => event.reason === 'promoted').length).toBeGreaterThanOrEqual(1);
  const primary = report.primary!;
  await expectOneWritable(scenario(), primary);
  expect((await scenario().lab.report()).nodes.find((node) => node.id === primary)?.timeline).toBe(2);
  const other = thirdOf(0, primary);
  await expectFollowing(scenario(), other, primary);
  await expectPgpoolUses(scenario(), primary, [other]);
  await expectServed(scenario());
});
