// Events: what pgpool's hooks, people and the watch tell an incident. Everything in an event is a hint: facts decide.

export type EventKind = 'failover' | 'follow' | 'returned' | 'rejoin';

export interface ClusterEvent {
  /** One per hook invocation: spool file name, Temporal requestId and updateId. */
  readonly eventId: string;
  readonly kind: EventKind;
  /** pgpool's %d, the node that returned, or the one that a person wants back. */
  readonly node: number | null;
  /** pgpool's %m: only the lowest live node id, never a choice. */
  readonly mainNode: number | null;
  /** pgpool's %P; null when pgpool knew no primary (-1 or empty). */
  readonly oldPrimary: number | null;
  /** ISO time at the sender. */
  readonly at: string;
  /** From the watch: the difference from the record, in words. */
  readonly seen?: string;
}

/** A failed parse says what was wrong; nothing is ever thrown. */
export type ParsedEvent = { readonly event: ClusterEvent } | { readonly error: string };

const eventIdPattern = /^[A-Za-z0-9._-]{1,128}$/;
const isoTimePattern =
  /^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.][0-9]{1,9})?(?:Z|[+-][0-9]{2}:[0-9]{2})$/;
const largestNodeId = 127; // pgpool's MAX_NUM_BACKENDS is 128 (pool_type.h)

/**
 * Reads a signal's payload, which any HTTP client may have written.
 * Node ids: 0-127, or null for "none"; anything else is one clear error.
 */
export function parseEvent(value: unknown): ParsedEvent {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return { error: 'event is not an object' };
  const fields = value as Record<string, unknown>;
  const { eventId, kind, at } = fields;
  if (typeof eventId !== 'string' || !eventIdPattern.test(eventId)) {
    return { error: 'event.eventId must be 1-128 characters of A-Z a-z 0-9 . _ -' };
  }
  if (kind !== 'failover' && kind !== 'follow' && kind !== 'returned' && kind !== 'rejoin') {
    return { error: `event.kind must be failover, follow, returned or rejoin, not ${printable(kind)}` };
  }
  if (typeof at !== 'string' || !isoTimePattern.test(at) || Number.isNaN(Date.parse(at))) {
    return { error: `event.at must be an ISO time, not ${printable(at)}` };
  }
  for (const name of ['node', 'mainNode', 'oldPrimary']) {
    if (!isNodeId(fields[name])) {
      return { error: `event.${name} must be null or 0-${largestNodeId}, not ${printable(fields[name])}` };
    }
  }
  const { node, mainNode, oldPrimary } = fields as Record<string, number | null>;
  const { seen } = fields;
  if (seen !== undefined && typeof seen !== 'string')
    return { error: `event.seen must be text, not ${printable(seen)}` };
  const words = seen === undefined ? {} : { seen: inOneLine(seen) };
  const numbers = { node: node ?? null, mainNode: mainNode ?? null, oldPrimary: oldPrimary ?? null };
  return { event: { eventId, kind, ...numbers, at, ...words } };
}

function isNodeId(value: unknown): boolean {
  return (
    value === null ||
    (typeof value === 'number' &&
      Number.isInteger(value) &&
      value >= 0 &&
      value <= largestNodeId &&
      !Object.is(value, -0))
  );
}

/** The event in words, for the table of steps. */
export function describeEvent(event: ClusterEvent): string {
  const old = event.oldPrimary === null ? 'none' : String(event.oldPrimary);
  const node = event.node === null ? 'none' : String(event.node);
  if (event.seen !== undefined) return event.seen;
  if (event.kind === 'returned') return `node ${node} answers again`;
  if (event.kind === 'rejoin') return `a person wants node ${node} back`;
  return `pgpool says ${event.kind} (node ${node}, old primary ${old})`;
}

function inOneLine(text: string): string {
  return text.replaceAll(/\p{Cc}+|[\u2028\u2029]/gu, ' ').slice(0, 400);
}

/** Short and on one line, because the value came from outside and lands in logs. */
function printable(value: unknown): string {
  if (value === undefined) return 'missing';
  const text = (JSON.stringify(value) as string | undefined)?.slice(0, 60) ?? typeof value;
  // JSON does not escape these characters; a terminal or a log reader may take them for commands or line ends.
  return text.replaceAll(/[\u007f-\u009f\u2028\u2029]/g, '?');
}
