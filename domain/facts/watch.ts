// The watch's samples of a cluster, and what it has told. Plain data: a heartbeat's detail, the next watch's input, and
// a witness for decisions.

import type { Recorded } from './record';
import type { WalPosition } from './wal';

/** A node's own words when it answered. */
export interface NodeWords {
  readonly isInRecovery: boolean;
  readonly systemIdentifier: string;
  /** Timeline and last byte of WAL: written by a primary, received or replayed by a standby. */
  readonly position: WalPosition | null;
  readonly synchronousStandbyNames: string;
  /** The name under which the primary lists this standby. */
  readonly applicationName: string | null;
  /** The names, in small letters, of the standbys that stream from this primary. */
  readonly followers: readonly string[];
  /**
   * The server that a standby streams from, as the cluster file spells it, and the timeline; null = the standby does
   * not stream.
   */
  readonly receiver: { readonly host: string; readonly port: number; readonly timeline: number } | null;
}

/** Missed looks that count as silence: a single one may be a busy moment. */
export const silentMisses = 2;

export interface NodeSample {
  readonly node: number;
  /** Looks in a row that the node did not answer; 0 = it answers. */
  readonly misses: number;
  /** The last look, in words. */
  readonly seen: string;
  /** ISO time and words of the node's last answer; null = this watch has never heard the node. */
  readonly answeredAt: string | null;
  readonly said: NodeWords | null;
  /** ISO time of the last look that saw the node streaming; null = never. */
  readonly streamedAt: string | null;
  /** The node answers after a silence that was not told yet. */
  readonly isNews: boolean;
}

/** A backend as one pgpool shows it. */
export interface ShownNode {
  readonly node: number;
  readonly status: 'unused' | 'waiting' | 'up' | 'down';
  readonly role: string;
}

export interface PgpoolSample {
  readonly pgpool: string;
  /** ISO time of the last look that has ended. */
  readonly at: string;
  /** False: pgpool gave no answer at all. */
  readonly isReached: boolean;
  /** The nodes that pgpool answered for. */
  readonly nodes: readonly ShownNode[];
  readonly seen: string;
}

export interface WatchSamples {
  /** ISO time of the last look, by the clock of the worker that watches. */
  readonly takenAt: string;
  readonly nodes: readonly NodeSample[];
  readonly pgpools: readonly PgpoolSample[];
}

/** One look at every node, with the last look at every pgpool. */
export interface Look {
  readonly at: string;
  readonly nodes: readonly { readonly node: number; readonly said: NodeWords | null; readonly seen: string }[];
  readonly pgpools: readonly PgpoolSample[];
}

export type DifferenceKind =
  | 'second-writable'
  | 'other-primary'
  | 'not-shown'
  | 'given-up'
  | 'answers'
  | 'lost'
  | 'not-streaming'
  | 'detached'
  | 'synchronous'
  | 'primary-silent'
  | 'no-record'
  | 'taken-up';

/** Something in which the world differs from the record. */
export interface Difference {
  readonly kind: DifferenceKind;
  readonly node: number | null;
  /** Kind and subject. */
  readonly key: string;
  /** ISO time of the first look that showed the difference. */
  readonly since: string;
  /** Derived from key, `since` and how often it was told, so that two watches tell the same event. */
  readonly eventId: string;
  readonly line: string;
}

/** A difference that the last look showed, whether it has lasted or not. */
export interface Standing {
  readonly key: string;
  readonly since: string;
}

/** A difference that was told: when, how often, and since when it lasted. */
export interface Told extends Standing {
  readonly at: string;
  readonly times: number;
}

export interface WatchState {
  readonly samples: WatchSamples;
  readonly standing: readonly Standing[];
  readonly told: readonly Told[];
}

/** Everything that the workflow `cluster` knows. */
export interface Known {
  readonly recorded: Recorded;
  /** The youngest of the watches' last heartbeats and of what the memo holds. */
  readonly watch: WatchState | null;
}

/** Null for malformed input: a heartbeat may come from another version. */
export function parseWatchState(value: unknown): WatchState | null {
  if (typeof value !== 'object' || value === null) return null;
  const { samples, standing, told } = value as Partial<Record<keyof WatchState, unknown>>;
  const { takenAt, nodes, pgpools } = (samples ?? {}) as Partial<Record<keyof WatchSamples, unknown>>;
  const isState =
    typeof takenAt === 'string' &&
    !Number.isNaN(Date.parse(takenAt)) &&
    [nodes, pgpools, standing, told].every((list) => Array.isArray(list)) &&
    (nodes as readonly unknown[]).every(isNodeSample);
  return isState ? (value as WatchState) : null;
}

function isNodeSample(value: unknown): boolean {
  const { node, misses, said } = (value ?? {}) as Partial<Record<keyof NodeSample, unknown>>;
  return Number.isInteger(node) && Number.isInteger(misses) && typeof said === 'object';
}

/** The state with the younger look. */
export function newerState(left: WatchState | null, right: WatchState | null): WatchState | null {
  if (!left || !right) return left ?? right;
  return Date.parse(right.samples.takenAt) > Date.parse(left.samples.takenAt) ? right : left;
}
