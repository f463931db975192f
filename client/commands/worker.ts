// pgpool-runbook worker: runs the worker of one or more clusters until it is told to stop.

import { loadClusterFiles } from '../cluster-files';
import { CommandFailure, type CommandResult } from '../outcome';

/**
 * Resolves after a clean shutdown. Throws ConfigurationError before anything starts, CommandFailure 3 without Temporal.
 */
export async function worker(files: readonly string[], isJson: boolean): Promise<CommandResult> {
  const clusters = loadClusterFiles(files);
  const { runWorker } = await import('../../worker/main.js');
  try {
    // With -o json stdout is for the one JSON value at the end.
    await (isJson ? runWorker(files, (line) => void process.stderr.write(`${line}\n`)) : runWorker(files));
  } catch (error) {
    if (error instanceof Error && error.name === 'WorkerSetupError') throw new CommandFailure(2, error.message);
    if (!isUnreachable(error)) throw error;
    const addresses = [...new Set(clusters.map(({ configuration }) => configuration.temporal.address))].join(', ');
    const advice = 'start it, or correct temporal.address in the cluster file';
    throw new CommandFailure(3, `cannot reach Temporal at ${addresses} (${error.message}): ${advice}`);
  }
  return { exitCode: 0, lines: [], json: { clusters: clusters.map(({ configuration }) => configuration.cluster) } };
}

/**
 * The two forms of a server that does not answer: the worker's connection throws TransportError, and the client a plain
 * Error with the text of @grpc/grpc-js (client.ts, waitForReady).
 */
function isUnreachable(error: unknown): error is Error {
  if (!(error instanceof Error)) return false;
  return error.name === 'TransportError' || error.message === 'Failed to connect before the deadline';
}
