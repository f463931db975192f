// Heartbeats while an activity runs, so that a dead worker is noticed within seconds and a cancellation arrives.

import { Context } from '@temporalio/activity';

const beatMs = 500;

/** Twice a second, with what `describe` returns, while `body` runs: a beat without details would erase the last ones. */
export async function beatWhile<T>(describe: () => unknown, body: () => Promise<T>): Promise<T> {
  const context = Context.current();
  const timer = setInterval(() => {
    context.heartbeat(describe());
  }, beatMs);
  try {
    return await body();
  } finally {
    clearInterval(timer);
  }
}
