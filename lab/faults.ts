// Faults of a node: stopped, killed, vanished, frozen, and back again. Each function does only what its name says.
import type { Layout, NodeLayout } from './layout';
import { dropPackets, passPackets } from './network';
import { readPostmaster, startPostgres, stopPostgres } from './postgres';
import {
  findCommands,
  findPostgresProcesses,
  findProcesses,
  isRunning,
  killAll,
  sendSignal,
  type ProcessRecord,
} from './processes';
import { waitFor } from './wait';
import { startSshd } from './sshd';
import { readState, updateState } from './state';

/** The article's failure: `pg_ctl -m immediate stop`. */
export async function stopImmediate(layout: Layout, node: NodeLayout): Promise<void> {
  await stopPostgres(layout, node, 'immediate');
}

/** kill -9 of the postmaster alone: its backends go on committing until they notice. */
export async function killPostgres(node: NodeLayout): Promise<void> {
  const postmaster = requirePostmaster(node);
  sendSignal(postmaster, 'SIGKILL');
  await waitFor(() => !isRunning(postmaster), {
    what: `the end of node ${node.id}'s postmaster`,
    timeoutMs: 5000,
  });
}

/** SIGKILL for every process of the node's host: sshd, its sessions and their children, postmaster, backends. */
export async function killHost(layout: Layout, node: NodeLayout): Promise<void> {
  await killAll(() => findHostProcesses(layout, node), `the processes of node ${node.id}`);
}

/** Boots the host: sshd, and PostgreSQL in its present state. */
export async function startHost(layout: Layout, node: NodeLayout): Promise<void> {
  await Promise.all([
    isRunning(recordedSshd(layout, node)) ? undefined : startSshd(layout, node),
    readPostmaster(node) ? undefined : start(layout, node),
  ]);
}

/** Starts PostgreSQL in its present state, standby or primary. */
export async function start(layout: Layout, node: NodeLayout): Promise<void> {
  await startPostgres(layout, node);
}

export interface FreezeOptions {
  /** Freeze sshd and its sessions, too: the whole host hangs. Default false: only PostgreSQL hangs. */
  readonly withSsh?: boolean;
}

/** SIGSTOP for the postmaster and all its processes: the port still accepts connections, but no process answers. */
export async function freeze(layout: Layout, node: NodeLayout, options: FreezeOptions = {}): Promise<void> {
  requirePostmaster(node);
  const frozen = new Set<number>();
  await waitFor(
    () => {
      // Two equal lists in a row prove that no process was forked between listing and stopping.
      const found = findFreezable(layout, node, options).filter(({ pid }) => !frozen.has(pid));
      for (const record of found) if (sendSignal(record, 'SIGSTOP')) frozen.add(record.pid);
      return found.length === 0;
    },
    { what: `node ${node.id} to freeze`, timeoutMs: 5000, intervalMs: 1 },
  );
}

/** SIGCONT for everything on the host. */
export function thaw(layout: Layout, node: NodeLayout): void {
  for (const record of findHostProcesses(layout, node)) sendSignal(record, 'SIGCONT');
}

/**
 * As root: takes the host off the network, so that every request to it times out. The WAL receiver calls from
 * 127.0.0.1, like every client on this machine, and is stopped instead.
 */
export async function dropHost(layout: Layout, node: NodeLayout): Promise<void> {
  await dropPackets(layout, node);
  for (const record of findWalReceivers(node)) sendSignal(record, 'SIGSTOP');
  updateState(layout.name, ({ dropped }) => ({ dropped: [...new Set([...dropped, node.id])] }));
}

export async function restoreHost(layout: Layout, node: NodeLayout): Promise<void> {
  await passPackets(layout, node);
  for (const record of findWalReceivers(node)) sendSignal(record, 'SIGCONT');
  updateState(layout.name, ({ dropped }) => ({ dropped: dropped.filter((id) => id !== node.id) }));
}

function findWalReceivers(node: NodeLayout): ProcessRecord[] {
  const receivers = findCommands('walreceiver').map(({ pid }) => pid);
  return findPostgresProcesses(node.directory).filter(({ pid }) => receivers.includes(pid));
}

function recordedSshd(layout: Layout, node: NodeLayout): ProcessRecord | undefined {
  return readState(layout.name)?.processes[`sshd${node.id}`];
}

function findHostProcesses(layout: Layout, node: NodeLayout): ProcessRecord[] {
  const sshd = recordedSshd(layout, node);
  return findProcesses(node.directory, sshd ? [sshd] : []);
}

function findFreezable(layout: Layout, node: NodeLayout, options: FreezeOptions): ProcessRecord[] {
  return options.withSsh === true ? findHostProcesses(layout, node) : findPostgresProcesses(node.directory);
}

function requirePostmaster(node: NodeLayout): ProcessRecord {
  const postmaster = readPostmaster(node);
  if (!postmaster) throw new Error(`node ${node.id}: PostgreSQL does not run`);
  return postmaster;
}
