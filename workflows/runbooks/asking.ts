// How a runbook asks a person: what is harmless to repeat is repeated by itself as well, and `abort` ends the whole.

import type { Choice } from '../../domain/facts/decision';
import { type Ground, type Question, sentenceOf, StepFailed } from './ground';

/** A person decided to leave the rest undone; the message says what that is. */
export class Aborted extends Error {
  override readonly name = 'Aborted';
}

const firstPauseMs = 60_000;
const longestPauseMs = 900_000;
const mostRepetitions = 50;

/**
 * A parked step whose repetition harms nobody is repeated by itself as well, because what was missing may be back: after 1, 2, 4, … 15
 * minutes, for about half a day. After that only a person can help, and a history that grows for ever would end the workflow.
 * @param count how often it was repeated already
 * @returns the next pause in milliseconds; null once it has been repeated often enough
 */
export function nextPauseMs(count: number): number | null {
  return count >= mostRepetitions ? null : Math.min(firstPauseMs * 2 ** count, longestPauseMs);
}

/** @throws Aborted with `left`, what is left undone, when a person decided so */
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
