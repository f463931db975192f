// Awaiting a condition, bounded.
import { setTimeout as delay } from 'node:timers/promises';

/** Polls until the condition holds; a condition that throws does not hold yet, and its last error is quoted. */
export async function waitFor(
  condition: () => boolean | Promise<boolean>,
  options: {
    readonly what: string;
    readonly timeoutMs: number;
    readonly intervalMs?: number;
    readonly signal?: AbortSignal;
  },
): Promise<void> {
  const deadline = Date.now() + options.timeoutMs;
  let seen: string;
  for (;;) {
    options.signal?.throwIfAborted();
    try {
      if (await condition()) return;
      seen = '';
    } catch (error) {
      seen = `: ${error instanceof Error ? error.message : String(error)}`;
    }
    if (Date.now() > deadline) throw new Error(`waited ${options.timeoutMs} ms for ${options.what}${seen}`);
    await delay(options.intervalMs ?? 25);
  }
}
