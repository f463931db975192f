// An activity's attempt on Temporal: sends its heartbeats, gives it clock and cancellation, and turns its failure into
// Temporal's.

import { Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { type Attempt, Cancelled } from '../activities/io/attempt';
import { Failure } from '../activities/io/failures';

const beatMs = 500;

/** The last progress that this attempt, or the one before it, has told. */
interface Progress {
  last: unknown;
}

/**
 * Runs one attempt in Temporal's context, with a heartbeat twice a second. Each heartbeat repeats the last progress,
 * because one without details would erase it.
 * @throws ApplicationFailure of the failure's type; CancelledFailure
 */
export async function runAttempt<T>(body: (attempt: Attempt) => Promise<T>): Promise<T> {
  return await runWith(body, (context, progress) =>
    setInterval(() => {
      context.heartbeat(progress.last);
    }, beatMs),
  );
}

/** Runs an attempt that sends its own heartbeats, so that Temporal notices when it stands still. */
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

/** Type, message, details and retry: workflows and Temporal Web rely on these. */
function toApplicationFailure({ type, message, details, isFinal, cause }: Failure): ApplicationFailure {
  return ApplicationFailure.create({
    type,
    message,
    nonRetryable: isFinal,
    ...(details !== null && { details: [details] }),
    ...(cause instanceof Error && { cause }),
  });
}
