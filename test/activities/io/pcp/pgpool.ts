// A real pgpool over a real primary and a real standby, for tests: own temporary directory, 127.88.0.x, recorded pids.
// Contract: startPgpool() resolves when PCP answers; stop() ends every process and removes the directory, whatever happened.
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chown, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type PcpFailure, type PcpTarget, requestDetach } from '../../../../activities/io/pcp/pcp';

const bin = '/usr/lib/postgresql/15/bin';
const addresses = ['127.88.0.10', '127.88.0.11'] as const;
const pgpoolAddress = '127.88.0.1';
export const pcpPassword = 'a:b\\c';

export interface TestPgpool {
  readonly target: PcpTarget;
  /** Addresses and ports of node 0, the primary, and of node 1, its standby. */
  readonly nodes: readonly { readonly host: string; readonly port: number }[];
  readonly directory: string;
  /** Everything that pgpool has logged so far. */
  readonly log: () => string;
  /** Both PostgreSQL nodes crash. */
  stopNodes(): Promise<void>;
  stop(): Promise<void>;
}

interface RunningProcess {
  readonly child: ChildProcess;
  readonly closed: Promise<void>;
  readonly log: () => string;
}

/** PostgreSQL refuses to run as root. The ids are set on the process itself, so that its pid is the one recorded. */
function owner(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const id = (option: string): number => Number(execFileSync('id', [option, 'postgres'], { encoding: 'utf8' }));
  return { uid: id('-u'), gid: id('-g') };
}

