// A part of the lab that runs until it is stopped: started, kept in lab.json, awaited until it serves.
import { existsSync, readFileSync, statSync } from 'node:fs';
import type { Layout } from './layout';
import { isRunning, labVariable, startDetached } from './processes';
import { recordAs } from './state';
import { waitFor } from './wait';

export interface DaemonPlan {
  /** The daemon's name in lab.json and in error messages. */
  readonly key: string;
  readonly command: string;
  readonly argv: readonly string[];
  /** Marks the daemon and what it starts as belonging to this directory of the lab. */
  readonly directory: string;
  readonly logFile: string;
  /** Does the daemon serve? `said` is its log since its start. */
  readonly isReady: (said: string) => boolean | Promise<boolean>;
  readonly timeoutMs: number;
}

/** Rejects when the daemon ends or does not serve in time; the error quotes the end of its log. */
export async function startDaemon(layout: Layout, plan: DaemonPlan, signal?: AbortSignal): Promise<void> {
  const { key, command, argv, directory, logFile, timeoutMs } = plan;
  const logged = existsSync(logFile) ? statSync(logFile).size : 0;
  const readSaid = (): string => readFileSync(logFile).subarray(logged).toString();
  const record = await startDetached(command, argv, {
    user: layout.user,
    environment: { [labVariable]: directory },
    directory,
    logFile,
    record: recordAs(layout, key),
    ...(signal && { signal }),
  });
  const progress = { hasEnded: false };
  try {
    await waitFor(
      async () => {
        progress.hasEnded = !isRunning(record);
        return progress.hasEnded || plan.isReady(readSaid());
      },
      { what: `${key} to serve`, timeoutMs, ...(signal && { signal }) },
    );
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Error(`${(error as Error).message}\n${quote(logFile, readSaid())}`, { cause: error });
  }
  if (progress.hasEnded) throw new Error(`${key} ended instead of serving\n${quote(logFile, readSaid())}`);
}

function quote(logFile: string, said: string): string {
  return said.trim() === '' ? `${logFile}: nothing` : `${logFile}: … ${said.trim().slice(-1500)}`;
}
