// What later decisions of the same incident must not forget of earlier ones. Plain data: it outlives a run that continues as new.

import type { OpenedTimeline, WalPosition } from '../facts/wal';

/** A node that was told to promote, with the WAL that it held. */
export interface Told {
  readonly node: number;
  readonly position: WalPosition;
}

export interface FailoverMemory {
  /** Told to promote, neither proven to have done so nor stopped: each may accept writes on the next timeline. */
  readonly told: readonly Told[];
  /** WAL of candidates that do not answer any more: it still counts against the next candidate. */
  readonly walOfFailedCandidates: readonly WalPosition[];
  /** Nodes that this incident has stopped while they were alive, and must start again as standbys. */
  readonly fencedOnReturn: readonly number[];
  /** Timelines that promotions of ours have opened. */
  readonly opened: readonly OpenedTimeline[];
  /** The node that is to be looked at again, and when it was first seen so, in milliseconds by the incident's clock. */
  readonly trouble: { readonly node: number; readonly sinceMs: number } | null;
}

export const emptyMemory: FailoverMemory = {
  told: [],
  walOfFailedCandidates: [],
  fencedOnReturn: [],
  opened: [],
  trouble: null,
};

export function noteTold(memory: FailoverMemory, told: Told): FailoverMemory {
  return { ...memory, told: [...memory.told.filter(({ node }) => node !== told.node), told] };
}

/** The node was alive when we stopped it: it is ours to bring back. */
export function noteStopped(memory: FailoverMemory, node: number): FailoverMemory {
  return { ...memory, fencedOnReturn: [...new Set([...memory.fencedOnReturn, node])] };
}

/** It is the primary by now, or proven to be stopped. */
export function forgetTold(memory: FailoverMemory, node: number): FailoverMemory {
  return { ...memory, told: memory.told.filter((entry) => entry.node !== node) };
}

/** The node accepts writes on this timeline by a promotion of ours. */
export function noteOpened(memory: FailoverMemory, opened: OpenedTimeline): FailoverMemory {
  return { ...forgetTold(memory, opened.node), opened: [...memory.opened, opened] };
}
