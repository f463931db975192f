// The primary hangs for five seconds and then goes on as if nothing had happened: the classic way to two primaries.

import { setTimeout as delay } from 'node:timers/promises';
import {
  expectHonestLoss,
  expectOneWritable,
  expectServed,
  finishedIncident,
  pgpoolLog,
  until,
  useScenario,
  verdictOf,
} from './support';

const scenario = useScenario('frozen-primary');

test('a primary frozen for 5 s and thawed leaves one writable node and a served pgpool, whichever way it was decided', async () => {
  const { lab } = scenario();
  await lab.freeze(0);
  // The five seconds are the scenario itself, not a wait for something else.
  await delay(5000);
  await until('pgpool has noticed', () =>
    Promise.resolve(/execute command: .* failover 0 /.test(pgpoolLog(scenario()))),
  );
  lab.thaw(0);
  const report = await finishedIncident(scenario());
  const verdict = verdictOf(report, 'failover');
  expect(['promoted', 'primary-kept']).toContain(verdict.reason);
  const primary = report.primary!;
  expect(primary === 0).toBe(verdict.reason === 'primary-kept');
  await expectServed(scenario());
  await expectOneWritable(scenario(), primary);
  await expectHonestLoss(
    scenario(),
    primary,
    [1, 2].filter((node) => node !== primary),
  );
});
