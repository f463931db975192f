// Ends a lab: its processes, its packet filter rules, its shared memory, its directory, its slot; and nothing else.
import { readdirSync, rmSync, rmdirSync } from 'node:fs';
import path from 'node:path';
import { removeIpc } from './ipc';
import { baseDirectory } from './layout';
import { removeRules } from './network';
import { findProcesses, isRunning, killAll, sendSignal, type ProcessRecord } from './processes';
import { waitFor } from './wait';
import { removeSharedIfUnused } from './shared';
import { isStarting, readState, stateFileName, releaseSlot, type LabState } from './state';

/** Takes the lab down in whatever state it is. False for a lab that does not exist. */
export async function takeDown(name: string): Promise<boolean> {
  const state = readState(name);
  if (!state) return false;
  if (isStarting(state) && state.owner.pid !== process.pid) {
    throw new Error(
      `lab "${name}" is being started by process ${state.owner.pid}: interrupt that (it cleans up), or wait`,
    );
  }
  const { layout } = state;
  const pids = await stopProcesses(state);
  if (process.getuid?.() === 0) await removeRules(layout);
  await removeIpc(layout, pids);
  removeDirectory(layout.directory);
  releaseSlot(layout.slot);
  await removeSharedIfUnused();
  removeEmptyBase();
  return true;
}

/** True while anything that belongs to the lab runs. */
export function hasProcesses(state: LabState): boolean {
  return findProcesses(state.layout.directory, Object.values(state.processes)).length > 0;
}

/** Stops the lab's processes. Returns the pids of all that it had started, gone ones included. */
async function stopProcesses(state: LabState): Promise<Set<number>> {
  const { layout, processes } = state;
  const what = `the processes of lab "${layout.name}"`;
  const { worker, pgpool } = processes;
  const findAll = (): ProcessRecord[] => findProcesses(layout.directory, Object.values(processes));
  const pids = new Set([...Object.values(processes), ...findAll()].map(({ pid }) => pid));
  // Kill the worker first: it would begin to repair what we take apart.
  if (worker) sendSignal(worker, 'SIGKILL');
  await killAll(() => findOthers(state), what);
  if (pgpool) await stopPgpoolGently(pgpool);
  for (const { pid } of findAll()) pids.add(pid);
  await killAll(findAll, what);
  return pids;
}

/** Every process but pgpool, which removes its shared memory and semaphores only at a clean end. */
function findOthers({ layout, processes }: LabState): ProcessRecord[] {
  const own = processes['pgpool'] ? findProcesses(layout.pgpool.directory, [processes['pgpool']]) : [];
  const kept = new Set(own.map(({ pid }) => pid));
  return findProcesses(layout.directory, Object.values(processes)).filter(({ pid }) => !kept.has(pid));
}

async function stopPgpoolGently(record: ProcessRecord): Promise<void> {
  sendSignal(record, 'SIGCONT');
  sendSignal(record, 'SIGINT');
  // pgpool may hang in a failover command or a search for a primary; then it is killed.
  await waitFor(() => !isRunning(record), { what: 'pgpool to end', timeoutMs: 5000 }).catch(() => undefined);
}

/** Removes lab.json last: an interrupted removal leaves a lab that can be taken down. */
function removeDirectory(directory: string): void {
  const remove = { recursive: true, force: true, maxRetries: 3 };
  for (const name of readdirSync(directory)) if (name !== stateFileName) rmSync(path.join(directory, name), remove);
  rmSync(directory, remove);
}

function removeEmptyBase(): void {
  for (const directory of [path.join(baseDirectory(), '.locks'), baseDirectory()]) {
    try {
      rmdirSync(directory);
    } catch {
      // The directory is in use by another lab.
    }
  }
}
