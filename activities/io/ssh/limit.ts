// The end of one run's time, or of its caller's interest, as something that promises can be raced against.
// A limit holds a timer: clear() must follow.

/** The reason with which a limit ends when nobody aborted it. */
export class TimeOver extends Error {}

/** The end of one run's time, or of its caller's interest. */
export class Limit {
  private readonly controller = new AbortController();
  private readonly endsAt: number;
  private readonly timer: NodeJS.Timeout;
  private readonly forward = (): void => {
    this.controller.abort(this.outer?.reason);
  };

  constructor(
    readonly timeoutMs: number,
    private readonly outer?: AbortSignal,
  ) {
    this.endsAt = performance.now() + timeoutMs;
    this.timer = setTimeout(() => {
      this.controller.abort(new TimeOver());
    }, timeoutMs);
    outer?.addEventListener('abort', this.forward);
  }

  get isTimeOver(): boolean {
    return this.controller.signal.reason instanceof TimeOver;
  }

  get isOver(): boolean {
    return this.controller.signal.aborted;
  }

  remainingMs(): number {
    return Math.max(1, this.endsAt - performance.now());
  }

  /** `promise`, or a rejection as soon as the limit is over: with TimeOver, or with the caller's reason. */
  async race<T>(promise: Promise<T>): Promise<T> {
    const { signal } = this.controller;
    signal.throwIfAborted();
    let onAbort = (): void => undefined;
    const aborted = new Promise<never>((_, reject) => {
      onAbort = () => {
        reject(signal.reason as Error);
      };
      signal.addEventListener('abort', onAbort);
    });
    return Promise.race([promise, aborted]).finally(() => {
      signal.removeEventListener('abort', onAbort);
    });
  }

  clear(): void {
    clearTimeout(this.timer);
    this.outer?.removeEventListener('abort', this.forward);
  }
}
