// One clock for all that is measured: the machine's, as every program's log has it, in milliseconds with their fractions.

/** Milliseconds since the epoch. */
export function now(): number {
  return performance.timeOrigin + performance.now();
}

/** The same moment on performance.now's scale, which the workload's journal has. */
export function toPerformance(at: number): number {
  return at - performance.timeOrigin;
}

/** Back from performance.now's scale. */
export function toEpoch(at: number): number {
  return performance.timeOrigin + at;
}
