// Every row of the benchmark: each side's measurement, and the promise.

import type { Bed } from './bed';
import { runRebuildRound, runRejoinRound } from './copy-round';
import { type FailoverOptions, runFailoverRound } from './failover-round';
import { runBarePromoteRound, runHookToWritableRound } from './promote-round';
import { readWorkerMegabytes, runHookMemoryRound, runWorkerStartRound } from './resources';
import { type Figures, type Unit } from './figures';
import { installArticle, installSamples, ours, saveForArticle, type Side } from './rivals';

/** The labs of a run, made when they are first needed. */
export interface Beds {
  /** Three nodes: two standbys. */
  three(): Promise<Bed>;
  /** Seven nodes: one standby is promoted, five follow. */
  seven(): Promise<Bed>;
}

export interface Plan {
  readonly name: string;
  readonly title: string;
  readonly against: string | null;
  readonly unit: Unit;
  readonly aim: string;
  /** Null: nothing was promised. */
  readonly isHeld: (ours: Figures, other: Figures | null) => boolean | null;
  /** Rounds, where fewer than usual are enough. */
  readonly rounds?: number;
  /** The reason why it cannot be measured here; null: it can. */
  readonly obstacle: string | null;
  readonly ours: (beds: Beds) => Promise<Measured>;
  readonly other: ((beds: Beds) => Promise<Measured>) | null;
}

/** The result of one round. */
export interface Measured {
  readonly value: number;
  /** Acknowledged writes that were not there afterwards, where that was counted. */
  readonly lost?: number;
}

const ratioWithin =
  (limit: number) =>
  (our: Figures, other: Figures | null): boolean | null =>
    other && our.median / other.median <= limit;
const nothingPromised = (): null => null;

const killed = { data: 'small', fault: 'kill', node: 0, windowMs: 6000 } as const;
const stopped = { data: 'small', fault: 'stop-immediate', node: 0, windowMs: 6000 } as const;
const vanished = { data: 'small', fault: 'drop-host', node: 0, windowMs: 30_000 } as const;
const standbyKilled = { data: 'small', fault: 'kill', node: 2, windowMs: 6000 } as const;

const isRoot = process.getuid?.() === 0;

