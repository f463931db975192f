// A person promotes a standby by mistake: the primary in use is never stopped for it, and the stray is never promoted,
// even after it was turned back into a standby.

import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { getNode } from '../../../domain/facts/cluster';
import {
  expectHonestLoss,
  expectServed,
  expectOneWritable,
  finishedIncident,
  pgpoolLog,
  readRows,
  rejoin,
  runHook,
  until,
  untilParked,
  untilPromoted,
  useScenario,
  verdictOf,
} from './support';

const scenario = useScenario('stray');

async function writableNodes(): Promise<number[]> {
  const { nodes } = await scenario().lab.report();
  return nodes.filter((node) => node.isInRecovery === false).map((node) => node.id);
}

test('a stray stops nobody, whatever event comes: pgpool’s own false primary, a test of the hook, a rejoin', async () => {
  const { lab, workload } = scenario();
  await lab.stopPgpool();
  lab.setPgpoolLines('detach_false_primary = on\n');
  await lab.startPgpool();
  await expectServed(scenario());
  await readRows(scenario(), 2, 'select pg_promote()');
  await until('node 2 accepts writes', async () => (await writableNodes()).length === 2);
  const parked = await untilParked(scenario(), 'failover');
  expect(parked.problem).toContain('2 nodes accept writes: node 0 (timeline 1), serves pgpool0');
  await until('pgpool gives node 2 up, and calls its hook', () =>
    Promise.resolve(/failover 2 \d 0/.test(pgpoolLog(scenario()))),
  );
  await runHook(scenario(), 'failover', '1', '0', '0');
  await runHook(scenario(), 'follow', '1', '0', '0');
  const refused = await rejoin(scenario(), 2);
  expect(refused).toMatchObject({ exitCode: 1 });
  const before = workload.journal.acknowledged.length;
  await workload.untilAcknowledged(before + 200, 20_000);
  expect(await writableNodes()).toEqual([0, 2]);
  expect((await lab.report()).nodes[1]).toMatchObject({ isInRecovery: true, streamingFrom: 0, timeline: 1 });
});

test('turned back to a standby it is on a branch of its own: node 1, which has everything, is promoted', async () => {
  const { lab } = scenario();
  const { dataDirectory } = getNode(lab.configuration, 2);
  await lab.stopImmediate(2);
  writeFileSync(join(dataDirectory, 'standby.signal'), '');
  if (process.getuid?.() === 0) execFileSync('chown', ['postgres', join(dataDirectory, 'standby.signal')]);
  await lab.start(2);
  await expectServed(scenario());
  // The open incident sees one primary again.
  await finishedIncident(scenario());
  await lab.killPostgres(0);
  expect(await untilPromoted(scenario(), 0)).toBe(1);
  const report = await finishedIncident(scenario());
  expect(verdictOf(report, 'failover')).toMatchObject({ outcome: 'completed', reason: 'promoted' });
  expect(report.primary).toBe(1);
  await expectOneWritable(scenario(), 1);
  const { nodes } = await lab.report();
  // Timeline 2 is the stray's.
  expect(nodes[1]!.timeline).toBe(3);
  await expectServed(scenario());
  await expectHonestLoss(scenario(), 1, []);
});
