// One attempt of an activity, as it knows itself: who acts, how long it may, whether anybody still waits for it. Whoever runs it hands it in.

/** Thrown inside an attempt that nobody waits for any more. */
export class Cancelled extends Error {
  override readonly name = 'Cancelled';

  constructor() {
    super('cancelled: nobody waits for this attempt any more');
  }
}

export interface Attempt {
  /** For the next one who finds a lock taken: "fence, run 0a1b2c3d of pgpool-shop". */
  readonly actor: string;
  /** An attempt before this one may have died after it had acted. */
  readonly isRepeated: boolean;
  /** When this attempt was ordered, in milliseconds since 1970 by Temporal's clock. */
  readonly orderedAt: number;
  /** Nobody waits for a result after this moment by the worker's clock, in milliseconds since 1970; null = no bound. */
  readonly deadline: number | null;
  /** The last words of an attempt before this one; undefined = nothing. */
  readonly earlier: unknown;
  /** Aborted once nobody waits for this attempt: it was cancelled or has timed out, or the worker shuts down. */
  readonly signal: AbortSignal;
  /** Somebody asked for the end: what was begun is cleaned up. A timeout or a shutdown leaves it to the next attempt. */
  isCancelRequested(): boolean;
  /** Shows how far it is, to people and to the next attempt. The heartbeat itself is the runner's. */
  tell(progress: unknown): void;
  /** @throws Cancelled */
  sleep(ms: number): Promise<void>;
  /** Milliseconds since 1970. */
  now(): number;
}

/** @throws Cancelled */
export function throwIfCancelled({ signal }: Attempt): void {
  if (signal.aborted) throw new Cancelled();
}
