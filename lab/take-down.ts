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

/** Takes the lab down whatever state it is in. Says nothing about a lab that does not exist: false then. */
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

/** Returns the pids of all that was stopped, or had been started and was gone already. */
async function stopProcesses(state: LabState): Promise<Set<number>> {
  const { layout, processes } = state;
  const what = `the processes of lab "${layout.name}"`;
  const { worker, pgpool } = processes;
  const findAll = (): ProcessRecord[] => findProcesses(layout.directory, Object.values(processes));
  const pids = new Set([...Object.values(processes), ...findAll()].map(({ pid }) => pid));
  // The worker first and at once: it would begin to repair what we take apart.
  if (worker) sendSignal(worker, 'SIGKILL');
  await killAll(() => findOthers(state), what);
  if (pgpool) await stopPgpoolGently(pgpool);
  for (const { pid } of findAll()) pids.add(pid);
  await killAll(findAll, what);
  return pids;
}

/** Everything but pgpool, which removes its shared memory and semaphores only when it ends by itself. */
function findOthers({ layout, processes }: LabState): ProcessRecord[] {
  const own = processes['pgpool'] ? findProcesses(layout.pgpool.directory, [processes['pgpool']]) : [];
  const kept = new Set(own.map(({ pid }) => pid));
  return findProcesses(layout.directory, Object.values(processes)).filter(({ pid }) => !kept.has(pid));
}

async function stopPgpoolGently(record: ProcessRecord): Promise<void> {
  sendSignal(record, 'SIGCONT');
  sendSignal(record, 'SIGINT');
  // It may sit in a failover command or a search for a primary; then it is killed.
  await waitFor(() => !isRunning(record), { what: 'pgpool to end', timeoutMs: 5000 }).catch(() => undefined);
}

/** lab.json last: whoever is killed in the middle of this leaves a lab that can be taken down. */
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
      // Another lab uses it.
    }
  }
}
