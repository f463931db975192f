// The time limit and the retries of each kind of activity, with the reason. The worker sends a heartbeat twice a second
// for every attempt (worker/attempt.ts), so a dead worker is noticed within heartbeatTimeout.

import { ActivityCancellationType, type ActivityOptions } from '@temporalio/workflow';
import type { Patience } from './runbooks/verbs';

/** Two attempts, then a new plan from fresh facts, because clients wait. */
const critical: ActivityOptions = {
  // Wait for the end: a fence that still acts could stop a node that the next decision keeps, or hold the lock that it
  // needs.
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
  startToCloseTimeout: '25s',
  heartbeatTimeout: '2s',
  retry: { initialInterval: '100ms', maximumAttempts: 2 },
};

/**
 * A few minutes of tries, because a node or pgpool may need some seconds more and no client waits; then a person is
 * asked.
 */
const background: ActivityOptions = {
  // Wait for the end: a cancelled follow is closed, and the next one begins, only when none of its acts runs on the
  // node.
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
  startToCloseTimeout: '2m',
  heartbeatTimeout: '2s',
  retry: { initialInterval: '500ms', backoffCoefficient: 2, maximumInterval: '10s', maximumAttempts: 4 },
};

export const patience: Readonly<Record<Patience, ActivityOptions>> = {
  /**
   * A look has no effect, so it is retried for ever, and a person sees it in Temporal Web. Whatever is silent, it ends
   * by itself after about 3 s.
   */
  reading: {
    // A newer event need not wait for an answer that is no longer needed (the SDK's default, too).
    cancellationType: ActivityCancellationType.TRY_CANCEL,
    startToCloseTimeout: '6s',
    heartbeatTimeout: '2s',
    retry: { initialInterval: '200ms', backoffCoefficient: 1.5, maximumInterval: '5s' },
  },
  critical,
  /** A candidate is waited for as long as it shows progress; a missing heartbeat shows a dead worker. */
  promotion: { ...critical, startToCloseTimeout: '1 day' },
  background,
  /** A starting server may replay for long, and shows it; the verb gives up when there is no progress. */
  startup: { ...background, startToCloseTimeout: '1 day', retry: { ...background.retry!, maximumAttempts: 2 } },
  /**
   * Copies, checks and removals of whole data directories: jobs on the node, which the next attempt finds again. They
   * may take days.
   */
  job: {
    // Wait for the end: the job of a rebuild that was given up must end before the next one begins.
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    startToCloseTimeout: '7 days',
    heartbeatTimeout: '15s',
    // Five attempts: a dead worker uses one up, and a refused copy is tried for about half a minute.
    retry: { initialInterval: '1s', backoffCoefficient: 3, maximumInterval: '10s', maximumAttempts: 5 },
  },
  /**
   * The watch goes on while nothing differs. Its heartbeat comes every 10 s and at each change, on a task queue of its
   * own; no code waits for its end.
   */
  watching: {
    cancellationType: ActivityCancellationType.TRY_CANCEL,
    startToCloseTimeout: '365 days',
    heartbeatTimeout: '25s',
    retry: { initialInterval: '1s', backoffCoefficient: 2, maximumInterval: '15s' },
  },
  /** Messages to Temporal, which may be away: one pending step with a growing interval, for days if necessary. */
  untilDone: {
    startToCloseTimeout: '10s',
    heartbeatTimeout: '3s',
    retry: { initialInterval: '1s', backoffCoefficient: 1.3, maximumInterval: '15s' },
  },
};
