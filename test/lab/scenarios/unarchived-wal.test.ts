// The archive is away when the primary dies: the WAL that only the primary could have archived is saved and reported, whether the node is
// started again as a standby, which removes it, or its data is replaced.

import { appendFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { getNode } from '../../../domain/facts/cluster';
import {
  allowOnlyRebuild,
  expectFollowing,
  expectServed,
  readRows,
  rejoin,
  type Scenario,
  untilPromoted,
  useScenario,
} from './support';

const scenario = useScenario('unarchived');

function readyOf({ lab }: Scenario, node: number): string[] {
  const status = join(getNode(lab.configuration, node).dataDirectory, 'pg_wal', 'archive_status');
  return readdirSync(status)
    .filter((name) => name.endsWith('.ready'))
    .map((name) => name.slice(0, -'.ready'.length));
}

/** Writes some whole segments that are not archived, then kills the node. */
async function dieUnarchived(node: number): Promise<string[]> {
  await expectServed(scenario());
  for (let segment = 0; segment < 3; segment += 1) {
    await readRows(scenario(), node, `create table of_node${node}_${segment} (id int)`);
    await readRows(scenario(), node, 'select pg_switch_wal()');
  }
  await scenario().lab.killPostgres(node);
  const names = readyOf(scenario(), node);
  expect(names.length).toBeGreaterThanOrEqual(3);
  return names;
}

function expectSaved(names: readonly string[], node: number, said: string): void {
  const [, count, set] =
    /holds ([0-9]+) WAL files that its archive does not have .*; saved in ([^:]+):/.exec(said) ?? [];
  expect(said).toContain(`node ${node} holds`);
  expect(Number(count)).toBeGreaterThanOrEqual(names.length);
  expect(readdirSync(set!)).toEqual(expect.arrayContaining([...names]));
}

test('before a former primary is started as a standby, and before its data is replaced', async () => {
  const { lab } = scenario();
  await lab.stopPgpool();
  for (const node of [0, 1, 2]) {
    await lab.stopImmediate(node);
    const file = join(getNode(lab.configuration, node).dataDirectory, 'postgresql.auto.conf');
    appendFileSync(file, `archive_mode = on\narchive_command = 'false'\n`);
  }
  for (const node of [0, 1, 2]) await lab.start(node);
  await lab.startPgpool();

  const first = await dieUnarchived(0);
  const primary = await untilPromoted(scenario(), 0);
  const started = await rejoin(scenario(), 0);
  expect(started).toMatchObject({ exitCode: 0 });
  expectSaved(first, 0, started.out);
  await expectFollowing(scenario(), 0, primary);

  const second = await dieUnarchived(primary);
  const next = await untilPromoted(scenario(), primary);
  await allowOnlyRebuild(scenario(), primary, next);
  const rebuilt = await rejoin(scenario(), primary);
  expect(rebuilt).toMatchObject({ exitCode: 0 });
  expect(rebuilt.out).toContain('(rebuilt)');
  expectSaved(second, primary, rebuilt.out);
  await expectFollowing(scenario(), primary, next);
});
