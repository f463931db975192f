// Builds a lab, in parallel where parts are independent; after a failure takes down what was started.
import path from 'node:path';
import { loadClusterFile } from '../configuration/load';
import { findTools } from './tools';
import { writeClusterFile } from './cluster-file';
import { makeDirectoryFor } from './files';
import { labDirectory, planLayout, type Layout } from './layout';
import { proveHookStarts, startPgpool, writePgpoolFiles } from './pgpool';
import { createPrimary, createStandby, waitForStandbys } from './postgres';
import { createPasswords } from './secrets';
import { createSsh, startSshd } from './sshd';
import { claimSlot, createState, isStarting, readState, releaseSlot, updateState } from './state';
import { hasProcesses, takeDown } from './take-down';
import { startTemporal } from './temporal';
import { startWorker } from './worker';

export interface LabOptions {
  /** 2-16; default 3. Node 0 is the first primary. */
  readonly nodes?: number;
  /** Default `default`. */
  readonly name?: string;
  /** Default true. */
  readonly withWorker?: boolean;
  /** Called with one line for each act. */
  readonly onProgress?: (line: string) => void;
}

/** Returns the layout of a lab in which every part answers. */
export async function build(options: LabOptions): Promise<Layout> {
  const name = options.name ?? 'default';
  const nodeCount = options.nodes ?? 3;
  if (!Number.isInteger(nodeCount) || nodeCount < 2 || nodeCount > 16) {
    throw new Error(`a lab has 2-16 nodes, not ${nodeCount}`);
  }
  labDirectory(name);
  const tools = findTools();
  await removeLeftovers(name);
  const slot = claimSlot(name);
  let layout: Layout;
  try {
    layout = planLayout(name, slot, nodeCount, tools);
    createState(layout);
  } catch (error) {
    releaseSlot(slot);
    throw error;
  }
  const interruption = catchInterruption();
  try {
    await startEverything(layout, options, interruption.signal);
    interruption.signal.throwIfAborted();
    updateState(name, () => ({ phase: 'up' }));
    return layout;
  } catch (error) {
    await takeDown(name);
    throw interruption.signal.aborted ? interruption.signal.reason : error;
  } finally {
    interruption.release();
  }
}

/** Removes a lab without processes (after a reboot, say); a lab that runs is an error. */
async function removeLeftovers(name: string): Promise<void> {
  const state = readState(name);
  if (!state) return;
  if (isStarting(state) || hasProcesses(state)) {
    throw new Error(
      `lab "${name}" is up already (${state.layout.directory}): take it down with npm run lab -- down --name ${name}`,
    );
  }
  await takeDown(name);
}

/** Turns SIGINT, SIGTERM and SIGHUP into an aborted signal until released. */
function catchInterruption(): { signal: AbortSignal; release: () => void } {
  const controller = new AbortController();
  const handlers = (['SIGINT', 'SIGTERM', 'SIGHUP'] as const).map((name) => {
    const handler = (): void => {
      controller.abort(new Error(`interrupted by ${name}; what the lab had started was taken down`));
    };
    process.on(name, handler);
    return () => process.off(name, handler);
  });
  return {
    signal: controller.signal,
    release: () => {
      for (const remove of handlers) remove();
    },
  };
}

type Part = (signal: AbortSignal) => Promise<void>;

/** Runs the parts in parallel. A part's failure stops the others; the rejection comes when all have ended. */
async function inParallel(outer: AbortSignal, parts: readonly Part[]): Promise<void> {
  const failure = new AbortController();
  const signal = AbortSignal.any([outer, failure.signal]);
  await Promise.all(
    parts.map((part) =>
      part(signal).catch((error: unknown) => {
        failure.abort(error);
      }),
    ),
  );
  signal.throwIfAborted();
}

async function startEverything(layout: Layout, options: LabOptions, outer: AbortSignal): Promise<void> {
  const tell = options.onProgress ?? (() => undefined);
  tell(`${layout.nodes.length} nodes, Temporal`);
  await inParallel(outer, [(signal) => startNodes(layout, signal), (signal) => startTemporalPart(layout, signal)]);
  tell(options.withWorker === false ? 'pgpool' : 'pgpool, worker');
  const parts: Part[] = [(signal) => startPgpool(layout, signal), () => proveHookStarts(layout)];
  if (options.withWorker !== false) parts.push((signal) => startWorker(layout, signal));
  await inParallel(outer, parts);
}

async function startTemporalPart(layout: Layout, signal: AbortSignal): Promise<void> {
  makeDirectoryFor(layout.user, layout.temporal.directory);
  await startTemporal(layout, signal);
}

async function startNodes(layout: Layout, outer: AbortSignal): Promise<void> {
  const { user, nodes, directory } = layout;
  for (const part of [layout.worker, layout.pgpool, ...nodes]) makeDirectoryFor(user, part.directory);
  for (const name of ['saved', 'jobs']) makeDirectoryFor(user, path.join(directory, name), 0o700);
  const passwords = createPasswords(layout);
  writeClusterFile(layout);
  writePgpoolFiles(layout, loadClusterFile(layout.clusterFile));
  const startEverySshd: Part = async (signal) => {
    await createSsh(layout, signal);
    await inParallel(
      signal,
      nodes.map((node) => (inner) => startSshd(layout, node, inner)),
    );
  };
  const startEveryPostgres: Part = async (signal) => {
    await createPrimary(layout, passwords, signal);
    await inParallel(
      signal,
      nodes.slice(1).map((node) => (inner) => createStandby(layout, node, inner)),
    );
    await waitForStandbys(layout, signal);
  };
  await inParallel(outer, [startEverySshd, startEveryPostgres]);
}
