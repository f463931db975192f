// Two nodes are left, and the only candidate is busy: it stands still for some seconds, or its archive is slow. It is waited for, never stopped.

import { getNode } from '../../../domain/facts/cluster';
import {
  expectHonestLoss,
  expectOneWritable,
  expectServed,
  finishedIncident,
  readRows,
  untilPromoted,
  until,
  useScenario,
} from './support';

const scenario = useScenario('busy');

/** The start time of the node's server, which changes when the server is stopped. */
async function startedAt(node: number): Promise<string> {
  const [row] = await readRows<{ at: string }>(scenario(), node, 'select pg_postmaster_start_time()::text as at');
  return row!.at;
}

test('a candidate that stands still for 2.5 s, and then waits for a slow archive, is promoted and was never stopped', async () => {
  const { lab } = scenario();
  await lab.stopImmediate(2);
  await expectServed(scenario());
  await finishedIncident(scenario());
  // PostgreSQL asks the archive once more before it ends recovery; each question takes its time.
  await readRows(scenario(), 1, `alter system set restore_command = 'sleep 7; exit 1'`);
  await readRows(scenario(), 1, 'select pg_reload_conf()');
  const before = await startedAt(1);
  await lab.killPostgres(0);
  await lab.freeze(1);
  const thawAt = Date.now() + 2500;
  await until('2.5 s have passed', () => Promise.resolve(Date.now() >= thawAt));
  lab.thaw(1);
  expect(await untilPromoted(scenario(), 0, 120_000)).toBe(1);
  expect(await startedAt(1)).toBe(before);
  const report = await finishedIncident(scenario(), 120_000);
  expect(report).toMatchObject({ primary: 1 });
  await expectOneWritable(scenario(), 1);
  await expectServed(scenario(), 60_000);
  await expectHonestLoss(scenario(), 1, []);
  expect(getNode(lab.configuration, 1).id).toBe(1);
});
