// The new primary refuses the base backup: by pg_hba.conf, until a person mends it and decides; or for want of WAL senders, until others end.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client, type ClientConfig, DatabaseError } from 'pg';
import { getNode } from '../../../domain/facts/cluster';
import { readProgress } from '../../../lab/progress';
import {
  allowOnlyRebuild,
  decide,
  expectFollowing,
  expectNothingLeft,
  expectOneWritable,
  expectPgpoolUntouched,
  expectPgpoolUses,
  expectServed,
  fingerprintData,
  readRows,
  rejoin,
  thirdOf,
  type Scenario,
  until,
  untilParked,
  untilPromoted,
  useScenario,
} from './support';

const scenario = useScenario('rebuild-refused');
let primary = 0;

test('a copy that pg_hba.conf refuses parks before the node is touched; mended and decided, it completes', async () => {
  const { lab } = scenario();
  await lab.stopImmediate(0);
  primary = await untilPromoted(scenario(), 0);
  await allowOnlyRebuild(scenario(), 0, primary);
  const file = join(getNode(lab.configuration, primary).dataDirectory, 'pg_hba.conf');
  const rules = readFileSync(file, 'utf8');
  writeFileSync(file, rules.replace(/^host replication .*\n/m, ''));
  await readRows(scenario(), primary, 'select pg_reload_conf()');
  await until('a new WAL sender is refused', async () => (await openSender(scenario(), primary)) === null);
  const before = fingerprintData(scenario(), 0);

  const rejoined = rejoin(scenario(), 0);
  const step = await untilParked(scenario(), 'node0.base-backup', 120_000);
  expect(step.problem).toContain('no pg_hba.conf entry for replication connection');
  expect(step.problem).toContain(
    `add a line for database "replication" and this user and host to pg_hba.conf of node ${primary}`,
  );
  expect(fingerprintData(scenario(), 0)).toEqual(before);

  expect(await decide(scenario(), 'node0.base-backup', 'skip')).toMatchObject({
    exitCode: 1,
    out: '',
    progress: 'pgpool-runbook: step node0.base-backup takes retry, abort, not "skip"\n',
  });
  expect(await decide(scenario(), 'node0.verify-backup', 'retry')).toMatchObject({ exitCode: 1 });
  expect(await untilParked(scenario(), 'node0.base-backup')).toEqual(step);

  writeFileSync(file, rules);
  await readRows(scenario(), primary, 'select pg_reload_conf()');
  await until('a new WAL sender is let in', async () => await endSender(await openSender(scenario(), primary)));
  expect(await decide(scenario(), 'node0.base-backup', 'retry')).toMatchObject({ exitCode: 0 });
  const { out, progress } = await rejoined;
  expect(`${progress}${out}`).toContain('completed (rebuilt)');
  await expectRebuilt(0);
  // Five attempts come before the step parks.
}, 300_000);

test('a copy that finds no free WAL sender says so, and completes by itself when one is free', async () => {
  const { lab } = scenario();
  const former = primary;
  await lab.stopImmediate(former);
  primary = await untilPromoted(scenario(), former);
  await expectFollowing(scenario(), thirdOf(primary, former), primary);

  const senders: Client[] = [];
  let rejoined: ReturnType<typeof rejoin>;
  try {
    for (let sender = await openSender(scenario(), primary); sender; sender = await openSender(scenario(), primary))
      senders.push(sender);
    expect(senders.length).toBeGreaterThan(5);
    rejoined = rejoin(scenario(), former);
    const wanted = new RegExp(
      `number of requested standby connections exceeds .*max_wal_senders.*; raise max_wal_senders of node ${primary}, or wait`,
    );
    await until('the copy says what it lacks', async () => (await readProgress(lab)).some((line) => wanted.test(line)));
  } finally {
    await Promise.all(senders.map(endSender));
  }
  const { out, progress } = await rejoined;
  expect(`${progress}${out}`).toContain('completed (rebuilt)');
  expect(progress).not.toContain('parked');
  await expectRebuilt(former);
});

async function expectRebuilt(node: number): Promise<void> {
  await expectFollowing(scenario(), node, primary);
  await expectPgpoolUses(scenario(), primary, [node, thirdOf(primary, node)]);
  await expectServed(scenario());
  await expectOneWritable(scenario(), primary);
  await expectNothingLeft(scenario(), node);
  expectPgpoolUntouched(scenario());
}

/** A connection that takes one of max_wal_senders; null when it is refused. */
async function openSender({ lab }: Scenario, node: number): Promise<Client | null> {
  const settings: ClientConfig & { replication: string } = { ...lab.connection(node), replication: 'true' };
  const client = new Client(settings);
  client.on('error', () => undefined);
  try {
    await client.connect();
    return client;
  } catch (error) {
    // 28000: no entry in pg_hba.conf; 53300: max_wal_senders. Anything else is no answer to the question.
    if (error instanceof DatabaseError && (error.code === '28000' || error.code === '53300')) return null;
    throw error;
  }
}

async function endSender(client: Client | null): Promise<boolean> {
  await client?.end();
  return client !== null;
}
