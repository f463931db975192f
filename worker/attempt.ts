// An activity's attempt on Temporal: beats for it twice a second, hands in what it may know of itself, and turns its failure into Temporal's.

import { Context } from '@temporalio/activity';
import { ApplicationFailure, ApplicationFailureCategory } from '@temporalio/common';
import { type Attempt, Cancelled } from '../activities/io/attempt';
import { Failure } from '../activities/io/failures';

const beatMs = 500;

/**
 * Runs one attempt in Temporal's context. Beats tell what was told last, an attempt before this one included: a beat without details would erase it.
 * @throws ApplicationFailure of the failure's type; CancelledFailure
 */
export async function runAttempt<T>(body: (attempt: Attempt) => Promise<T>): Promise<T> {
  const context = Context.current();
  const progress = { last: context.info.heartbeatDetails as unknown };
  const timer = setInterval(() => {
    context.heartbeat(progress.last);
  }, beatMs);
  try {
    return await body(makeAttempt(context, progress));
  } catch (error) {
    if (error instanceof Cancelled) return await context.cancelled;
    throw error instanceof Failure ? toApplicationFailure(error) : error;
  } finally {
    clearInterval(timer);
  }
}

function makeAttempt(context: Context, progress: { last: unknown }): Attempt {
  const { attempt, activityType, workflowExecution, ...info } = context.info;
  const { runId = '', workflowId = '?' } = workflowExecution ?? {};
  return {
    actor: `${activityType}, run ${runId.slice(0, 8)} of ${workflowId}`,
    isRepeated: attempt > 1,
    orderedAt: info.currentAttemptScheduledTimestampMs,
    deadline: info.startToCloseTimeoutMs > 0 ? Date.now() + info.startToCloseTimeoutMs : null,
    earlier: context.info.heartbeatDetails as unknown,
    signal: context.cancellationSignal,
    isCancelRequested: () => context.cancellationDetails?.cancelRequested === true,
    tell: (told) => {
      progress.last = told;
      context.heartbeat(told);
    },
    sleep: async (ms) => {
      await context.sleep(ms).catch(() => {
        throw new Cancelled();
      });
    },
    now: () => Date.now(),
  };
}

/** Type, message, details and whether it is retried: what workflows and Temporal Web go by. */
function toApplicationFailure({ type, message, details, isFinal, isQuiet, cause }: Failure): ApplicationFailure {
  return ApplicationFailure.create({
    type,
    message,
    nonRetryable: isFinal,
    ...(details !== null && { details: [details] }),
    ...(isQuiet && { category: ApplicationFailureCategory.BENIGN }),
    ...(cause instanceof Error && { cause }),
  });
}
