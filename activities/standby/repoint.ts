// Makes a standby stream from another primary by reload (primary_conninfo is reloadable since PostgreSQL 13), and proves it.

import { type ClusterConfiguration, getNode } from '../../domain/facts/cluster';
import { describeRenaming, parseConninfo, repointConninfo, upstreamOf } from '../../domain/texts/conninfo';
import { dropSlotsBoundMs, dropSourceSlots } from '../io/sql/copy-slot';
import { failure } from '../io/failures';
import { nodeLockBoundMs, withNodeLock } from '../io/host/node-lock';
import { alterSystem, reloadBoundMs } from '../io/sql/settings';
import { dropUnusedSlot, ensureSlot, ensureSlotBoundMs, hasSlot, type SlotInput, slotQueryMs } from '../io/sql/slots';
import { confirmStreaming, streamingBoundMs } from '../io/sql/streaming';
import { sqlTarget, type Tools } from '../io/tools';

export interface RepointInput {
  readonly configuration: ClusterConfiguration;
  readonly node: number;
  readonly primary: number;
  readonly timeline: number;
}

export interface RepointResult {
  readonly changed: boolean;
  readonly line: string;
}

const sqlMs = 2000;
const lockTimes = { waitMs: 10_000, timeoutMs: 20_000 };
/** From now on, by the primary's clock: later a slot is not made any more. */
const slotMs = 5000;
/** Since the standby's position last advanced. */
const streamingMs = 15_000;
const differenceMs = sqlMs + slotQueryMs;
/**
 * Bounds the time while the standby does not advance: sums the look, the lock with a second look and with the slot or the reload, the proof,
 * and the end of the slots.
 */
export const boundMs =
  differenceMs +
  nodeLockBoundMs(lockTimes, {
    readsMs: differenceMs,
    lastMs: Math.max(ensureSlotBoundMs, reloadBoundMs(sqlMs)),
  }) +
  streamingBoundMs(streamingMs) +
  Math.max(slotQueryMs, dropSlotsBoundMs);

/**
 * @throws WorldChanged when the node left recovery; Unreachable when its lock cannot be had; WalMissing when it must be rebuilt;
 * Unproven when it does not stream on the primary's timeline in time, or its slot cannot be made
 */
export async function repoint(tools: Tools, input: RepointInput): Promise<RepointResult> {
  const { configuration } = input;
  const node = getNode(configuration, input.node);
  // The lock needs ssh: a standby that is set right already must not depend on it.
  const isRight = (await readDifference(tools, input)) === null;
  const lock = { configuration, node, ...lockTimes, isRequired: true };
  const done = isRight ? null : await withNodeLock(tools, lock, ({ confirm }) => pointAway(tools, input, confirm));
  try {
    await confirmStreaming(tools, input, streamingMs);
  } catch (error) {
    // A slot of ours that nobody streams through would hold WAL without limit; the next attempt makes it again.
    if (done?.made) await dropUnusedSlot(tools, done.made);
    throw error;
  }
  // A standby is nobody's source; left there, they would keep its WAL for ever.
  await dropSourceSlots(tools, configuration, input.node);
  return {
    changed: done !== null,
    line: `node ${node.id} streams from node ${input.primary} on timeline ${input.timeline}${done?.notes ?? ''}`,
  };
}

interface Done {
  /** The slot that was made for it. */
  readonly made: SlotInput | null;
  readonly notes: string;
}

/** The slot first: a receiver that finds none looks again only after wal_retrieve_retry_interval. Null when there is nothing to do. */
async function pointAway(tools: Tools, input: RepointInput, confirm: () => void): Promise<Done | null> {
  const difference = await readDifference(tools, input);
  if (difference === null) return null;
  const { wanted: value, current, slot } = difference;
  confirm();
  const isMade = await ensureSlot(tools, slot, slotMs);
  const target = sqlTarget(input.configuration, getNode(input.configuration, input.node));
  if (value !== current)
    await alterSystem(tools, target, { name: 'primary_conninfo', value }, { timeoutMs: sqlMs, confirm });
  return {
    made: isMade ? slot : null,
    notes: `${describeRenaming(current, value)}${isMade ? `, through its slot ${slot.slot}, which was made there` : ''}`,
  };
}

interface Difference {
  readonly current: string;
  readonly wanted: string;
  readonly slot: SlotInput;
}

/** The value that primary_conninfo has and should have, and through which slot; null when it is so, and the slot is there. */
async function readDifference(tools: Tools, input: RepointInput): Promise<Difference | null> {
  const { configuration } = input;
  const node = getNode(configuration, input.node);
  const primary = getNode(configuration, input.primary);
  const [row] = await tools.sql.query<{ conninfo: string; slot: string; is_in_recovery: boolean }>(
    sqlTarget(configuration, node),
    `select current_setting('primary_conninfo') as conninfo, current_setting('primary_slot_name') as slot,
       pg_is_in_recovery() as is_in_recovery`,
    { timeoutMs: sqlMs },
  );
  if (row?.is_in_recovery !== true)
    throw failure('worldChanged', `node ${node.id} is not in recovery: it cannot follow`);
  if (parseConninfo(row.conninfo) === null) {
    throw failure(
      'configuration',
      `primary_conninfo of node ${node.id} is not keyword = value text: write it so, or its settings would be lost`,
    );
  }
  const wanted = repointConninfo(row.conninfo, upstreamOf(configuration, node, primary));
  const slot = { configuration, node: node.id, primary, slot: row.slot };
  return wanted === row.conninfo && (await hasSlot(tools, slot)) ? null : { current: row.conninfo, wanted, slot };
}
