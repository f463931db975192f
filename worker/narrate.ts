// Writes each change of a cluster into the worker's log: one line for each fence, promotion, replaced data and attached
// node.

import type { ActivityInterceptorsFactory } from '@temporalio/worker';

const told = ['fence', 'promote', 'placeData', 'attach', 'setSynchronousStandbys'];

/** For WorkerOptions.interceptors.activity. */
export function narrate(say: (line: string) => void): ActivityInterceptorsFactory {
  return ({ info }) => ({
    inbound: {
      execute: async (input, next) => {
        const result = await next(input);
        if (told.includes(info.activityType)) tell(say, info.activityType, input.args[0], result);
        return result;
      },
    },
  });
}

function tell(say: (line: string) => void, verb: string, input: unknown, result: unknown): void {
  const { configuration, node } = (input ?? {}) as { configuration?: { cluster?: string }; node?: number };
  const { changed, line, outcome, seen } = (result ?? {}) as Record<string, unknown>;
  if (changed === false) return;
  const what = typeof line === 'string' ? line : `node ${String(node)} ${String(outcome)}: ${String(seen)}`;
  say(`${configuration?.cluster ?? '?'}: ${verb}: ${what}`.replaceAll(/\s*\n\s*/g, ' | '));
}
