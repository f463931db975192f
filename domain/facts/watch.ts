// What the watch has seen of a cluster, and what it has told of it. Plain data: a heartbeat's detail, the next watch's input, and a witness for decisions.

import type { WalPosition } from './wal';

/** What a node said when it answered. */
export interface NodeWords {
  readonly isInRecovery: boolean;
  readonly systemIdentifier: string;
  /** Timeline and last byte of WAL: written by a primary, received or replayed by a standby. */
  readonly position: WalPosition | null;
  readonly synchronousStandbyNames: string;
  /** Of a standby: under which name the primary lists it. */
  readonly applicationName: string | null;
  /** Of a primary: names, in small letters, of those that stream from it. */
  readonly followers: readonly string[];
  /** Whom a standby streams from, in the cluster file's words, and on which timeline; null = it does not stream. */
  readonly receiver: { readonly host: string; readonly port: number; readonly timeline: number } | null;
}

export interface NodeSample {
  readonly node: number;
  /** Looks in a row that were not answered; 0 = it answers. */
  readonly misses: number;
  /** The last look, in words. */
  readonly seen: string;
  /** ISO time of its last answer, and what it said then; null = this watch has never heard it. */
  readonly answeredAt: string | null;
  readonly said: NodeWords | null;
  /** ISO time at which it was last seen streaming; null = never. */
  readonly streamedAt: string | null;
  /** It answers after a silence, and nobody was told of that yet. */
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
  /** False: it gave no answer at all. */
  readonly isReached: boolean;
  /** Those for which it answered. */
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
  | 'no-record';

/** Something in which the world differs from the record. */
export interface Difference {
  readonly kind: DifferenceKind;
  readonly node: number | null;
  /** Kind and subject. */
  readonly key: string;
  /** ISO time at which it was first seen, this time. */
  readonly since: string;
  /** Derived from key, `since` and how often it was told: two watches tell the same event. */
  readonly eventId: string;
  readonly line: string;
}

/** A difference that stands, whether it has lasted or not. */
export interface Standing {
  readonly key: string;
  readonly since: string;
}

/** A difference that was told: when, how often, and since when it stood then. */
export interface Told extends Standing {
  readonly at: string;
  readonly times: number;
}

export interface WatchState {
  readonly samples: WatchSamples;
  readonly standing: readonly Standing[];
  readonly told: readonly Told[];
}

/** Null for anything but a watch's state: a heartbeat may be another version's. */
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

/** Of two states the one with the younger look. */
export function newerState(left: WatchState | null, right: WatchState | null): WatchState | null {
  if (!left || !right) return left ?? right;
  return Date.parse(right.samples.takenAt) > Date.parse(left.samples.takenAt) ? right : left;
}
