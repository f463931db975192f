// Runs workflows before the worker says that it is ready, so that no failover waits for a missing part.

import { type Client, WorkflowFailedError } from '@temporalio/client';
import { messageOf } from '../activities/io/failures';
import { pause } from './temporal-watch';

export interface WarmUp {
  readonly client: Client;
  readonly address: string;
  readonly taskQueue: string;
  readonly clusters: readonly string[];
  readonly say: (line: string) => void;
  /** Aborts when the worker ends. */
  readonly signal: AbortSignal;
  readonly pauseMs?: number;
}

const rounds = 8;
const enoughMs = 4000;
/** A bound, because a workflow that no worker takes would wait for ever. */
const workflowTimeout = '20s';

/**
 * Runs the workflow `warmUp` until it has worked once, and then a few times more while that is quick. Says once for
 * each reason why it does not work. Resolves false when the worker ended first.
 */
export async function warmUp({ say, signal, pauseMs = 5000, ...input }: WarmUp): Promise<boolean> {
  let said = '';
  while (!signal.aborted) {
    try {
      await Promise.race([runRounds(input), untilAborted(signal)]);
      return !signal.aborted;
    } catch (error) {
      const reason = explain(error, input.taskQueue);
      if (reason !== said)
        say(`warning: not ready: no workflow can be run on Temporal at ${input.address}: ${reason}; it is tried again`);
      said = reason;
    }
    await pause(pauseMs, signal);
  }
  return false;
}

type Rounds = Pick<WarmUp, 'client' | 'taskQueue' | 'clusters'>;

/** Ends early if nodes are silent: a worker that is needed now must not wait for them. */
async function runRounds({ client, taskQueue, clusters }: Rounds): Promise<void> {
  const startedAt = Date.now();
  for (let round = 1; round <= rounds && (round === 1 || Date.now() - startedAt < enoughMs); round += 1) {
    const workflowId = `pgpool-runbook.warm-up.${process.pid}.${startedAt}.${round}`;
    await client.workflow.execute('warmUp', {
      workflowId,
      taskQueue,
      args: [clusters],
      workflowExecutionTimeout: workflowTimeout,
    });
  }
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => {
      resolve();
    });
  });
}

function explain(error: unknown, taskQueue: string): string {
  if (error instanceof WorkflowFailedError) {
    const cause = error.cause ? messageOf(error.cause) : 'it failed';
    return `${cause} (does the server hand out the tasks of task queue ${taskQueue}?)`;
  }
  // The SDK wraps the call's own error.
  const { cause } = error as { cause?: unknown };
  return cause instanceof Error ? `${messageOf(error)}: ${cause.message}` : messageOf(error);
}
