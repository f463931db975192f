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

/** A timeline history file (PostgreSQL documentation, 26.3.5 Timelines; source access/transam/timeline.c). Null if a line is malformed. */
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

/** Where a node stands, and the ends of the timelines before its own. */
export interface Branch {
  readonly position: WalPosition | null;
  readonly history: readonly TimelineEnd[];
}

/**
 * Has `node` WAL that `primary` does not contain? On an ancestor of the primary's timeline it has if it went past that
 * ancestor's end. On the same timeline it has if it went further, or if two promotions gave one number to two branches,
 * which their different histories show. Anything else is a different branch. Unknown positions count as diverged.
 */
export function isDiverged(node: Branch, primary: Branch): boolean {
  const [own, source] = [node.position, primary.position];
  if (!own || !source) return true;
  if (own.timeline === source.timeline) {
    return compareLsn(own.lsn, source.lsn) > 0 || !isSameHistory(node.history, primary.history);
  }
  const end = primary.history.find((entry) => entry.timeline === own.timeline);
  return !end || compareLsn(own.lsn, end.endLsn) > 0;
}

function isSameHistory(left: readonly TimelineEnd[], right: readonly TimelineEnd[]): boolean {
  return (
    left.length === right.length &&
    left.every(
      (end, index) => end.timeline === right[index]?.timeline && compareLsn(end.endLsn, right[index].endLsn) === 0,
    )
  );
}
