// An incident's memory: facts of its earlier decisions that later ones need. Plain data: it outlives a run that
// continues as new.

import type { ClusterEvent } from '../facts/event';
import type { OpenedTimeline, WalPosition } from '../facts/wal';

/** A node that was told to promote, with the WAL that it held. */
export interface Told {
  readonly node: number;
  readonly position: WalPosition;
}

export interface FailoverMemory {
  /**
   * Nodes that were told to promote and are neither proven to have done so nor stopped: each may accept writes on the
   * next timeline.
   */
  readonly told: readonly Told[];
  /** A pgpool has called failover for its primary, whichever number that has, or has named no primary, or no node. */
  readonly isPrimaryReported: boolean;
  /** Nodes that a pgpool has reported as failed, or as the primary before another one, and that have not been the primary since. */
  readonly givenUp: readonly number[];
  /** Positions of candidates that no longer answer: they still count against the next candidate. */
  readonly walOfFailedCandidates: readonly WalPosition[];
  /** Nodes that this incident has stopped while they were alive, and must start again as standbys. */
  readonly fencedOnReturn: readonly number[];
  /** Timelines that promotions of ours have opened. */
  readonly opened: readonly OpenedTimeline[];
  /** The node to look at again, and when its trouble was first seen, in milliseconds by the incident's clock. */
  readonly trouble: { readonly node: number; readonly sinceMs: number } | null;
}

export const emptyMemory: FailoverMemory = {
  told: [],
  isPrimaryReported: false,
  givenUp: [],
  walOfFailedCandidates: [],
  fencedOnReturn: [],
  opened: [],
  trouble: null,
};

export function noteTold(memory: FailoverMemory, told: Told): FailoverMemory {
  return { ...memory, told: [...memory.told.filter(({ node }) => node !== told.node), told] };
}

/** Notes that we stopped a living node, so that we start it again as a standby. */
export function noteStopped(memory: FailoverMemory, node: number): FailoverMemory {
  return { ...memory, fencedOnReturn: [...new Set([...memory.fencedOnReturn, node])] };
}

/** Notes of whom these events say that a pgpool has given it up. */
export function noteGivenUp(memory: FailoverMemory, events: readonly ClusterEvent[]): FailoverMemory {
  const named = events.map(({ kind, node, oldPrimary }) =>
    kind === 'failover' ? node : kind === 'follow' ? oldPrimary : null,
  );
  const givenUp = new Set([...memory.givenUp, ...named.filter((node) => node !== null)]);
  const isPrimaryReported = memory.isPrimaryReported || events.some(isAboutPrimary);
  return { ...memory, givenUp: [...givenUp], isPrimaryReported };
}

function isAboutPrimary({ kind, node, oldPrimary }: ClusterEvent): boolean {
  return kind === 'failover' && (node === null || oldPrimary === null || node === oldPrimary);
}

/** A person has answered that nothing is to be done. */
export function forgetReports(memory: FailoverMemory): FailoverMemory {
  return { ...memory, givenUp: [], isPrimaryReported: false };
}

/** The node works as the primary: whoever gives it up says so anew. */
export function forgetGivenUp(memory: FailoverMemory, node: number): FailoverMemory {
  return { ...memory, givenUp: memory.givenUp.filter((entry) => entry !== node), isPrimaryReported: false };
}

/** The node has become the primary, or is proven to be stopped. */
export function forgetTold(memory: FailoverMemory, node: number): FailoverMemory {
  return { ...memory, told: memory.told.filter((entry) => entry.node !== node) };
}

/** Notes that a promotion of ours opened this timeline on the node. */
export function noteOpened(memory: FailoverMemory, opened: OpenedTimeline): FailoverMemory {
  return { ...forgetGivenUp(forgetTold(memory, opened.node), opened.node), opened: [...memory.opened, opened] };
}
