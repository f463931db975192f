// Copies of a cluster's data directories that can be put back, so that every round of a measurement begins alike.
// Only PostgreSQL's and pgpool's state is put back; Temporal's incidents are not, and must be closed before.
import { existsSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { restoreHost, startHost, thaw } from './faults';
import { makeDirectoryFor } from './files';
import type { Layout, NodeLayout } from './layout';
import { stopPostgres, waitForStandbys } from './postgres';
import { findPostgresProcesses, killAll, labVariable, runOrFail } from './processes';
import { readState } from './state';

/** The place of this node's data in the copies. */
export function keptDirectory(layout: Layout, name: string, node: number): string {
  return path.join(layout.directory, 'kept', name, `node${node}`);
}

/** Copies every node's data after a clean stop. pgpool must be stopped; PostgreSQL runs again afterwards. */
export async function keepData(layout: Layout, name: string): Promise<void> {
  const target = path.join(layout.directory, 'kept', name);
  const parent = path.dirname(target);
  if (!existsSync(parent)) makeDirectoryFor(layout.user, parent, 0o700);
  makeDirectoryFor(layout.user, target, 0o700);
  const standbys = layout.nodes.filter(isStandby);
  // Stop the primary first: it then sends all its WAL, so that all copies hold the same.
  for (const nodes of [layout.nodes.filter((node) => !standbys.includes(node)), standbys])
    await Promise.all(nodes.map((node) => stopPostgres(layout, node, 'fast')));
  for (const node of layout.nodes) await copy(layout, node.dataDirectory, keptDirectory(layout, name, node.id));
  await startAll(layout);
}

/**
 * Puts back the copies of keepData, whatever the nodes' state, and starts the nodes. pgpool must be stopped, and
 * forgets which nodes were down.
 */
export async function putBackData(layout: Layout, name: string): Promise<void> {
  const dropped = readState(layout.name)?.dropped ?? [];
  for (const id of dropped) await restoreHost(layout, layout.nodes[id]!);
  for (const node of layout.nodes) {
    thaw(layout, node);
    await killAll(() => findPostgresProcesses(node.directory), `node ${node.id}'s PostgreSQL`);
    // Remove also the directories of a rebuild beside it, and the socket's lock: the pid of a killed server counts as
    // alive until it is reaped.
    for (const entry of readdirSync(node.directory))
      if (entry.startsWith(path.basename(node.dataDirectory)) || entry.startsWith('.s.PGSQL.'))
        remove(path.join(node.directory, entry));
    await copy(layout, keptDirectory(layout, name, node.id), node.dataDirectory);
  }
  for (const directory of [
    path.join(layout.directory, 'saved'),
    path.join(layout.directory, 'jobs'),
    layout.hook.spool,
  ])
    for (const entry of readdirSync(directory)) remove(path.join(directory, entry));
  remove(path.join(layout.pgpool.directory, 'pgpool_status'));
  // Write to disk now, because otherwise the next measurement would pay for it.
  await runOrFail('sync', ['--file-system', layout.directory], { user: layout.user });
  await startAll(layout);
}

function isStandby({ dataDirectory }: NodeLayout): boolean {
  return existsSync(path.join(dataDirectory, 'standby.signal'));
}

async function startAll(layout: Layout): Promise<void> {
  await Promise.all(layout.nodes.map((node) => startHost(layout, node)));
  await waitForStandbys(layout, AbortSignal.timeout(60_000));
}

async function copy(layout: Layout, from: string, to: string): Promise<void> {
  const environment = { [labVariable]: layout.directory };
  await runOrFail('cp', ['-a', '--reflink=auto', from, to], { user: layout.user, environment });
}

function remove(file: string): void {
  rmSync(file, { recursive: true, force: true, maxRetries: 3 });
}
