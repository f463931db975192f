// A runbook's questions to a person: a harmless step is also repeated without an answer, and `abort` ends the runbook.

import type { Choice } from '../../domain/facts/decision';
import { type Ground, type Question, sentenceOf, StepFailed } from './ground';

/** A person chose to leave the rest undone; the message names the rest. */
export class Aborted extends Error {
  override readonly name = 'Aborted';
}

const firstPauseMs = 60_000;
const longestPauseMs = 900_000;
/** Half a day of repeats; then each pause is an hour, so that a history lasts for half a year. */
const frequentRepetitions = 50;
const slowPauseMs = 3_600_000;

/**
 * Pause before a harmless parked step is repeated, because the cause may be gone: 1, 2, 4, … 15 minutes, after half a
 * day once an hour, for as long as it takes.
 * @param count repeats so far
 * @returns the pause in milliseconds
 */
export function nextPauseMs(count: number): number {
  return count >= frequentRepetitions ? slowPauseMs : Math.min(firstPauseMs * 2 ** count, longestPauseMs);
}

/** @throws Aborted with `left`, the rest that stays undone, when a person chose so */
export async function askOrAbort(
  ground: Ground,
  question: Question,
  againMs: number | null,
  left = question.problem,
): Promise<Choice> {
  const choice = await ground.ask(question, againMs);
  if (choice === 'abort') throw new Aborted(left);
  return choice;
}

/**
 * Runs a step until it is done, or a person lets it be skipped (null).
 * @throws Aborted when a person decided so
 */
export async function untilDone<T>(
  ground: Ground,
  question: Omit<Question, 'problem'>,
  body: (isRepeated: boolean) => Promise<T>,
): Promise<T | null> {
  for (let count = 0; ; count += 1) {
    try {
      return await body(count > 0);
    } catch (error) {
      if (!(error instanceof StepFailed)) throw error;
      const choice = await ground.ask({ ...question, problem: sentenceOf(error) }, nextPauseMs(count));
      if (choice === 'skip') return null;
      if (choice === 'abort') throw new Aborted(error.message);
    }
  }
}
