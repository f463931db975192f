// Replication slots as pgpool's sample scripts set them up: each node's own in a file that postgresql.conf includes, and on the
// primary only. The slots that a new primary lacks are made; nobody is left without a stream, or with a slot that holds WAL for nobody.

import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { getNode } from '../../../domain/facts/cluster';
import { writeFor } from '../../../lab/files';
import { findSystemUser } from '../../../lab/layout';
import {
  expectFollowing,
  expectOneWritable,
  expectPgpoolUses,
  expectServed,
  readRows,
  rejoin,
  setPolicy,
  thirdOf,
  until,
  untilPromoted,
  useScenario,
} from './support';

const scenario = useScenario('slots');

/** recovery_1st_stage's name: of the host, in lower case, with - and . as _. */
const slotOf = (node: number): string => getNode(scenario().lab.configuration, node).host.replaceAll('.', '_');

interface Slot {
  readonly slot_name: string;
  readonly active: boolean;
}

const readSlots = (node: number): Promise<Slot[]> =>
  readRows<Slot>(scenario(), node, 'select slot_name::text, active from pg_replication_slots order by slot_name');

async function expectSlots(node: number, ...users: readonly number[]): Promise<void> {
  const wanted = users.map((user) => ({ slot_name: slotOf(user), active: true }));
  await until(`node ${node} has slots for ${users.join(', ')}`, async () => {
    return JSON.stringify(await readSlots(node)) === JSON.stringify(wanted);
  });
}

beforeAll(async () => {
  const { lab } = scenario();
  const { host, port } = getNode(lab.configuration, 0);
  for (const node of [0, 1, 2]) {
    const { dataDirectory, host: own } = getNode(lab.configuration, node);
    const file = join(dataDirectory, 'myrecovery.conf');
    const conninfo = `host=${host} port=${port} user=replicator application_name=node${node} passfile=''${lab.passFile}''`;
    writeFor(
      findSystemUser(),
      file,
      `primary_conninfo = '${conninfo}'\nrecovery_target_timeline = 'latest'\nprimary_slot_name = '${own.replaceAll('.', '_')}'\n`,
    );
    appendFileSync(join(dataDirectory, 'postgresql.conf'), `include_if_exists = '${file}'\n`);
    if (node > 0) await readRows(scenario(), 0, `select pg_create_physical_replication_slot('${slotOf(node)}')`);
  }
  for (const node of [0, 1, 2]) {
    await readRows(scenario(), node, 'alter system reset primary_conninfo');
    await readRows(scenario(), node, 'select pg_reload_conf()');
  }
  await expectSlots(0, 1, 2);
}, 60_000);

let primary: number;

test('after a failover the other standby streams from the new primary, through a slot that was made there', async () => {
  await expectServed(scenario());
  await scenario().lab.stopImmediate(0);
  primary = await untilPromoted(scenario(), 0);
  const other = thirdOf(0, primary);
  await expectFollowing(scenario(), other, primary);
  await expectSlots(primary, other);
  await expectPgpoolUses(scenario(), primary, [other]);
  await expectServed(scenario());
});

test('the old primary is rebuilt, and streams through its own slot', async () => {
  // Rebuild only: a node with nothing past the fork would just be started.
  setPolicy(scenario(), { follow: ['rebuild'] });
  const { exitCode, out, progress } = await rejoin(scenario(), 0);
  expect([exitCode, `${progress}${out}`]).toEqual([0, expect.stringContaining('completed (rebuilt)')]);
  const other = thirdOf(0, primary);
  await expectFollowing(scenario(), 0, primary);
  await expectSlots(primary, ...[0, other].sort());
  await expectPgpoolUses(scenario(), primary, [0, other]);
  await expectOneWritable(scenario(), primary);
  for (const node of [0, other]) expect(await readSlots(node)).toEqual([]);
  await expectServed(scenario());
}, 120_000);
