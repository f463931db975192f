// A difference that one look shows, before it has lasted long enough to be told.

import type { DifferenceKind, NodeSample, NodeWords, PgpoolSample, ShownNode } from '../facts/watch';

export interface Condition {
  readonly kind: DifferenceKind;
  readonly node: number | null;
  /** Kind and subject. */
  readonly key: string;
  /** ISO time of the look that shows it. */
  readonly seenAt: string;
  /**
   * Time from the first look that shows the difference to the one that proves it; 0 = the first look is enough, 1 = two
   * looks in a row.
   */
  readonly lastingMs: number;
  readonly line: string;
  /** A person must act, so the difference is told again only if it was gone in between. */
  readonly isOnce: boolean;
}

/** How long a difference must last: at once, in two looks in a row, or ten seconds. */
export const [atOnce, twoLooks, longMs] = [0, 1, 10_000];

/** A node that answers at this look. */
export interface Answering extends NodeSample {
  readonly said: NodeWords;
}

export function condition(
  kind: DifferenceKind,
  node: number | null,
  more: Pick<Condition, 'seenAt' | 'lastingMs' | 'line'> & { subject?: string; isOnce?: boolean },
): Condition {
  const { subject = String(node), isOnce = false, seenAt, lastingMs, line } = more;
  return { kind, node, key: `${kind}.${subject}`, seenAt, lastingMs, line, isOnce };
}

export function shownBy({ nodes }: PgpoolSample, node: number): ShownNode | undefined {
  return nodes.find((entry) => entry.node === node);
}
