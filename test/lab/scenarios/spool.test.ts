// Temporal is down when the primary dies: the hook spools the event, returns, and delivers it once Temporal is back.

import { readdirSync } from 'node:fs';
import {
  expectFollowing,
  expectHonestLoss,
  expectOneWritable,
  expectPgpoolUses,
  expectServed,
  finishedIncident,
  pgpoolLog,
  thirdOf,
  until,
  useScenario,
} from './support';

const scenario = useScenario('spool');

test('an event that could not be delivered is delivered later, and the failover happens then', async () => {
  const { lab } = scenario();
  await lab.killTemporal();
  await lab.stopImmediate(0);
  await until('the event is spooled', () =>
    Promise.resolve(spooled(lab.hookSpool).some((name) => name.startsWith('failover'))),
  );
  await until('the hook has returned', () =>
    Promise.resolve(/execute command: [^]*find_primary_node_repeatedly/.test(pgpoolLog(scenario()))),
  );
  await lab.startTemporal();
  await until('the spool is empty', () => Promise.resolve(spooled(lab.hookSpool).length === 0), 60_000);
  const report = await finishedIncident(scenario());
  expect(report.events.map((event) => event.reason)).toContain('promoted');
  const primary = report.primary!;
  const other = thirdOf(0, primary);
  await expectOneWritable(scenario(), primary);
  await expectFollowing(scenario(), other, primary);
  await expectPgpoolUses(scenario(), primary, [other]);
  await expectServed(scenario());
  await expectHonestLoss(scenario(), primary, [other]);
});

/** Finished events only: the hook writes under a temporary name and renames. */
function spooled(directory: string): string[] {
  try {
    return readdirSync(directory).filter((name) => /^(failover|follow)-/.test(name));
  } catch {
    return [];
  }
}
