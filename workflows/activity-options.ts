// How long each kind of activity may take and how it is retried, with the reason. Every act heartbeats twice a second
// (activities/index.ts), so a dead worker is noticed within heartbeatTimeout.

import { ActivityCancellationType, type ActivityOptions, proxyActivities } from '@temporalio/workflow';
import type { Activities } from '../activities/index';

/** Reading has no effect: retried for ever, and a person sees it waiting in Temporal Web. It bounds itself to 2 s. */
const reading: ActivityOptions = {
  // A newer event need not wait for an answer that nobody wants any more (this is also the SDK's default).
  cancellationType: ActivityCancellationType.TRY_CANCEL,
  startToCloseTimeout: '6s',
  heartbeatTimeout: '2s',
  retry: { initialInterval: '200ms', backoffCoefficient: 1.5, maximumInterval: '5s' },
};

/** On the critical path: two attempts, then the plan is made anew from fresh facts. */
const critical: ActivityOptions = {
  // A fence that may still be acting would stop a node that the next decision keeps, or hold the lock that it needs.
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
  startToCloseTimeout: '25s',
  heartbeatTimeout: '2s',
  retry: { initialInterval: '100ms', maximumAttempts: 2 },
};

/** Two attempts as well; it waits as long as anything shows that the candidate is on its way, and a dead worker is noticed by its heartbeat. */
const promotion: ActivityOptions = { ...critical, startToCloseTimeout: '1 day' };

/** Off the critical path: a node or pgpool may need some seconds more; a few minutes of trying, then `incomplete`. */
const background: ActivityOptions = {
  // A cancelled follow is closed only when nothing of it acts on its node any more: the next one waits for that.
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
  startToCloseTimeout: '40s',
  heartbeatTimeout: '2s',
  retry: { initialInterval: '500ms', backoffCoefficient: 2, maximumInterval: '10s', maximumAttempts: 4 },
};

/** Waiting for a node that is away: one pending step with a growing interval, for days if it must. */
const untilBack: ActivityOptions = {
  startToCloseTimeout: '10s',
  heartbeatTimeout: '3s',
  retry: { initialInterval: '1s', backoffCoefficient: 1.3, maximumInterval: '15s' },
};

/** Copies, checks and removals of whole data directories: jobs on the node, to which the next attempt attaches again. They may take days. */
const job: ActivityOptions = {
  // A job of a rebuild that nobody wants any more is ended before the next one may begin.
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
  startToCloseTimeout: '7 days',
  heartbeatTimeout: '15s',
  // A dead worker uses up an attempt, too; a refused copy is tried for about half a minute.
  retry: { initialInterval: '1s', backoffCoefficient: 3, maximumInterval: '10s', maximumAttempts: 5 },
};

/** A server's way up: it may replay for long, and says so; it gives up by itself when nothing moves. */
const startup: ActivityOptions = {
  ...background,
  startToCloseTimeout: '1 day',
  retry: { ...background.retry!, maximumAttempts: 2 },
};

export const { observe } = proxyActivities<Activities>(reading);
export const { awaitRecovery, fence } = proxyActivities<Activities>(critical);
export const { promote } = proxyActivities<Activities>(promotion);
export const { confirmPrimary, attach, setSynchronousStandbys } = proxyActivities<Activities>(background);
// It waits as long as the standby's position advances.
export const { repoint } = proxyActivities<Activities>({ ...background, startToCloseTimeout: '1 day' });
export const {
  findOwnWal,
  inspectData,
  releaseSlots,
  saveConfiguration,
  stop,
  setDataAside,
  placeData,
  restoreConfiguration,
  configureStandby,
} = proxyActivities<Activities>({ ...background, startToCloseTimeout: '2m' });
export const { saveDivergedWal, saveUnarchivedWal, baseBackup, verifyBackup, removeData, clearReplacedData } =
  proxyActivities<Activities>(job);
export const { start, confirmStreaming } = proxyActivities<Activities>(startup);
export const { readReturn, signalIncident } = proxyActivities<Activities>(untilBack);
