// The physical slot on the primary that keeps the WAL of a node's fresh copy until the node streams. One name per node, so that every
// later rebuild, and the end of every follow, finds what an earlier one has left.

import { type ClusterConfiguration, getNode } from '../../../domain/facts/cluster';
import { failure, messageOf } from '../failures';
import type { SqlTarget } from './postgres';
import { sqlTarget, type Tools } from '../tools';

const prefix = 'pgpool_runbook_rebuild_';
const sqlMs = 5000;
const endMs = 10_000;
/** Bounds dropCopySlots(), and dropSourceSlots(): sums the time for all rounds and a last round of three queries. */
export const dropSlotsBoundMs = endMs + 3 * sqlMs;
/** Bounds holdWal(), which first drops what an older copy has left. */
export const holdWalBoundMs = dropSlotsBoundMs + sqlMs;

export function copySlotName(node: number): string {
  return `${prefix}${node}`;
}

interface CopySlots {
  readonly configuration: ClusterConfiguration;
  /** Whose copy it is. */
  readonly node: number;
  readonly primary: number;
}

/**
 * WAL is kept from now on. @param isAnew for a copy that begins now: what an older one has left is dropped first
 * @throws Unproven when the primary has no slot to give; Unreachable
 */
export async function holdWal(
  tools: Tools,
  { configuration, node, primary }: CopySlots,
  { isAnew }: { isAnew: boolean },
): Promise<void> {
  const target = sqlTarget(configuration, getNode(configuration, primary));
  const name = copySlotName(node);
  try {
    if (isAnew) await drop(tools, target, (slot) => slot === name);
    // Reserved at once: a slot that reserves with its first connection keeps nothing until then.
    await tools.sql.query(
      target,
      `select pg_create_physical_replication_slot($1::text, true)
       where not exists (select from pg_replication_slots where slot_name = $1::text)`,
      { values: [name], timeoutMs: sqlMs },
    );
  } catch (error) {
    const what = `node ${node}: no slot on node ${primary} to keep the WAL of its copy`;
    throw failure('unproven', `${what}: ${messageOf(error)}`, error);
  }
}

/**
 * Drops the node's slot everywhere, and on the node itself those of all copies: a standby is nobody's source. What does not answer is
 * left; the next follow finds it. @returns "node 1: pgpool_runbook_rebuild_2" of each that was dropped
 */
export async function dropCopySlots(tools: Tools, { configuration, node, primary }: CopySlots): Promise<string[]> {
  const own = copySlotName(node);
  const dropped = configuration.nodes.map(async ({ id }) => {
    const isOurs = (slot: string): boolean => slot === own || (id === node && id !== primary);
    const names = await drop(tools, sqlTarget(configuration, getNode(configuration, id)), isOurs).catch(() => []);
    return names.map((slot) => `node ${id}: ${slot}`);
  });
  return (await Promise.all(dropped)).flat();
}

/** The same on a node that has become a standby, for all copies that were made from it. */
export async function dropSourceSlots(tools: Tools, configuration: ClusterConfiguration, node: number): Promise<void> {
  await drop(tools, sqlTarget(configuration, getNode(configuration, node)), () => true).catch(() => undefined);
}

/** A slot in use belongs to a pg_basebackup that has ended, or is about to: its sender is ended. */
async function drop(tools: Tools, target: SqlTarget, isOurs: (slot: string) => boolean): Promise<string[]> {
  const dropped: string[] = [];
  for (const deadline = Date.now() + endMs; Date.now() < deadline;) {
    const rows = await tools.sql.query<{ slot_name: string }>(
      target,
      `select slot_name from pg_replication_slots where starts_with(slot_name, $1) and slot_type = 'physical'`,
      { values: [prefix], timeoutMs: sqlMs },
    );
    const names = rows.map(({ slot_name }) => slot_name).filter(isOurs);
    if (names.length === 0) return dropped;
    await tools.sql.query(
      target,
      `select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = any($1::text[]) and active`,
      { values: [names], timeoutMs: sqlMs },
    );
    const gone = await tools.sql.query<{ slot_name: string }>(
      target,
      `select slot_name, pg_drop_replication_slot(slot_name) from pg_replication_slots
       where slot_name = any($1::text[]) and not active`,
      { values: [names], timeoutMs: sqlMs },
    );
    dropped.push(...gone.map(({ slot_name }) => slot_name));
  }
  return dropped;
}
