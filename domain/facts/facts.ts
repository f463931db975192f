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
 * The way in which a former primary was kept from taking writes. It is written into standby.signal, whose contents
 * PostgreSQL ignores.
 * before-promotion = stopped with proof before another node was promoted; after-return = stopped beside its successor.
 */
export type FenceMark = 'before-promotion' | 'after-return' | 'none';

export interface HostFacts {
  readonly ssh: 'answered' | 'refused' | 'rejected' | 'silent';
  readonly seen: string;
  readonly processes: ProcessAnswer;
  /** The node's clock minus the worker's, so that deadlines can be given in the node's time. */
  readonly clockOffsetMs: number | null;
  /** False only with proof: no such path, or no PG_VERSION or control file in it. */
  readonly hasDataDirectory: boolean | null;
  readonly hasStandbySignal: boolean | null;
  readonly fenceMark: FenceMark | null;
  /**
   * The newest timeline of any segment in pg_wal: the control file may name an older one until a checkpoint has ended.
   */
  readonly walTimeline: number | null;
  /** Read from the node's files while it has processes; null when unreadable or not asked. */
  readonly synchronousStandbyNames: string | null;
  /** The primary's settings by the control file of a running standby. */
  readonly neededSettings: Readonly<Record<string, number>> | null;
  /** The words of pg_controldata, while no process runs. */
  readonly controlFile: {
    readonly state: string;
    readonly systemIdentifier: string;
    readonly checkpoint: WalPosition;
  } | null;
}

/** The address of a node's PostgreSQL. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface WalReceiverFacts {
  readonly isStreaming: boolean;
  readonly host: string | null;
  readonly port: number | null;
  readonly timeline: number | null;
  /** Measured by the node's clock. Needed because `streaming` stays true for 60 s after the sender's host dies. */
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
  /** The standby's replay position; null = nothing yet, or no standby. */
  readonly replayedLsn: string | null;
  /** End of the WAL that a standby's receiver has received since its server started; null = none, or no standby. */
  readonly receivedLsn: string | null;
  readonly history: readonly TimelineEnd[];
  /** Age of this timeline's history file on the node, so the time since the last promotion; null on timeline 1. */
  readonly timelineAgeMs: number | null;
  readonly isReplayPaused: boolean | null;
  /** A standby's recovery_min_apply_delay; null = no standby. */
  readonly applyDelayMs: number | null;
  /** The standby's own values, while replay is paused, of the settings that must be at least the primary's. */
  readonly ownSettings: Readonly<Record<string, number>> | null;
  /** The mark of our fence in standby.signal; null = no standby, or unreadable. */
  readonly fenceMark: FenceMark | null;
  readonly synchronousStandbyNames: string | null;
  /**
   * application_name of the standby's primary_conninfo, or the name that PostgreSQL gives it without one. For a node
   * that does not answer: the name that this worker heard last. Null = the node has none, or this worker never heard
   * it.
   */
  readonly applicationName: string | null;
  readonly walReceiver: WalReceiverFacts | null;
  /** The server that a standby's primary_conninfo names; null = none, or no standby. */
  readonly upstream: Address | null;
  /** Sessions of clients except ours, and below standbys that stream from the node; null = the node is no primary. */
  readonly clients: number | null;
  readonly followers: number | null;
  /** Null when SQL answered, so the host was not looked at. */
  readonly host: HostFacts | null;
}

/** A standby's host asked the suspected primary for a read-only query. */
export interface ProbeFacts {
  readonly from: number;
  readonly about: number;
  readonly answer: SqlAnswer | 'unknown';
  /** Null for a node that did not answer. */
  readonly isInRecovery: boolean | null;
  readonly seen: string;
}

export interface PgpoolNodeFacts {
  readonly node: number;
  readonly status: 'unused' | 'waiting' | 'up' | 'down';
  readonly role: string;
  /** pgpool's own live look at the node: up, down or unknown. */
  readonly liveStatus: string;
  /** The role that the node itself tells pgpool now: primary, standby or unknown. */
  readonly liveRole: string;
}

export interface PgpoolFacts {
  readonly pgpool: string;
  readonly nodes: readonly PgpoolNodeFacts[];
  /** pgpool answered over PCP, if only with an error. */
  readonly isReached: boolean;
  /** Empty when pgpool answered for every node. */
  readonly seen: string;
}

export interface Facts {
  readonly takenAt: string;
  /** The record; null = nothing is recorded, or it could not be read in time. */
  readonly record: ClusterRecord | null;
  /** Every maintenance and pause, expired ones included. */
  readonly maintenance: readonly Maintenance[];
  /**
   * The watch's last samples of every node and pgpool, with the time of each one's last answer; null = no watch runs,
   * or it has told nothing.
   */
  readonly watch: WatchSamples | null;
  readonly nodes: readonly NodeFacts[];
  readonly probes: readonly ProbeFacts[];
  readonly pgpools: readonly PgpoolFacts[];
}

export function factsOf(facts: Facts, node: number): NodeFacts | undefined {
  return facts.nodes.find((entry) => entry.node === node);
}

/** The node's WAL receiver names this address, as the cluster file spells it. The receiver need not be streaming. */
export function receivesFrom({ walReceiver }: NodeFacts, { host, port }: Address): boolean {
  return walReceiver?.host === host && walReceiver.port === port;
}

/** The node's timeline is newer than `timeline` and has it in its history. */
export function descendsFrom({ position, history }: NodeFacts, timeline: number): boolean {
  return (position?.timeline ?? 0) > timeline && history.some((end) => end.timeline === timeline);
}

/** The pgpool shows this backend as its primary, and uses it. */
export function isShownAsPrimary({ role, status }: { readonly role: string; readonly status: string }): boolean {
  return role === 'primary' && status !== 'down';
}

/** The node does not answer a query, and is not proven dead either. */
export function isOnlySilent(facts: Facts, node: number): boolean {
  const own = factsOf(facts, node);
  return own?.sql !== 'answered' && own?.host?.processes !== 'none';
}

/** Nodes that answered a query and are out of recovery: they accept writes now. */
export function writableNodes({ nodes }: Pick<Facts, 'nodes'>): NodeFacts[] {
  return nodes.filter((entry) => entry.sql === 'answered' && entry.isInRecovery === false);
}

/** Nodes that answered a query and are in recovery. */
export function answeringStandbys(facts: Facts): NodeFacts[] {
  return facts.nodes.filter((entry) => entry.sql === 'answered' && entry.isInRecovery === true);
}
