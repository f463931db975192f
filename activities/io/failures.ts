// The one place where an activity's failure is made: a closed set of types, classified by code, never by text.

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

export type FailureType = (typeof failureTypes)[keyof typeof failureTypes];

/** The end of an activity that did not reach its goal. The runner of the activity decides about the next attempt. */
export class Failure extends Error {
  override readonly name = 'Failure';
  /** Facts about the failure that the workflow needs. */
  readonly details: unknown;
  /** Repeating cannot change the answer. */
  readonly isFinal: boolean;

  constructor(
    readonly type: FailureType,
    message: string,
    more: { cause?: unknown; details?: unknown; isFinal?: boolean } = {},
  ) {
    super(message, more.cause instanceof Error ? { cause: more.cause } : undefined);
    this.details = more.details ?? null;
    this.isFinal = more.isFinal ?? false;
  }
}

/** Retryable unless the type says that repeating cannot change the answer. */
export function failure(type: keyof typeof failureTypes, message: string, cause?: unknown): Failure {
  const isFinal = type === 'configuration' || type === 'worldChanged' || type === 'walMissing';
  return new Failure(failureTypes[type], message, { isFinal, cause });
}

/** The same failure with what the workflow has to know of it; `isFinal` = it is not retried by itself. */
export function withDetails(error: unknown, details: unknown, isFinal: boolean): Failure {
  const known = error instanceof Failure ? error : failure('unreachable', messageOf(error));
  return new Failure(known.type, known.message, { details, isFinal: known.isFinal || isFinal });
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
