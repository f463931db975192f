// Measures the project's cost while nothing happens, and the hook's: memory from /proc, start-up by the clock.

import { readFileSync } from 'node:fs';
import { findCommands, findProcesses, type ProcessRecord } from '../lab/processes';
import { readState } from '../lab/state';
import type { Bed } from './bed';
import { now } from './clock';
import { runFailoverRound } from './failover-round';
import { ours } from './rivals';

const lookEveryMs = 5;

/** Megabytes of resident memory of the worker and whatever it has started. */
export function readWorkerMegabytes({ lab }: Bed): number {
  const worker = readState(lab.name)?.processes['worker'];
  if (!worker) throw new Error(`lab "${lab.name}" has no worker`);
  return sumResident(findProcesses(lab.layout.worker.directory, [worker])) / 1024;
}

/** Milliseconds from starting the worker's process to the line that it says when it polls. */
export async function runWorkerStartRound({ lab }: Bed): Promise<number> {
  await lab.stopWorker();
  const startedAt = now();
  await lab.startWorker();
  return now() - startedAt;
}

/** Megabytes: the largest sum of resident memory over the hook's processes at one moment, in a failover. */
export async function runHookMemoryRound(bed: Bed): Promise<number> {
  let peak = 0;
  const timer = setInterval(() => {
    // The shells that run the hook, and their children.
    const { path } = bed.lab.layout.hook;
    const kilobytes = sumResident(findProcesses(path, findCommands(path)));
    peak = Math.max(peak, kilobytes);
  }, lookEveryMs);
  try {
    await runFailoverRound(bed, { side: ours, data: 'small', fault: 'stop-immediate', node: 0, windowMs: 4000 });
  } finally {
    clearInterval(timer);
  }
  if (peak === 0) throw new Error('the hook was never seen');
  return peak / 1024;
}

/** Kilobytes. */
function sumResident(processes: readonly ProcessRecord[]): number {
  return processes.reduce((sum, { pid }) => sum + readResident(pid), 0);
}

/** Nothing for a process that is gone. */
function readResident(pid: number): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    return Number(/^VmRSS:\s+([0-9]+) kB/m.exec(status)?.[1] ?? 0);
  } catch {
    return 0;
  }
}
