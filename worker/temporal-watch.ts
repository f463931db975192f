// Says once when Temporal stops answering and once when it is back: without Temporal no failover is made.

export interface TemporalWatch {
  /** Resolves when the server answers. Called every everyMs. */
  readonly ping: () => Promise<unknown>;
  readonly address: string;
  readonly say: (line: string) => void;
  /** Ends the watch. */
  readonly signal: AbortSignal;
  readonly everyMs?: number;
}

/** Two misses in a row count: a server that is busy for a moment is not away. */
export async function watchTemporal({ ping, address, say, signal, everyMs = 2000 }: TemporalWatch): Promise<void> {
  let answeredAt = Date.now();
  let misses = 0;
  while (!signal.aborted) {
    if (await answers(ping)) {
      if (misses >= 2) say(`Temporal at ${address} is back after ${secondsSince(answeredAt)} s`);
      answeredAt = Date.now();
      misses = 0;
    } else if (++misses === 2) {
      const since = new Date(answeredAt).toISOString();
      say(
        `warning: Temporal at ${address} is unreachable since ${since}: until it is back no failover is made; hooks keep their events`,
      );
    }
    await pause(everyMs, signal);
  }
}

/** Resolves after `ms`, or at once when the signal aborts. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) {
      resolve();
      return;
    }
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener('abort', end);
  });
}

async function answers(ping: () => Promise<unknown>): Promise<boolean> {
  try {
    await ping();
    return true;
  } catch {
    return false;
  }
}

function secondsSince(at: number): string {
  return String(Math.round((Date.now() - at) / 1000));
}
