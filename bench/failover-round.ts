// Runs one failure under write load, and measures it at the clients and the nodes.

import { setTimeout as delay } from 'node:timers/promises';
import type { Lab } from '../lab/lab';
import { findFailoverTimes, type FailoverTimes, pgpoolLogSize, readPgpoolLog } from '../lab/pgpool-log';
import { findLongestGap, findLostIds, Workload } from '../lab/workload';
import type { Bed, Data } from './bed';
import { now, toEpoch, toPerformance } from './clock';
import { NodeWatch } from './node-watch';
import type { Side } from './rivals';

export type Fault = 'kill' | 'stop-immediate' | 'drop-host';

export interface FailoverOptions {
  readonly side: Side;
  readonly data: Data;
  readonly fault: Fault;
  /** The node that fails: 0 is the primary. */
  readonly node: number;
  /** Time for which the clients are watched afterwards: the longest gap in this time is the outage. */
  readonly windowMs: number;
  /** Pause of each of the four clients after each write; 19 makes about 200 writes a second. */
  readonly pauseMs?: number;
  /** Absent where only the clients count: watching costs processor time that the clients share. */
  readonly watch?: { readonly until: 'writable' | 'followed'; readonly withinMs: number };
}

/** Times are milliseconds since the epoch. */
export interface FailoverRound {
  readonly faultAt: number;
  /** The longest time between two acknowledged writes, over all writers. */
  readonly outageMs: number;
  /** Acknowledged writes that the new primary does not hold. */
  readonly lost: number;
  /** The first write that was acknowledged after the longest gap. */
  readonly servedAt: number;
  readonly pgpool: FailoverTimes;
  /** The node that accepts writes afterwards. */
  readonly primary: number;
  /** Time at which the new primary first accepted writes; null where it was not watched. */
  readonly writableAt: number | null;
  /** Time at which all other standbys streamed from it; null where it was not watched. */
  readonly followedAt: number | null;
}

const table = 'bench_writes';
const writers = 4;
const usualPauseMs = 2;
/** Interval of looks: a promotion takes some ten milliseconds, a follow some hundred. */
const watchEveryMs = { writable: 1, followed: 5 } as const;
const settled = { writes: 300, withinMs: 20_000 } as const;

/** @throws Error when the clients are not served again, or the standbys do not follow, in the time given */
export async function runFailoverRound(bed: Bed, options: FailoverOptions): Promise<FailoverRound> {
  const { lab } = bed;
  const { node, fault, windowMs } = options;
  await bed.begin(options.side, options.data);
  const load = new Workload({
    connection: lab.connection('pgpool'),
    table,
    writers,
    pauseMs: options.pauseMs ?? usualPauseMs,
  });
  await load.start();
  const others = lab.layout.nodes.map(({ id }) => id).filter((id) => id !== node);
  const watch = options.watch ? await NodeWatch.open(bed, others, watchEveryMs[options.watch.until]) : null;
  try {
    await load.untilAcknowledged(settled.writes, settled.withinMs);
    const logStart = pgpoolLogSize(lab);
    const faultAt = now();
    const [change] = await Promise.all([
      watch && watchChange(watch, others, options.watch!),
      strike(lab, fault, node),
      delay(windowMs),
    ]);
    await untilServed(load, lab, logStart);
    const journal = await load.stop();
    const outage = findLongestGap(journal, toPerformance(faultAt));
    const primary = change?.primary ?? (await findPrimary(bed, others));
    const lost = await findLostIds(journal, lab.connection(primary), table);
    return {
      faultAt,
      outageMs: outage.to - outage.from,
      servedAt: toEpoch(outage.to),
      lost: lost.length,
      pgpool: findFailoverTimes(readPgpoolLog(lab, logStart)),
      primary,
      writableAt: change?.writableAt ?? null,
      followedAt: change?.followedAt ?? null,
    };
  } finally {
    await load.stop();
    await watch?.close();
  }
}

async function strike(lab: Lab, fault: Fault, node: number): Promise<void> {
  if (fault === 'kill') await lab.killPostgres(node);
  else if (fault === 'stop-immediate') await lab.stopImmediate(node);
  else await lab.dropHost(node);
}

async function watchChange(
  watch: NodeWatch,
  nodes: readonly number[],
  { until, withinMs }: NonNullable<FailoverOptions['watch']>,
): Promise<{ primary: number; writableAt: number; followedAt: number | null }> {
  const limit = AbortSignal.timeout(withinMs);
  const { node, at } = await watch.untilWritable(limit);
  const standbys = nodes.filter((id) => id !== node);
  const followedAt = until === 'followed' ? await watch.untilStreaming(node, standbys, limit) : null;
  return { primary: node, writableAt: at, followedAt };
}

async function findPrimary(bed: Bed, nodes: readonly number[]): Promise<number> {
  const watch = await NodeWatch.open(bed, nodes, watchEveryMs.followed);
  try {
    return (await watch.untilWritable(AbortSignal.timeout(5000))).node;
  } finally {
    await watch.close();
  }
}

/** Waits until the clients are served. A long outage is measured, not cut off; one that does not end is an error. */
async function untilServed(load: Workload, lab: Lab, logStart: number): Promise<void> {
  try {
    await load.untilAcknowledged(1, settled.withinMs);
  } catch (error) {
    const said = readPgpoolLog(lab, logStart).filter(({ text }) => text.trim() !== '');
    const end = said
      .slice(-3)
      .map(({ text }) => text)
      .join(' | ');
    throw new Error(`clients were not served again: ${end}`, { cause: error });
  }
}
