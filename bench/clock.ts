// The one clock of all measurements: the machine's, as in every program's log, in milliseconds with fractions.

/** Milliseconds since the epoch. */
export function now(): number {
  return performance.timeOrigin + performance.now();
}

/** The moment on performance.now's scale, which the workload's journal has. */
export function toPerformance(at: number): number {
  return at - performance.timeOrigin;
}

/** Back from performance.now's scale. */
export function toEpoch(at: number): number {
  return performance.timeOrigin + at;
}
