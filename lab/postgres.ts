// The lab's PostgreSQL nodes: creates a primary by initdb and standbys by pg_basebackup, and starts, stops and queries
// them.
import { readFileSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { Client, type ClientConfig } from 'pg';
import { startDaemon } from './daemon';
import { writeFor } from './files';
import { users, type Layout, type NodeLayout } from './layout';
import { labVariable, readRecord, runOrFail, type ProcessRecord } from './processes';
import { waitFor } from './wait';
import { readSuperuserPassword, type Passwords } from './secrets';

const settingsMark = '# --- pgpool-runbook lab: this node ---';

function formatSettings(node: NodeLayout): string {
  return `${settingsMark}
listen_addresses = '${node.host}'
port = ${node.port}
cluster_name = 'node${node.id}'
unix_socket_directories = '${node.directory}'
wal_level = replica
wal_log_hints = on
wal_keep_size = 256MB
# Two for each base backup, and all standbys are made at once.
max_wal_senders = 40
max_replication_slots = 10
hot_standby = on
max_connections = 100
shared_buffers = 32MB
password_encryption = 'scram-sha-256'
log_line_prefix = '%m [%p] '
# In the data directory, so that even a killed server leaves nothing in /dev/shm.
dynamic_shared_memory_type = mmap
`;
}

const accessRules = `local all all scram-sha-256
host all all 127.0.0.0/8 scram-sha-256
host replication all 127.0.0.0/8 scram-sha-256
`;

/** The superuser's connection to a node or pgpool; it gives up on a silent host. */
export function connectionTo(layout: Layout, server: { host: string; port: number }): ClientConfig {
  const { host, port } = server;
  const password = readSuperuserPassword(layout);
  return {
    host,
    port,
    user: users.superuser,
    password,
    database: 'postgres',
    connectionTimeoutMillis: 3000,
    query_timeout: 5000,
  };
}

/** Runs one query on a connection of its own; rejects on a silent server after 5 s at most. */
export async function query(
  layout: Layout,
  server: { host: string; port: number },
  text: string,
): Promise<Record<string, unknown>[]> {
  const client = new Client(connectionTo(layout, server));
  // A server that dies while we disconnect emits an error, which would end the process without a listener.
  client.on('error', () => undefined);
  try {
    await client.connect();
    return (await client.query<Record<string, unknown>>(text)).rows;
  } finally {
    void client.end().catch(() => undefined);
  }
}

/** Initialises and starts node 0, with checksums and the replication user. */
export async function createPrimary(layout: Layout, passwords: Passwords, signal: AbortSignal): Promise<void> {
  const node = getNodeLayout(layout, 0);
  const { user } = layout;
  const passwordFile = path.join(node.directory, '.initdb-password');
  writeFor(user, passwordFile, `${passwords.superuser}\n`);
  const argv = ['-D', node.dataDirectory, '-U', users.superuser, '--auth=scram-sha-256', `--pwfile=${passwordFile}`];
  argv.push('--data-checksums', '--no-sync', '--encoding=UTF8', '--locale=C');
  try {
    await runOrFail(postgresBinary(layout, 'initdb'), argv, {
      user,
      signal,
      environment: { [labVariable]: node.directory },
    });
  } finally {
    rmSync(passwordFile, { force: true });
  }
  writeSettings(layout, node);
  writeFor(user, path.join(node.dataDirectory, 'pg_hba.conf'), accessRules);
  await startPostgres(layout, node, signal);
  const verb = `CREATE ROLE ${users.replication} REPLICATION LOGIN PASSWORD`;
  await query(layout, node, `${verb} '${passwords.replication}'`);
}

/** Clones node 0, as `pg_basebackup -R` does it, and starts the standby. */
export async function createStandby(layout: Layout, node: NodeLayout, signal: AbortSignal): Promise<void> {
  const primary = getNodeLayout(layout, 0);
  // The host is spelled as in pgpool.conf: with detach_false_primary, pgpool compares the two as text.
  const source = [
    `host=${primary.host}`,
    `port=${primary.port}`,
    `user=${users.replication}`,
    `application_name=node${node.id}`,
    `passfile=${layout.worker.passFile}`,
  ].join(' ');
  const argv = ['-D', node.dataDirectory, '-d', source, '-R', '-c', 'fast', '-X', 'stream', '--no-sync', '-w'];
  await runOrFail(postgresBinary(layout, 'pg_basebackup'), argv, {
    user: layout.user,
    signal,
    environment: { [labVariable]: node.directory },
  });
  writeSettings(layout, node);
  return startPostgres(layout, node, signal);
}

function writeSettings(layout: Layout, node: NodeLayout): void {
  const file = path.join(node.dataDirectory, 'postgresql.conf');
  const own = readFileSync(file, 'utf8').split(settingsMark)[0] ?? '';
  writeFor(layout.user, file, own + formatSettings(node));
}

/** Starts the node in its present state (standby or primary) and waits until it answers a query. */
export async function startPostgres(layout: Layout, node: NodeLayout, signal?: AbortSignal): Promise<void> {
  if (readPostmaster(node)) throw new Error(`node ${node.id}: PostgreSQL runs already`);
  const plan = {
    key: `postgres${node.id}`,
    command: postgresBinary(layout, 'postgres'),
    argv: ['-D', node.dataDirectory],
    directory: node.directory,
    logFile: node.logFile,
    isReady: async () => (await query(layout, node, 'SELECT 1')).length === 1,
    timeoutMs: 30_000,
  };
  await startDaemon(layout, plan, signal);
}

/** The running postmaster, by whatever program it was started; null when the pid file is missing or stale. */
export function readPostmaster(node: NodeLayout): ProcessRecord | null {
  try {
    const file = path.join(node.dataDirectory, 'postmaster.pid');
    const pid = Number(readFileSync(file, 'utf8').split('\n')[0]);
    const record = readRecord(pid);
    // Another program may have the pid by now; a postmaster works in its data directory.
    const [works, data] = [statSync(`/proc/${pid}/cwd`), statSync(node.dataDirectory)];
    return record && works.ino === data.ino && works.dev === data.dev ? record : null;
  } catch {
    return null;
  }
}

/** `pg_ctl stop` in the given mode, to its end. */
export async function stopPostgres(layout: Layout, node: NodeLayout, mode: 'immediate' | 'fast'): Promise<void> {
  await runOrFail(postgresBinary(layout, 'pg_ctl'), ['stop', '-D', node.dataDirectory, '-m', mode, '-w', '-t', '30'], {
    user: layout.user,
  });
}

/** Waits until every standby streams from node 0. */
export async function waitForStandbys(layout: Layout, signal: AbortSignal): Promise<void> {
  const wanted = layout.nodes.length - 1;
  const primary = getNodeLayout(layout, 0);
  const text = `SELECT count(*)::int AS n FROM pg_stat_replication WHERE state = 'streaming'`;
  await waitFor(async () => (await query(layout, primary, text))[0]?.['n'] === wanted, {
    what: `${wanted} standbys to stream`,
    timeoutMs: 30_000,
    signal,
  });
}

export function getNodeLayout(layout: Layout, id: number): NodeLayout {
  const node = layout.nodes[id];
  if (!node) throw new Error(`lab "${layout.name}" has no node ${id}: it has 0-${layout.nodes.length - 1}`);
  return node;
}

function postgresBinary(layout: Layout, name: string): string {
  return path.join(layout.tools.postgresBin, name);
}