/** Starts a foreground process and waits until it has logged `ready`. */
async function start(command: string, args: string[], cwd: string, ready: RegExp): Promise<RunningProcess> {
  const child = spawn(command, args, { ...owner(), cwd, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  let log = '';
  const closed = new Promise<void>((resolve) => {
    child.once('close', () => {
      resolve();
    });
  });
  const isReady = new Promise<void>((resolve) => {
    const collect = (chunk: Buffer): void => {
      log += chunk.toString();
      if (ready.test(log)) resolve();
    };
    child.stdout.on('data', collect);
    child.stderr.on('data', collect);
  });
  const failed = new Promise<never>((_resolve, reject) => {
    child.once('error', reject);
    void closed.then(() => {
      reject(new Error(`${command} ended before it was ready:\n${log}`));
    });
  });
  await Promise.race([isReady, failed]);
  return { child, closed, log: () => log };
}

/** SIGTERM would wait for clients; whoever ignores SIGINT or SIGQUIT for 5 s is killed with its process group. */
async function end({ child, closed }: RunningProcess, signal: NodeJS.Signals): Promise<void> {
  child.kill(signal);
  const lastResort = setTimeout(() => {
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  }, 5000);
  await closed;
  clearTimeout(lastResort);
}

/** Free ports of an address, all different. */
async function freePorts(host: string, count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(0, host, resolve));
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

async function startNodes(directory: string, ports: number[], running: RunningProcess[]): Promise<void> {
  const run = (name: string, args: string[]): Promise<unknown> =>
    promisify(execFile)(join(bin, name), args, { ...owner(), cwd: directory });
  const startNode = async (node: 0 | 1): Promise<void> => {
    const args = ['-D', join(directory, `node${node}`), '-h', addresses[node], '-p', String(ports[node])];
    const settings = ['fsync=off', `unix_socket_directories=${directory}`, `cluster_name=node${node}`];
    for (const setting of settings) args.push('-c', setting);
    running.push(await start(join(bin, 'postgres'), args, directory, /ready to accept (read-only )?connections/));
  };
  await run('initdb', ['-D', 'node0', '-A', 'trust', '-U', 'postgres', '--no-sync', '--no-instructions', '-E', 'UTF8']);
  await startNode(0);
  const source = ['-h', addresses[0], '-p', String(ports[0]), '-U', 'postgres'];
  await run('pg_basebackup', [...source, '-D', 'node1', '-R', '-c', 'fast', '--no-sync']);
  await startNode(1);
}

async function writeConfiguration(directory: string, nodePorts: number[], port: number, pcpPort: number) {
  const lines = [
    `listen_addresses = '${pgpoolAddress}'`,
    `port = ${port}`,
    `socket_dir = '${directory}'`,
    `pcp_listen_addresses = '${pgpoolAddress}'`,
    `pcp_port = ${pcpPort}`,
    `pcp_socket_dir = '${directory}'`,
    `logdir = '${directory}'`,
    `pid_file_name = '${join(directory, 'pgpool.pid')}'`,
    `backend_clustering_mode = 'streaming_replication'`,
    `num_init_children = 2`,
    `pool_passwd = ''`,
    `search_primary_node_timeout = 1`,
    `failover_on_backend_error = off`,
    `sr_check_period = 1`,
    `sr_check_user = 'postgres'`,
    // pg_status is "unknown" without health checks; this long, they never act during a test.
    `health_check_period = 3600`,
    `health_check_user = 'postgres'`,
  ];
  addresses.forEach((address, node) => {
    const id = String(node);
    lines.push(`backend_hostname${id} = '${address}'`, `backend_port${id} = ${String(nodePorts[node])}`);
    lines.push(`backend_weight${id} = ${3 - 2 * node}`, `backend_application_name${id} = 'node${id}'`);
  });
  await writeFile(join(directory, 'pgpool.conf'), lines.join('\n') + '\n');
  await writeFile(join(directory, 'pool_hba.conf'), '');
  await writeFile(join(directory, 'pcp.conf'), `pgpool:${createHash('md5').update(pcpPassword).digest('hex')}\n`);
  const escaped = pcpPassword.replace(/[\\:]/g, '\\$&');
  await writeFile(join(directory, 'pcppass'), `${pgpoolAddress}:*:pgpool:${escaped}\n`, { mode: 0o600 });
}

/** Node 0 is the primary with weight 3 of 4, node 1 streams from it. Takes about four seconds. */
export async function startPgpool(): Promise<TestPgpool> {
  const directory = await mkdtemp(join(tmpdir(), 'pcp-'));
  const nodes: RunningProcess[] = [];
  let pgpool: RunningProcess | undefined;
  const stopNodes = async (): Promise<void> => {
    await Promise.all(nodes.splice(0).map((node) => end(node, 'SIGQUIT')));
  };
  const stop = async (): Promise<void> => {
    if (pgpool) await end(pgpool, 'SIGINT');
    await stopNodes();
    await rm(directory, { recursive: true, force: true });
  };
  try {
    const user = owner();
    if (user) await chown(directory, user.uid, user.gid);
    const [port0, port1, port, pcpPort] = (await freePorts('127.88.0.1', 4)) as [number, number, number, number];
    await writeConfiguration(directory, [port0, port1], port, pcpPort);
    await startNodes(directory, [port0, port1], nodes);
    const files = ['-f', 'pgpool.conf', '-F', 'pcp.conf', '-a', 'pool_hba.conf'];
    pgpool = await start('/usr/sbin/pgpool', ['-n', '-D', ...files], directory, /PCP process: \d+ started/);
    const { log } = pgpool;
    const target = {
      name: 'test',
      host: pgpoolAddress,
      pcpPort,
      pcpUser: 'pgpool',
      passFile: join(directory, 'pcppass'),
    };
    const list = addresses.map((host, node) => ({ host, port: node === 0 ? port0 : port1 }));
    return { target, nodes: list, directory, log, stopNodes, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** pgpool restarts PCP a second after each change of a node, which may cut the call: it is made again, and may have been heard before. */
export async function detachNode({ target }: TestPgpool, node: number): Promise<void> {
  for (let calls = 1; ; calls++) {
    try {
      await requestDetach(target, node, { timeoutMs: 2000 });
      return;
    } catch (error) {
      const { kind } = error as PcpFailure;
      if (kind === 'rejected' && calls > 1) return;
      if (kind !== 'lost' || calls === 5) throw error;
    }
  }
}
