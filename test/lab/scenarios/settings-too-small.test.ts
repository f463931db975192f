// A setting was raised on the primary only: PostgreSQL pauses the standbys' replay, and a promotion would end them. Later every node is a
// standby after a fence without a promotion.

import { expectOneWritable, expectServed, readRows, runHook, until, untilParked, useScenario } from './support';
import { writeFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { getNode } from '../../../domain/facts/cluster';

const scenario = useScenario('settings');

const isPaused = async (node: number): Promise<boolean> => {
  const [row] = await readRows<{ paused: boolean }>(scenario(), node, 'select pg_is_wal_replay_paused() as paused');
  return row!.paused;
};

async function restart(node: number): Promise<void> {
  const { lab } = scenario();
  await lab.stopImmediate(node);
  await lab.start(node);
}

test('both standbys are paused by PostgreSQL: nobody is ended, the line names the setting, and a restart with it is all', async () => {
  const { lab } = scenario();
  await lab.stopWorker();
  await readRows(scenario(), 0, 'alter system set max_connections = 150');
  await restart(0);
  await lab.startWorker();
  await expectServed(scenario(), 60_000);
  for (const node of [1, 2]) await until(`replay of node ${node} is paused`, () => isPaused(node), 60_000);
  await lab.killPostgres(0);
  expect(await untilParked(scenario(), 'failover')).toMatchObject({
    problem: expect.stringMatching(/max_connections is \d+ and must be 150 or more/) as string,
  });
  expect(await Promise.all([isPaused(1), isPaused(2)])).toEqual([true, true]);
  await readRows(scenario(), 1, 'alter system set max_connections = 150');
  await restart(1);
  await until('node 1 accepts writes', async () => (await lab.report()).nodes[1]!.isInRecovery === false, 60_000);
  await expectServed(scenario(), 60_000);
  await expectOneWritable(scenario(), 1);
});

test('every node is a standby and one was fenced: the one with the most WAL is promoted', async () => {
  const { lab } = scenario();
  const { dataDirectory } = getNode(lab.configuration, 1);
  // A node as a fence leaves it, started by hand without a promotion after the fence.
  await lab.stopWorker();
  await lab.stopImmediate(1);
  writeFileSync(join(dataDirectory, 'standby.signal'), 'before-promotion\n');
  if (process.getuid?.() === 0) execFileSync('chown', ['postgres', join(dataDirectory, 'standby.signal')]);
  await lab.start(1);
  for (const node of [0, 2]) if (!(await lab.report()).nodes[node]!.isRunning) await lab.start(node);
  await lab.startWorker();
  await runHook(scenario(), 'failover', '1', '0', '1');
  await until(
    'a node accepts writes',
    async () => (await lab.report()).nodes.some((node) => node.isInRecovery === false),
    60_000,
  );
  await expectServed(scenario(), 60_000);
});
