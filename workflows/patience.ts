// How long each kind of activity may take and how it is retried, with the reason. The worker beats twice a second for every attempt
// (worker/attempt.ts), so a dead worker is noticed within heartbeatTimeout.

import { ActivityCancellationType, type ActivityOptions } from '@temporalio/workflow';
import type { Patience } from './runbooks/verbs';

/** Two attempts, then the plan is made anew from fresh facts: clients wait. */
const critical: ActivityOptions = {
  // A fence that may still be acting would stop a node that the next decision keeps, or hold the lock that it needs.
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
  startToCloseTimeout: '25s',
  heartbeatTimeout: '2s',
  retry: { initialInterval: '100ms', maximumAttempts: 2 },
};

/** A node or pgpool may need some seconds more: a few minutes of trying, off the critical path, then a person is asked. */
const background: ActivityOptions = {
  // A cancelled follow is closed only when nothing of it acts on its node any more: the next one waits for that.
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
  startToCloseTimeout: '2m',
  heartbeatTimeout: '2s',
  retry: { initialInterval: '500ms', backoffCoefficient: 2, maximumInterval: '10s', maximumAttempts: 4 },
};

export const patience: Readonly<Record<Patience, ActivityOptions>> = {
  /** A look has no effect: it is retried for ever, and a person sees it waiting in Temporal Web. It bounds itself to 2 s. */
  reading: {
    // A newer event need not wait for an answer that nobody wants any more (this is also the SDK's default).
    cancellationType: ActivityCancellationType.TRY_CANCEL,
    startToCloseTimeout: '6s',
    heartbeatTimeout: '2s',
    retry: { initialInterval: '200ms', backoffCoefficient: 1.5, maximumInterval: '5s' },
  },
  critical,
  /** A candidate is waited for as long as anything shows that it is on its way; a dead worker is noticed by its heartbeat. */
  promotion: { ...critical, startToCloseTimeout: '1 day' },
  background,
  /** A server's way up: it may replay for long, and says so; the verb gives up by itself when nothing moves. */
  startup: { ...background, startToCloseTimeout: '1 day', retry: { ...background.retry!, maximumAttempts: 2 } },
  /** Copies, checks and removals of whole data directories: jobs on the node, to which the next attempt attaches again. They may take days. */
  job: {
    // A job of a rebuild that nobody wants any more is ended before the next one may begin.
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    startToCloseTimeout: '7 days',
    heartbeatTimeout: '15s',
    // A dead worker uses up an attempt, too; a refused copy is tried for about half a minute.
    retry: { initialInterval: '1s', backoffCoefficient: 3, maximumInterval: '10s', maximumAttempts: 5 },
  },
  /** Goes on while nothing differs. It beats every 10 s and at each change, on a task queue of its own; nothing waits for its end. */
  watching: {
    cancellationType: ActivityCancellationType.TRY_CANCEL,
    startToCloseTimeout: '365 days',
    heartbeatTimeout: '25s',
    retry: { initialInterval: '1s', backoffCoefficient: 2, maximumInterval: '15s' },
  },
  /** Told to Temporal, which may be away: one pending step with a growing interval, for days if it must. */
  untilDone: {
    startToCloseTimeout: '10s',
    heartbeatTimeout: '3s',
    retry: { initialInterval: '1s', backoffCoefficient: 1.3, maximumInterval: '15s' },
  },
};
