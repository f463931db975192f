// The figures of one row: each side's measurements, and the ratio of the two.

export interface Figures {
  readonly min: number;
  readonly median: number;
  readonly max: number;
  readonly rounds: number;
}

/** A row of the result, in milliseconds or in `unit`. */
export interface Row {
  readonly name: string;
  readonly title: string;
  readonly ours: Figures;
  /** The other side, in words; null for a figure that stands alone. */
  readonly against: string | null;
  readonly other: Figures | null;
  /** Ratio of the medians, ours to the other. */
  readonly ratio: number | null;
  readonly unit: Unit;
  readonly aim: string;
  /** Whether the promise is held; null where nothing was promised. */
  readonly isHeld: boolean | null;
  /** Acknowledged writes that were not there afterwards, over all rounds. */
  readonly lost: { readonly ours: number; readonly other: number };
  /** Rounds without a figure, in words, so that they are not hidden. */
  readonly failures: readonly string[];
}

export type Unit = 'ms' | 'MB';

/** @throws RangeError without values */
export function summarize(values: readonly number[]): Figures {
  if (values.length === 0) throw new RangeError('no round gave a figure');
  const sorted = [...values].sort((left, right) => left - right);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
  const round = (value: number): number => Math.round(value * 10) / 10;
  return { min: round(sorted[0]!), median: round(median), max: round(sorted.at(-1)!), rounds: values.length };
}

/** Ours to the other, by medians, to two places. */
export function ratioOf(ours: Figures, other: Figures): number {
  return Math.round((ours.median / other.median) * 100) / 100;
}
