// Cluster files as the command line names them: all are read before any is used, so that one run shows every problem.

import { ConfigurationError, loadClusterFile } from '../configuration/load';
import type { ClusterConfiguration } from '../domain/facts/cluster';

export interface ClusterFile {
  readonly file: string;
  readonly configuration: ClusterConfiguration;
}

/** Throws one ConfigurationError with the problems of all files; one cluster in two files is a problem, too. */
export function loadClusterFiles(files: readonly string[]): ClusterFile[] {
  const loaded: ClusterFile[] = [];
  const problems: string[] = [];
  for (const file of files) {
    try {
      const configuration = loadClusterFile(file);
      const { cluster } = configuration;
      const other = loaded.find((one) => one.configuration.cluster === cluster);
      if (other)
        problems.push(
          `${file}:1: cluster ${cluster} is already in ${other.file}: give it another name, or pass one of the files`,
        );
      loaded.push({ file, configuration });
    } catch (error) {
      if (!(error instanceof ConfigurationError)) throw error;
      problems.push(...error.problems);
    }
  }
  if (problems.length > 0) throw new ConfigurationError(problems);
  return loaded;
}
