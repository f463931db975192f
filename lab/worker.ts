// The lab's worker: the product itself, as a user would run it.
import path from 'node:path';
import { startDaemon } from './daemon';
import type { Layout } from './layout';
import { usableClone, usablePath } from './shared';

/** Starts the worker and waits until it says that it is ready. `from` is another build that the lab's user can read. */
export async function startWorker(layout: Layout, signal?: AbortSignal, from?: string): Promise<void> {
  const { directory } = layout.worker;
  const [node, clone] = [await usablePath(layout, process.execPath), from ?? (await usableClone(layout))];
  const plan = {
    key: 'worker',
    command: node,
    argv: [path.join(clone, 'client', 'pgpool-runbook.js'), 'worker', '--config', layout.clusterFile],
    directory,
    logFile: path.join(directory, 'worker.log'),
    isReady: (said: string) => /^worker ready/m.test(said),
    timeoutMs: 60_000,
  };
  await startDaemon(layout, plan, signal);
}
