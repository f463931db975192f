// The slot of a copy on real nodes: it keeps the copy's WAL until the node streams, and nothing of it is left for ever.

import { readdirSync } from 'node:fs';
import path from 'node:path';
import { copySlotName } from '../../../activities/io/sql/copy-slot';
import { planOf, rebuildId } from '../rebuild-support';
import { type Bed, perform, startBed } from '../support';

let bed: Bed;

beforeAll(async () => {
  bed = await startBed('slots', 2);
  for (const setting of [`max_wal_size = '32MB'`, 'wal_keep_size = 0', `min_wal_size = '32MB'`])
    await bed.ask(0, `alter system set ${setting}`);
  await bed.ask(0, 'select pg_reload_conf()');
});
afterAll(() => bed.down());

const slots = async (node = 0): Promise<unknown> =>
  (
    await bed.ask(
      node,
      `select coalesce(string_agg(slot_name, ' ' order by slot_name), '') as names from pg_replication_slots`,
    )
  )['names'];
const segments = (): string[] =>
  readdirSync(path.join(bed.node(0).dataDirectory, 'pg_wal'))
    .filter((name) => /^[0-9A-F]{24}$/.test(name))
    .sort();

/** Everything that nobody holds is removed or given a new name. */
async function recycle(): Promise<void> {
  for (let count = 0; count < 6; count += 1) {
    await bed.ask(0, `select pg_logical_emit_message(false, 'test', 'x'), pg_switch_wal()`);
    await bed.ask(0, 'checkpoint');
  }
}

it('keeps the WAL of a copy, however long it takes until that streams', async () => {
  const { configuration } = bed;
  const plan = planOf(bed.node(1).dataDirectory);
  const input = { configuration, node: 1, primary: 0, rebuild: plan };
  await perform(bed.tools, 'saveConfiguration', { configuration, node: 1, rebuildId });
  await perform(bed.tools, 'baseBackup', input);
  expect(await slots()).toBe(copySlotName(1));
  const needed = segments().at(-1)!;
  await perform(bed.tools, 'verifyBackup', input);
  await bed.stop(1);
  await recycle();
  expect(segments()).toContain(needed);
  await perform(bed.tools, 'setDataAside', input);
  await perform(bed.tools, 'placeData', input);
  await perform(bed.tools, 'restoreConfiguration', input);
  await perform(bed.tools, 'configureStandby', { configuration, node: 1, primary: 0 });
  await perform(bed.tools, 'start', { configuration, node: 1 });
  await perform(bed.tools, 'confirmStreaming', { ...input, timeline: 1 });
  expect(await bed.ask(1, `select current_setting('primary_slot_name') as slot`)).toEqual({ slot: '' });
  expect(await perform(bed.tools, 'releaseSlots', input)).toEqual({
    changed: true,
    line: `node 1: dropped node 0: ${copySlotName(1)}`,
  });
  expect(await slots()).toBe('');
  await recycle();
  expect(segments()).not.toContain(needed);
});

it('drops what was left anywhere, and leaves the slots of the site and of other copies alone', async () => {
  const make = (node: number, name: string) =>
    bed.ask(node, `select pg_create_physical_replication_slot('${name}', true)`);
  for (const name of ['site', copySlotName(1), copySlotName(2)]) await make(0, name);
  for (const name of ['site', copySlotName(0), copySlotName(1)]) await make(1, name);
  const input = { configuration: bed.configuration, node: 1, primary: 0 };
  expect(await perform(bed.tools, 'releaseSlots', input)).toMatchObject({ changed: true });
  expect(await slots(0)).toBe(`${copySlotName(2)} site`);
  expect(await slots(1)).toBe('site');
  expect(await perform(bed.tools, 'releaseSlots', input)).toEqual({
    changed: false,
    line: 'node 1: no slot of a copy is left',
  });
});
