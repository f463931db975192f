// Judged results. Every reason code has one row in docs/failure-modes.md (checked by test/tidy.test.ts).

/** completed: done and proven; incomplete: acted, evidence missing; refused: chose not to act. */
export type Outcome = 'completed' | 'incomplete' | 'refused';

export const reasonCodes = [
  'promoted',
  'primary-kept',
  'standby-failed',
  'already-failed-over',
  'primary-working',
  'repointed',
  'already-following',
  'restarted',
  'rebuilt',
  'diverged',
  'node-unreachable',
  'node-not-standby',
  'other-system',
  'not-streaming',
  'attach-unconfirmed',
  'pgpool-unconfirmed',
  'primary-missing',
  'preempted',
  'no-candidate',
  'lag-exceeded',
  'lag-unknown',
  'insufficient-settings',
  'promotion-failed',
  'promotion-unproven',
  'diverged-branches',
  'synchronous-set-unreachable',
  'primary-unknown',
  'primary-rejects-queries',
  'primary-unreachable',
  'cut-off',
  'two-primaries',
  'too-soon',
  'world-changed',
  'fence-unconfirmed',
  'node-not-configured',
  'step-failed',
  'rejoin-manual',
  'rebuild-needs-removeFirst',
  'data-not-replaceable',
  'decided-by-person',
] as const;

export type ReasonCode = (typeof reasonCodes)[number];

/** What an incident says about one event; hook.sh prints `line` into pgpool's log. */
export interface Verdict {
  readonly outcome: Outcome;
  readonly reason: ReasonCode;
  /** One sentence for people: which node, what was seen, what was done. */
  readonly line: string;
}

/** What became of one node in converge. */
export interface FollowReport {
  readonly node: number;
  /** The rung that was taken; `none` when nothing had to be, or could be, done. */
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
