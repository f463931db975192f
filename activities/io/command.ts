// Runs a configured program on the worker's own host, without a shell.

import { execFile } from 'node:child_process';

export interface LocalResult {
  /** Null when it was killed or could not be started. */
  readonly exitCode: number | null;
  readonly seen: string;
}

/** Never throws; ended by SIGKILL after timeoutMs. */
export async function runLocally(
  program: string,
  args: readonly string[],
  options: { environment: Readonly<Record<string, string>>; timeoutMs: number },
): Promise<LocalResult> {
  return await new Promise((resolve) => {
    const settings = {
      timeout: options.timeoutMs,
      killSignal: 'SIGKILL' as const,
      env: { ...process.env, ...options.environment },
    };
    execFile(program, [...args], settings, (error, _stdout, stderr) => {
      if (!error) resolve({ exitCode: 0, seen: 'exit 0' });
      else
        resolve({
          exitCode: typeof error.code === 'number' ? error.code : null,
          seen: stderr.trim().slice(0, 300) || error.message,
        });
    });
  });
}
