// The lab's pgpool: the generated pgpool.conf as users get it, plus the settings of this machine (addresses,
// directories, sizes).
import { chmodSync, copyFileSync, existsSync } from 'node:fs';
import path from 'node:path';
import type { ClusterConfiguration } from '../domain/facts/cluster';
import { formatHookConf, formatPgpoolConf } from '../domain/texts/pgpool-conf';
import { httpAddress } from './temporal';
import { startDaemon } from './daemon';
import { makeDirectoryFor, writeFor } from './files';
import type { Layout } from './layout';
import { query } from './postgres';
import { run } from './processes';
import { findCloneRoot } from './tools';

function formatOwnLines(layout: Layout): string {
  const { host, port, pcpPort, directory } = layout.pgpool;
  return `
# This lab's own lines
listen_addresses = '${host}'
port = ${port}
${socketKey(layout.tools.versions.pgpool)} = '${directory}'
pcp_listen_addresses = '${host}'
pcp_port = ${pcpPort}
pcp_socket_dir = '${directory}'
pid_file_name = '${directory}/pgpool.pid'
logdir = '${directory}'
work_dir = '${directory}'
max_pool = 2
enable_pool_hba = on
pool_passwd = 'pool_passwd'
${forEachNode(layout, 'health_check_period', 1)}
${forEachNode(layout, 'health_check_timeout', 2)}
${forEachNode(layout, 'health_check_max_retries', 0)}
sr_check_period = 1
log_line_prefix = '%m: pid %p: '
`;
}

/** Each setting also in its form for one node, which the generated text has and which wins. */
function forEachNode(layout: Layout, name: string, value: number): string {
  return ['', ...layout.nodes.map(({ id }) => String(id))].map((node) => `${name}${node} = ${value}`).join('\n');
}

/** Writes pgpool.conf and pool_hba.conf, and installs the hook beside them. */
export function writePgpoolFiles(layout: Layout, configuration: ClusterConfiguration): void {
  const { user, pgpool, hook } = layout;
  writePgpoolConf(layout, configuration);
  const rules = 'local all all scram-sha-256\nhost all all 127.0.0.0/8 scram-sha-256\n';
  writeFor(user, path.join(pgpool.directory, 'pool_hba.conf'), rules);
  makeDirectoryFor(user, hook.spool, 0o700);
  makeDirectoryFor(user, path.dirname(hook.path));
  copyFileSync(path.join(findCloneRoot(), 'client', 'hook.sh'), hook.path);
  chmodSync(hook.path, 0o755);
  const { spool } = hook;
  writeFor(user, hook.conf, formatHookConf(configuration, { temporalHttp: httpAddress(layout), spool }));
}

/** pgpool.conf; `lines` come last, and the last value of a parameter wins. */
export function writePgpoolConf(layout: Layout, configuration: ClusterConfiguration, lines = ''): void {
  const { user, pgpool, hook } = layout;
  const generated = formatPgpoolConf(configuration, {
    hookPath: hook.path,
    hookConfPath: hook.conf,
    pgpoolName: 'pgpool0',
    site: '',
  });
  writeFor(user, path.join(pgpool.directory, 'pgpool.conf'), generated + formatOwnLines(layout) + lines);
}

/**
 * Runs the hook once as pgpool will, because pgpool says nothing when its hook cannot start. Delivering an empty spool
 * does nothing, and proves that the hook starts, reads its hook.conf and may use its spool.
 */
export async function proveHookStarts(layout: Layout): Promise<void> {
  const { hook, user } = layout;
  const { code, stdout, stderr } = await run('/bin/sh', ['-c', `${hook.path} -c ${hook.conf} deliver`], { user });
  if (code !== 0) {
    const seen = `exit ${code ?? 'by a signal'}: ${(stdout + stderr).trim().slice(-400)}`;
    throw new Error(`user ${user.name} cannot run the hook ${hook.path}: expected exit 0, saw ${seen}`);
  }
}

/** Starts pgpool in the foreground of its own session, and waits until a query passes through it. */
export async function startPgpool(layout: Layout, signal?: AbortSignal): Promise<void> {
  const { directory } = layout.pgpool;
  const file = (name: string): string => path.join(directory, name);
  const plan = {
    key: 'pgpool',
    command: layout.tools.pgpool,
    argv: ['-n', '-f', file('pgpool.conf'), '-F', file('pcp.conf'), '-a', file('pool_hba.conf')],
    directory,
    logFile: file('pgpool.log'),
    isReady: async () =>
      existsSync(file('pgpool.pid')) && (await query(layout, layout.pgpool, 'SELECT 1')).length === 1,
    timeoutMs: 30_000,
  };
  await startDaemon(layout, plan, signal);
}

/** The setting's name, which changed in 4.4 when it became a list (release notes of pgpool-II 4.4). */
function socketKey(version: string): string {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major > 4 || (major === 4 && minor >= 4) ? 'unix_socket_directories' : 'socket_dir';
}