export const plans: readonly Plan[] = [
  {
    name: 'client-outage-kill',
    title: 'kill -9 of the primary: clients cannot write',
    against: "pgpool's sample scripts",
    ...{ unit: 'ms', aim: '≤ 0.5, then ≤ 0.35', isHeld: ratioWithin(0.5), obstacle: null },
    ours: (beds) => outage(beds, ours, killed),
    other: (beds) => outageWithSamples(beds, killed),
  },
  {
    name: 'client-outage-immediate',
    title: 'immediate stop of the primary: clients cannot write',
    against: "the article's scripts",
    ...{ unit: 'ms', aim: '≤ 0.5', isHeld: ratioWithin(0.5), obstacle: null },
    ours: (beds) => outage(beds, ours, stopped),
    other: async (beds) => outage(beds, await articleFor(beds, 'fast'), stopped),
  },
  {
    name: 'client-outage-vanished-host',
    title: "the primary's host vanishes: clients cannot write",
    against: "pgpool's sample scripts",
    ...{ unit: 'ms', aim: '≤ 1.0', isHeld: ratioWithin(1) },
    obstacle: isRoot ? null : 'only root can drop packets',
    ours: (beds) => outage(beds, ours, vanished),
    other: (beds) => outageWithSamples(beds, vanished),
  },
  {
    name: 'vanished-host-after-detection',
    title: 'the same, from the call of the hook on',
    ...{ against: null, other: null, unit: 'ms', aim: '≤ 3000 ms', rounds: 2 },
    isHeld: (our) => our.median <= 3000,
    obstacle: isRoot ? null : 'only root can drop packets',
    ours: async (beds) => {
      const { servedAt, pgpool } = await runFailoverRound(await beds.three(), { side: ours, ...vanished });
      if (pgpool.calledAt === null) throw new Error('pgpool did not call the hook');
      return { value: servedAt - pgpool.calledAt };
    },
  },
  {
    name: 'hook-to-writable',
    title: 'from the call of the hook until a standby accepts writes',
    against: 'pg_promote alone',
    ...{ unit: 'ms', aim: '≤ bare + 150 ms', obstacle: null },
    isHeld: (our, other) => other && our.median <= other.median + 150,
    ours: async (beds) => ({ value: await runHookToWritableRound(await beds.three()) }),
    other: async (beds) => ({ value: await runBarePromoteRound(await beds.three()) }),
  },
  {
    name: 'standby-failure-blip',
    title: 'kill -9 of a standby: clients cannot write',
    against: "pgpool's sample scripts",
    ...{ unit: 'ms', aim: '≤ 1.0', isHeld: ratioWithin(1), obstacle: null },
    ours: (beds) => outage(beds, ours, standbyKilled),
    other: (beds) => outageWithSamples(beds, standbyKilled),
  },
  {
    name: 'follow',
    title: 'from a writable primary until the other standby streams from it; 1 GB, 200 writes a second',
    against: "the article's scripts with -c fast",
    ...{ unit: 'ms', aim: '≤ 0.1', isHeld: ratioWithin(0.1), obstacle: null },
    ours: (beds) => follow(beds.three(), ours, 'large', 20_000),
    other: async (beds) => follow(beds.three(), await articleFor(beds, 'fast'), 'large', 180_000),
  },
  {
    name: 'follow-verbatim',
    title: 'the same, as the article writes it: pg_basebackup waits for a spread checkpoint',
    against: "the article's scripts",
    ...{ unit: 'ms', aim: 'reported', isHeld: nothingPromised, obstacle: null, rounds: 1 },
    ours: (beds) => follow(beds.three(), ours, 'large', 20_000),
    other: async (beds) => follow(beds.three(), await articleFor(beds, 'spread'), 'large', 600_000),
  },
  {
    name: 'follow-5',
    title: 'the same with five standbys',
    against: 'ours with one standby',
    ...{ unit: 'ms', aim: '≤ 1.5', isHeld: ratioWithin(1.5), obstacle: null },
    ours: (beds) => follow(beds.seven(), ours, 'small', 20_000),
    other: (beds) => follow(beds.three(), ours, 'small', 20_000),
  },
  {
    name: 'rebuild',
    title: 'a standby is copied anew until it streams; 1 GB',
    against: 'pg_basebackup -c fast and start',
    ...{ unit: 'ms', aim: '≤ 1.25', isHeld: ratioWithin(1.25), obstacle: null },
    ours: async (beds) => ({ value: await runRebuildRound(await beds.three(), 'ours') }),
    other: async (beds) => ({ value: await runRebuildRound(await beds.three(), 'bare') }),
  },
  {
    name: 'rejoin-old-primary',
    title: 'the former primary is copied anew until it streams; 1 GB, 200 writes a second',
    against: "the article's script with -c fast",
    ...{ unit: 'ms', aim: '≤ 1.3', isHeld: ratioWithin(1.3), obstacle: null },
    ours: async (beds) => ({ value: await runRejoinRound(await beds.three(), 'ours') }),
    other: async (beds) => ({ value: await runRejoinRound(await beds.three(), 'article') }),
  },
  {
    name: 'worker-start',
    title: "from the start of the worker's process until it polls",
    ...{ against: null, other: null, unit: 'ms', aim: 'reported', isHeld: nothingPromised, obstacle: null },
    ours: async (beds) => ({ value: await runWorkerStartRound(await beds.three()) }),
  },
  {
    name: 'worker-memory',
    title: 'resident memory of the worker after these failovers',
    ...{ against: null, other: null, unit: 'MB', aim: 'reported', isHeld: nothingPromised, obstacle: null, rounds: 1 },
    ours: async (beds) => ({ value: readWorkerMegabytes(await beds.three()) }),
  },
  {
    name: 'hook-memory',
    title: 'resident memory of the hook and what it starts, at most',
    ...{ against: null, other: null, unit: 'MB', aim: 'reported', isHeld: nothingPromised, obstacle: null, rounds: 2 },
    ours: async (beds) => ({ value: await runHookMemoryRound(await beds.three()) }),
  },
];

type Failure = Omit<FailoverOptions, 'side'>;

async function outage(beds: Beds, side: Side, failure: Failure): Promise<Measured> {
  const { outageMs, lost } = await runFailoverRound(await beds.three(), { side, ...failure });
  return { value: outageMs, lost };
}

async function outageWithSamples(beds: Beds, failure: Failure): Promise<Measured> {
  const { lab } = await beds.three();
  return await outage(beds, installSamples(lab), { ...failure, data: 'samples' });
}

async function articleFor(beds: Beds, checkpoint: 'fast' | 'spread'): Promise<Side> {
  const { lab } = await beds.three();
  const side = installArticle(lab, checkpoint);
  // The article knows the next primary beforehand: the node with the lowest number.
  saveForArticle(lab, checkpoint, 2, 1);
  return side;
}

/** Measures until all remaining standbys follow, after an immediate stop of the primary. */
async function follow(making: Promise<Bed>, side: Side, data: 'small' | 'large', withinMs: number): Promise<Measured> {
  const round = await runFailoverRound(await making, {
    ...{ ...stopped, side, data, pauseMs: 19 },
    watch: { until: 'followed', withinMs },
  });
  if (round.followedAt === null || round.writableAt === null) throw new Error('nobody followed');
  return { value: round.followedAt - round.writableAt };
}
