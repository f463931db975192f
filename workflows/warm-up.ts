// Runs the reading half of a failover on every cluster: the first runs of a fresh worker are 100 ms slower, and a
// failover must not be one of them.

import { perform } from './ground';

export async function warmUp(clusters: readonly string[]): Promise<void> {
  for (const cluster of clusters) {
    await perform('observe', { cluster, suspect: null }, `look at ${cluster} once, to be quick later`);
  }
}
