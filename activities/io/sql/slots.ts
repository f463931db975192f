// The physical replication slot that a standby names (primary_slot_name): it must be on the primary that it follows, or nothing streams.

import type { ClusterConfiguration, NodeConfiguration } from '../../../domain/facts/cluster';
import { failure } from '../failures';
import { SqlFailure } from './postgres';
import { sqlTarget, type Tools } from '../tools';

export interface SlotInput {
  readonly configuration: ClusterConfiguration;
  /** The standby. */
  readonly node: number;
  readonly primary: NodeConfiguration;
  /** The node's primary_slot_name in force. */
  readonly slot: string;
}

interface Slot {
  readonly slot_type: string;
  /** Of whoever streams through it now. */
  readonly active_pid: number | null;
  readonly application_name: string | null;
}

/** Bounds each function of this file but ensureSlot(). */
export const slotQueryMs = 2000;
/** Bounds ensureSlot(): sums a look, the clock, the act, and a last look. */
export const ensureSlotBoundMs = 4 * slotQueryMs;
/** ERRCODE_DUPLICATE_OBJECT: somebody was faster. */
const isThere = '42710';

/** Whether the standby can name it now: it is there. '' = it names none. */
export async function hasSlot(tools: Tools, input: SlotInput): Promise<boolean> {
  return input.slot === '' || (await findSlot(tools, input)) !== undefined;
}

/**
 * Makes the slot if there is none; it holds WAL from now on. Not after timeoutMs by the primary's own clock, and never on a
 * node in recovery: nobody would use it there, and it would hold WAL until the disk is full.
 * @returns whether it was made
 * @throws Unproven when it cannot be made, by name and with the reason
 */
export async function ensureSlot(tools: Tools, input: SlotInput, timeoutMs: number): Promise<boolean> {
  if (await hasSlot(tools, input)) return false;
  const target = sqlTarget(input.configuration, input.primary);
  const [clock] = await tools.sql.query<{ now: number }>(
    target,
    'select extract(epoch from clock_timestamp())::float8 as now',
    { timeoutMs: slotQueryMs },
  );
  try {
    await tools.sql.query(
      target,
      `select pg_create_physical_replication_slot($1::name, true) where not pg_is_in_recovery()
       and clock_timestamp() < to_timestamp($2) and not exists (select from pg_replication_slots where slot_name = $1::name)`,
      { values: [input.slot, clock!.now + timeoutMs / 1000], timeoutMs: slotQueryMs },
    );
  } catch (error) {
    if (!(error instanceof SqlFailure) || error.kind !== 'rejected') throw error;
    if (error.sqlState !== isThere) throw failure('unproven', `${describe(input)} cannot be made: ${error.message}`);
  }
  if (await hasSlot(tools, input)) return true;
  throw failure('unproven', `${describe(input)} was not made: is that node still the primary?`);
}

/** Takes back what ensureSlot has made, unless somebody streams through it. Never throws: a later attempt uses it. */
export async function dropUnusedSlot(tools: Tools, { configuration, primary, slot }: SlotInput): Promise<void> {
  await tools.sql
    .query(
      sqlTarget(configuration, primary),
      'select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = $1::name and not active',
      { values: [slot], timeoutMs: slotQueryMs },
    )
    .catch(() => undefined);
}

/** Why nothing can stream through it, in words; empty when that is not known. Never throws. */
export async function explainSlot(tools: Tools, input: SlotInput, applicationName: string): Promise<string> {
  if (input.slot === '') return '';
  const name = describe(input);
  try {
    const found = await findSlot(tools, input);
    if (!found) return `${name} does not exist`;
    if (found.slot_type !== 'physical') return `${name} is a ${found.slot_type} one: choose another primary_slot_name`;
    const user = found.application_name;
    return user === null || user === applicationName ? '' : `${name} is used by ${user}: give each node its own`;
  } catch {
    return '';
  }
}

async function findSlot(tools: Tools, { configuration, primary, slot }: SlotInput): Promise<Slot | undefined> {
  const [found] = await tools.sql.query<Slot & Record<string, unknown>>(
    sqlTarget(configuration, primary),
    `select slot_type, active_pid, application_name from pg_replication_slots
     left join pg_stat_replication on pid = active_pid where slot_name = $1::name`,
    { values: [slot], timeoutMs: slotQueryMs },
  );
  return found;
}

function describe({ node, primary, slot }: SlotInput): string {
  return `the replication slot ${slot}, which node ${node} names in primary_slot_name, on node ${primary.id}`;
}
