// Runs the reading half of a failover on every cluster: the first runs of a fresh worker are 100 ms slower, and those must not be a failover.

import { observe } from './activity-options';

export async function warmUp(clusters: readonly string[]): Promise<void> {
  for (const cluster of clusters) {
    await observe.executeWithOptions({ summary: `look at ${cluster} once, to be quick later` }, [
      { cluster, suspect: null },
    ]);
  }
}
