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

/**
 * Has a node at `position` WAL that a primary on `primaryTimeline` with this history does not contain?
 * On the same timeline it has not; on an ancestor it has if it went past that ancestor's end; otherwise it is a different branch.
 */
export function isDiverged(position: WalPosition, primaryTimeline: number, history: readonly TimelineEnd[]): boolean {
  if (position.timeline === primaryTimeline) return false;
  const end = history.find((entry) => entry.timeline === position.timeline);
  return !end || compareLsn(position.lsn, end.endLsn) > 0;
}
