// A runbook's ground: Temporal, or a dry ground that only tells what would be done. A runbook reaches the world only
// through it.

import type { Activities } from '../../activities/index';
import type { Choice, ParkedStep } from '../../domain/facts/decision';

export type VerbName = keyof Activities;
export type InputOf<Name extends VerbName> = Parameters<Activities[Name]>[0];
export type ResultOf<Name extends VerbName> = Awaited<ReturnType<Activities[Name]>>;

/** Each verb, with its input and the reason for it now; the default reason is in the table of verbs. */
export type Acts = {
  readonly [Name in VerbName]: (input: InputOf<Name>, why?: string) => Promise<ResultOf<Name>>;
};

/** A verb that has used up its attempts. */
export class StepFailed extends Error {
  override readonly name = 'StepFailed';

  constructor(
    readonly verb: VerbName,
    /**
     * The type of the activity's failure (activities/io/failures.ts); null = it ended without one, as by a time-out.
     */
    readonly type: string | null,
    sentence: string,
    readonly details: unknown,
    /** The effect is unknown: no worker took the verb, or the worker died. */
    readonly isTimeout: boolean,
  ) {
    super(sentence);
  }
}

export type Question = Omit<ParkedStep, 'since'>;

export interface Ground {
  /** @throws StepFailed; a cancellation passes through as it is */
  readonly act: Acts;
  /** Shows people a decision or an observation. */
  note(title: string, seen: string): void;
  /** Waits for a person's answer; `retry` after `againMs`, if given. */
  ask(question: Question, againMs?: number | null): Promise<Choice>;
  /** Milliseconds since 1970. */
  now(): number;
  sleep(ms: number, why: string): Promise<void>;
  /** Runs the body to its end even when cancelled: half a promotion is a split brain. */
  shielded<T>(body: () => Promise<T>): Promise<T>;
}

/** The type of a step's failure; null for anything else. */
export function failureTypeOf(error: unknown): string | null {
  return error instanceof StepFailed ? error.type : null;
}

export function sentenceOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
