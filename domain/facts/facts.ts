// Facts: what was measured, at a time, including "unknown". A silent node is a fact, not an error.

import type { Maintenance } from './maintenance';
import type { ClusterRecord } from './record';
import type { TimelineEnd, WalPosition } from './wal';
import type { WatchSamples } from './watch';

/**
 * How a node answered a query. `recovering` = SQLSTATE 57P03 (starting up, shutting down or in crash recovery);
 * `refused` = a TCP reset; `rejected` = PostgreSQL answered with another error; `silent` = nothing within the bound.
 */
export type SqlAnswer = 'answered' | 'recovering' | 'refused' | 'rejected' | 'silent';

/** PostgreSQL's processes on the node; `orphans` = backends whose postmaster is gone, which go on committing. */
export type ProcessAnswer = 'running' | 'orphans' | 'none' | 'unknown';

/**
 * How it was made sure that the former primary took no more writes. Written into standby.signal, whose contents PostgreSQL
 * ignores: before-promotion = stopped with proof before anybody else was promoted; after-return = it was up beside its successor.
 */
export type FenceMark = 'before-promotion' | 'after-return' | 'none';

export interface HostFacts {
  readonly ssh: 'answered' | 'refused' | 'rejected' | 'silent';
  readonly seen: string;
  readonly processes: ProcessAnswer;
  /** The node's clock minus the worker's, so that deadlines can be given in the node's time. */
  readonly clockOffsetMs: number | null;
  /** False only where it is certain that there is none: no such path, or no PG_VERSION or control file in it. */
  readonly hasDataDirectory: boolean | null;
  readonly hasStandbySignal: boolean | null;
  readonly fenceMark: FenceMark | null;
  /** The newest timeline of which pg_wal holds a segment: the control file may name an older one until a checkpoint has ended. */
  readonly walTimeline: number | null;
  /** From its files while processes of it are there; null when unreadable or not asked. */
  readonly synchronousStandbyNames: string | null;
  /** While it runs as a standby: what its control file says that the primary has set, by setting. */
  readonly neededSettings: Readonly<Record<string, number>> | null;
  /** From pg_controldata while no process runs. */
  readonly controlFile: {
    readonly state: string;
    readonly systemIdentifier: string;
    readonly checkpoint: WalPosition;
  } | null;
}

/** Of a node's PostgreSQL. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface WalReceiverFacts {
  readonly isStreaming: boolean;
  readonly host: string | null;
  readonly port: number | null;
  readonly timeline: number | null;
  /** By the node's own clock. `streaming` stays true for 60 s after the sender's host dies; this does not lie. */
  readonly lastMessageAgeMs: number | null;
}

export interface NodeFacts {
  readonly node: number;
  readonly sql: SqlAnswer;
  readonly sqlSeen: string;
  readonly isInRecovery: boolean | null;
  readonly systemIdentifier: string | null;
  /** Timeline and last byte of WAL: written by a primary, received or replayed by a standby. */
  readonly position: WalPosition | null;
  /** How far a standby has replayed; null = nothing yet, or no standby. */
  readonly replayedLsn: string | null;
  /** What a standby's receiver has brought since its server started; null = nothing, or no standby. */
  readonly receivedLsn: string | null;
  readonly history: readonly TimelineEnd[];
  /** Since this timeline's history file appeared here, that is since the last promotion; null on timeline 1. */
  readonly timelineAgeMs: number | null;
  readonly isReplayPaused: boolean | null;
  /** A standby's recovery_min_apply_delay; null = no standby. */
  readonly applyDelayMs: number | null;
  /** While replay is paused: its own values of the settings that must be at least the primary's, by setting. */
  readonly ownSettings: Readonly<Record<string, number>> | null;
  /** What a fence of ours left in standby.signal; null = no standby, or unreadable. */
  readonly fenceMark: FenceMark | null;
  readonly synchronousStandbyNames: string | null;
  /** Of its primary_conninfo; for a standby without one the name that PostgreSQL gives it; of a node that does not answer, its last word to this worker. Null = it has none, or never said. */
  readonly applicationName: string | null;
  readonly walReceiver: WalReceiverFacts | null;
  /** Where a standby's primary_conninfo leads; null = nowhere, or no standby. */
  readonly upstream: Address | null;
  /** Who uses a node that accepts writes: sessions of clients but ours, and standbys that stream from it; null = no primary. */
  readonly clients: number | null;
  readonly followers: number | null;
  /** Null when there was no need to look: SQL had answered. */
  readonly host: HostFacts | null;
}

/** A standby's host asked the suspected primary for a read-only query. */
export interface ProbeFacts {
  readonly from: number;
  readonly about: number;
  readonly answer: SqlAnswer | 'unknown';
  /** Of a node that answered; else null. */
  readonly isInRecovery: boolean | null;
  readonly seen: string;
}

export interface PgpoolNodeFacts {
  readonly node: number;
  readonly status: 'unused' | 'waiting' | 'up' | 'down';
  readonly role: string;
  /** pgpool's own live look at the node: up, down or unknown. */
  readonly liveStatus: string;
}

export interface PgpoolFacts {
  readonly pgpool: string;
  readonly nodes: readonly PgpoolNodeFacts[];
  /** It gave any answer over PCP, be it an error. */
  readonly isReached: boolean;
  /** Empty when every node was answered for. */
  readonly seen: string;
}

export interface Facts {
  readonly takenAt: string;
  /** What the last decision left as true; null = nothing is recorded, or it could not be read in time. */
  readonly record: ClusterRecord | null;
  /** What people have in hand, expired ones included. */
  readonly maintenance: readonly Maintenance[];
  /** What the watch last told of every node and pgpool, with the time of each one's last answer; null = no watch runs, or nothing was told. */
  readonly watch: WatchSamples | null;
  readonly nodes: readonly NodeFacts[];
  readonly probes: readonly ProbeFacts[];
  readonly pgpools: readonly PgpoolFacts[];
}

export function factsOf(facts: Facts, node: number): NodeFacts | undefined {
  return facts.nodes.find((entry) => entry.node === node);
}

/** Its WAL receiver names this address, as the cluster file spells it; whether it streams is another question. */
export function receivesFrom({ walReceiver }: NodeFacts, { host, port }: Address): boolean {
  return walReceiver?.host === host && walReceiver.port === port;
}

/** Its timeline is a newer one, with this one in its history. */
export function descendsFrom({ position, history }: NodeFacts, timeline: number): boolean {
  return (position?.timeline ?? 0) > timeline && history.some((end) => end.timeline === timeline);
}

/** Nodes that answered a query and are out of recovery: they accept writes now. */
export function writableNodes({ nodes }: Pick<Facts, 'nodes'>): NodeFacts[] {
  return nodes.filter((entry) => entry.sql === 'answered' && entry.isInRecovery === false);
}

/** Nodes that answered a query and are in recovery. */
export function answeringStandbys(facts: Facts): NodeFacts[] {
  return facts.nodes.filter((entry) => entry.sql === 'answered' && entry.isInRecovery === true);
}
