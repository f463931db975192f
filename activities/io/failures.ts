// The one place where a failure becomes an ApplicationFailure: a closed set of types, classified by code, never by text.

import { ApplicationFailure, ApplicationFailureCategory } from '@temporalio/common';

export const failureTypes = {
  /** The cluster file or the worker's set-up is wrong: retrying cannot help. */
  configuration: 'Configuration',
  /** The world is not as the plan assumed: plan again, do not retry. */
  worldChanged: 'WorldChanged',
  /** The standby needs WAL that the primary no longer has: only a rebuild helps. */
  walMissing: 'WalMissing',
  /** Acted, but the proof did not appear in time: may be retried. */
  unproven: 'Unproven',
  /** A node, pgpool or Temporal could not be reached: may be retried. */
  unreachable: 'Unreachable',
} as const;

/** Retryable unless the type says that repeating cannot change the answer. */
export function failure(type: keyof typeof failureTypes, message: string, cause?: unknown): ApplicationFailure {
  return ApplicationFailure.create({
    type: failureTypes[type],
    message,
    nonRetryable: type === 'configuration' || type === 'worldChanged' || type === 'walMissing',
    ...(cause instanceof Error && { cause }),
  });
}

/** The same failure with what the workflow has to know of it; `isFinal` = it is not retried by itself. */
export function withDetails(error: unknown, details: unknown, isFinal: boolean): ApplicationFailure {
  const known = error instanceof ApplicationFailure ? error : failure('unreachable', messageOf(error));
  return ApplicationFailure.create({
    ...(known.type && { type: known.type }),
    message: known.message,
    nonRetryable: known.nonRetryable === true || isFinal,
    details: [details],
  });
}

/** "Not yet": retried quietly, because waiting is the activity's whole purpose. */
export function notYet(message: string): ApplicationFailure {
  return ApplicationFailure.create({
    type: failureTypes.unreachable,
    message,
    category: ApplicationFailureCategory.BENIGN,
  });
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
