// Outcomes: the judged result for an event, and for a node.

import type { ReasonCode } from './reasons';

/** completed: done and proven; incomplete: acted, evidence missing; refused: chose not to act. */
export type Outcome = 'completed' | 'incomplete' | 'refused';

/** An incident's answer to one event; hook.sh prints `line` into pgpool's log. */
export interface Verdict {
  readonly outcome: Outcome;
  readonly reason: ReasonCode;
  /** One sentence for people: which node, what was seen, what was done. */
  readonly line: string;
}

/** The result of one node's follow. */
export interface FollowReport {
  readonly node: number;
  /** The rung that was taken; `none` when nothing was needed or possible. */
  readonly rung: 'none' | 'repoint' | 'rewind' | 'rebuild';
  readonly outcome: Outcome;
  readonly reason: ReasonCode;
  readonly line: string;
  readonly ms: number;
}

/** Makes the compiler reject a switch that forgets a case. */
export function assertNever(value: never): never {
  throw new TypeError(`unexpected value: ${JSON.stringify(value)}`);
}
