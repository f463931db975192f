// Positions in PostgreSQL's write-ahead log: (timeline, LSN). Compare the timeline first.
// LSNs travel as text ("16/B374D848"); bigint exists only inside this file's arithmetic.

export interface WalPosition {
  readonly timeline: number;
  readonly lsn: string;
}

const lsnPattern = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/;

/** Bytes from the start of WAL; null when the text is not an LSN (PostgreSQL documentation, 8.20 pg_lsn Type). */
export function parseLsn(text: string): bigint | null {
  const match = lsnPattern.exec(text);
  return match ? (BigInt(`0x${match[1]!}`) << 32n) + BigInt(`0x${match[2]!}`) : null;
}

/** Upper-case hexadecimal without leading zeros, as PostgreSQL prints it. Range: 0 to 2^64 - 1. */
export function formatLsn(bytes: bigint): string {
  if (bytes < 0n || bytes >= 1n << 64n) throw new RangeError(`LSN out of range: ${String(bytes)}`);
  return `${(bytes >> 32n).toString(16).toUpperCase()}/${(bytes & 0xffffffffn).toString(16).toUpperCase()}`;
}

/** Negative, zero or positive, for sorting; malformed text sorts before every LSN. */
export function compareLsn(left: string, right: string): number {
  const difference = (parseLsn(left) ?? -1n) - (parseLsn(right) ?? -1n);
  return difference < 0n ? -1 : difference > 0n ? 1 : 0;
}

export function comparePosition(left: WalPosition, right: WalPosition): number {
  return left.timeline - right.timeline || compareLsn(left.lsn, right.lsn);
}

/** Bytes that `behind` lacks up to `ahead` (0 when it lacks none); null when either is not an LSN. */
export function lagBytes(ahead: string, behind: string): number | null {
  const [a, b] = [parseLsn(ahead), parseLsn(behind)];
  if (a === null || b === null) return null;
  return a > b ? Number(a - b) : 0;
}

/** One line of a timeline history file: `timeline` ended at `endLsn` when the next one began. */
export interface TimelineEnd {
  readonly timeline: number;
  readonly endLsn: string;
}

/** A timeline history file (PostgreSQL documentation, 26.3.5 Timelines; timeline.c). Null if a line is malformed. */
export function parseTimelineHistory(text: string): TimelineEnd[] | null {
  const ends: TimelineEnd[] = [];
  for (const raw of text.split('\n')) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    const [timeline, endLsn] = line.split(/\s+/);
    if (!timeline || !/^[0-9]{1,10}$/.test(timeline) || !endLsn || parseLsn(endLsn) === null) return null;
    ends.push({ timeline: Number(timeline), endLsn });
  }
  return ends;
}

/** A timeline that a promotion of ours opened. */
export interface OpenedTimeline {
  readonly node: number;
  readonly timeline: number;
}

/** A timeline, and those that it came from, oldest first. */
export interface Ancestry {
  readonly timeline: number;
  readonly history: readonly TimelineEnd[];
}

/** Some WAL of one timeline; `toLsn` null = open, up to wherever its WAL ends. */
export interface TimelineRange {
  readonly timeline: number;
  readonly fromLsn: string;
  readonly toLsn: string | null;
}

/**
 * The end of the WAL that two branches share: the newest timeline common to both, and the earlier of its two ends, as
 * pg_rewind.c finds it (findCommonAncestorTimeline). Null when both are one branch.
 * Branches without a common beginning, as when a history file is lost, part at 0/0 of the node's oldest timeline: all
 * of the node's WAL then counts as its own.
 */
export function findFork(own: Ancestry, primary: Ancestry): WalPosition | null {
  const [left, right] = [rangesOf(own), rangesOf(primary)];
  let fork: WalPosition = { timeline: left[0]!.timeline, lsn: '0/0' };
  for (const [index, { timeline, toLsn }] of left.entries()) {
    const other = right[index];
    if (other?.timeline !== timeline) return fork;
    if (toLsn === null && other.toLsn === null) return null;
    fork = { timeline, lsn: earlierOf(toLsn, other.toLsn) };
    if (toLsn === null || other.toLsn === null || compareLsn(toLsn, other.toLsn) !== 0) return fork;
  }
  return fork;
}

/** A node's position, and the ends of the timelines before it. */
export interface Branch {
  readonly position: WalPosition;
  readonly history: readonly TimelineEnd[];
}

/** The timeline of this branch that holds the byte before `lsn`: the first one that ends there or later. */
export function timelineAt({ timeline, history }: Ancestry, lsn: string): number {
  const end = history.find((entry) => entry.timeline < timeline && compareLsn(lsn, entry.endLsn) <= 0);
  return end?.timeline ?? timeline;
}

/**
 * Has `node` gone past the place where the branches part? Never on the primary's own branch, because the two positions
 * are measured at different moments. A standby counts only with what it has replayed.
 */
export function isDiverged(node: Branch, primary: Branch): boolean {
  const ancestryOf = ({ position, history }: Branch): Ancestry => ({ timeline: position.timeline, history });
  const fork = findFork(ancestryOf(node), ancestryOf(primary));
  return fork !== null && comparePosition(node.position, fork) > 0;
}

/** The WAL of a branch from a fork on, timeline by timeline. */
export function rangesAfter(own: Ancestry, fork: WalPosition): TimelineRange[] {
  return rangesOf(own)
    .filter((range) => range.timeline >= fork.timeline)
    .map((range) => (range.timeline === fork.timeline ? { ...range, fromLsn: fork.lsn } : range))
    .filter((range) => range.toLsn === null || compareLsn(range.fromLsn, range.toLsn) < 0);
}

function rangesOf({ timeline, history }: Ancestry): TimelineRange[] {
  const ended = history.filter((end) => end.timeline < timeline);
  return [...ended, { timeline, endLsn: null }].map((end, index) => ({
    timeline: end.timeline,
    fromLsn: ended[index - 1]?.endLsn ?? '0/0',
    toLsn: end.endLsn,
  }));
}

function earlierOf(left: string | null, right: string | null): string {
  if (left === null || right === null) return left ?? right ?? '0/0';
  return compareLsn(left, right) < 0 ? left : right;
}
