// WAL in the model: branches with their true parents, so that a lost commit is known even where two branches have the same number.

import { formatLsn, type TimelineEnd, type WalPosition } from '../../../domain/facts/wal';

/** One promotion opens one branch. */
export interface Branch {
  readonly timeline: number;
  readonly parent: Branch | null;
  /** Where it left its parent. */
  readonly fork: number;
  readonly openedBy: 'start' | 'us' | 'person';
  /** Up to where clients were told that their commits are safe. */
  acked: number;
  /** The same, of commits that a synchronous set had confirmed. */
  ackedBySet: number;
  /** Some pgpool has served it. */
  wasServed: boolean;
  /** Commits acknowledged past here were given up: by a person, or by a failover that weighed them. */
  givenUp: number;
}

export interface Place {
  readonly branch: Branch;
  readonly lsn: number;
}

export const firstLsn = 0x5000000;

export function newBranch(parent: Place | null, timeline: number, openedBy: Branch['openedBy']): Branch {
  const fork = parent?.lsn ?? firstLsn;
  return {
    timeline,
    parent: parent?.branch ?? null,
    fork,
    openedBy,
    acked: fork,
    ackedBySet: fork,
    wasServed: false,
    givenUp: Infinity,
  };
}

const texts = new Map<number, string>();

export function textOf(lsn: number): string {
  const known = texts.get(lsn);
  if (known !== undefined) return known;
  const text = formatLsn(BigInt(lsn));
  if (texts.size < 100_000) texts.set(lsn, text);
  return text;
}

export function positionOf({ branch, lsn }: Place): WalPosition {
  return { timeline: branch.timeline, lsn: textOf(lsn) };
}

export function historyOf(branch: Branch): TimelineEnd[] {
  const ends: TimelineEnd[] = [];
  for (let own = branch; own.parent; own = own.parent)
    ends.unshift({ timeline: own.parent.timeline, endLsn: textOf(own.fork) });
  return ends;
}

/** Where the ancestry of `branch` leaves `ancestor`; Infinity for the branch itself, null when it does not descend from it. */
export function leaves(branch: Branch, ancestor: Branch): number | null {
  if (branch === ancestor) return Infinity;
  let end = Infinity;
  for (let own: Branch | null = branch; own; own = own.parent) {
    if (own === ancestor) return end;
    end = Math.min(end, own.fork);
  }
  return null;
}

/** Up to where whoever stands at `place` holds the WAL of `branch`. */
export function heldOf(place: Place, branch: Branch): number {
  const end = leaves(place.branch, branch);
  return end === null ? branch.fork : Math.min(end, place.lsn);
}

/** Bytes of acknowledged commits that whoever stands here lacks, and that nobody has given up. */
export function lostBy(place: Place, branches: readonly Branch[]): { branch: Branch; bytes: number } | null {
  for (const branch of branches) {
    const wanted = Math.min(branch.acked, branch.givenUp);
    const bytes = wanted - heldOf(place, branch);
    if (bytes > 0 && wanted > branch.fork) return { branch, bytes };
  }
  return null;
}

/** The promotion that opened this branch has given up what others hold past its fork. */
export function leaveBehind(branch: Branch, branches: readonly Branch[]): void {
  const place = { branch, lsn: branch.fork };
  for (const other of branches) {
    const held = heldOf(place, other);
    if (other.acked > held) other.givenUp = Math.min(other.givenUp, held);
  }
}
