// pgpool-runbook check: are these cluster files valid? One line per cluster.

import { loadClusterFiles } from '../cluster-files';
import type { CommandResult } from '../outcome';

/** Throws ConfigurationError with every problem of every file. */
export function check(files: readonly string[]): CommandResult {
  const clusters = loadClusterFiles(files).map(({ file, configuration: { cluster, nodes, pgpool } }) => {
    return { cluster, file, nodes: nodes.map((node) => node.id), pgpool: pgpool.map((one) => one.name) };
  });
  const lines = clusters.map(({ cluster, file, nodes, pgpool }) => {
    return `${file}: cluster ${cluster} is valid (nodes ${nodes.join(', ')}; pgpool ${pgpool.join(', ')})`;
  });
  return { exitCode: 0, lines, json: { clusters } };
}
