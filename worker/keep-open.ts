// Keeps the workflow `cluster` of every cluster running: without it nobody watches, and no maintenance expires. It ends where a person
// terminates it, or where a worker of another version took one of its tasks.

import type { Client } from '@temporalio/client';
import type { ClusterConfiguration } from '../domain/facts/cluster';
import { ensureCluster } from './record';
import { pause } from './temporal-watch';

export interface KeepOpen {
  readonly client: Client;
  readonly configurations: readonly ClusterConfiguration[];
  readonly say: (line: string) => void;
  /** Aborts when the worker ends. */
  readonly signal: AbortSignal;
  readonly everyMs?: number;
}

/** Looks until the worker ends. A Temporal that does not answer is told of elsewhere. */
export async function keepOpen({ client, configurations, say, signal, everyMs = 30_000 }: KeepOpen): Promise<void> {
  await pause(everyMs, signal);
  while (!signal.aborted) {
    for (const configuration of configurations) {
      const isStarted = await ensureCluster(client, configuration).catch(() => false);
      if (isStarted)
        say(`${configuration.cluster}: the workflow of its record and watch had ended: it is started again`);
    }
    await pause(everyMs, signal);
  }
}
