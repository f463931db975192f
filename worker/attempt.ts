// An activity's attempt on Temporal: beats for it, hands in what it may know of itself, and turns its failure into Temporal's.

import { Context } from '@temporalio/activity';
import { ApplicationFailure, ApplicationFailureCategory } from '@temporalio/common';
import { type Attempt, Cancelled } from '../activities/io/attempt';
import { Failure } from '../activities/io/failures';

const beatMs = 500;

/** What an attempt told last; one before it included. */
interface Progress {
  last: unknown;
}

/**
 * Runs one attempt in Temporal's context, beating twice a second. Beats tell what was told last: a beat without details would erase it.
 * @throws ApplicationFailure of the failure's type; CancelledFailure
 */
export async function runAttempt<T>(body: (attempt: Attempt) => Promise<T>): Promise<T> {
  return await runWith(body, (context, progress) =>
    setInterval(() => {
      context.heartbeat(progress.last);
    }, beatMs),
  );
}

/** The same for one that beats by itself, and must be noticed when it no longer does. */
export async function runUnbeaten<T>(body: (attempt: Attempt) => Promise<T>): Promise<T> {
  return await runWith(body, () => undefined);
}

async function runWith<T>(
  body: (attempt: Attempt) => Promise<T>,
  beat: (context: Context, progress: Progress) => NodeJS.Timeout | undefined,
): Promise<T> {
  const context = Context.current();
  const progress = { last: context.info.heartbeatDetails as unknown };
  const timer = beat(context, progress);
  try {
    return await body(makeAttempt(context, progress));
  } catch (error) {
    if (error instanceof Cancelled) return await context.cancelled;
    throw error instanceof Failure ? toApplicationFailure(error) : error;
  } finally {
    clearInterval(timer);
  }
}

function makeAttempt(context: Context, progress: Progress): Attempt {
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
