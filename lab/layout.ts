// The layout of a lab: directories, addresses, ports, users. Plain data, computed once by planLayout and kept in
// lab.json.
import { execFileSync } from 'node:child_process';
import { readFileSync, lstatSync, mkdirSync, chmodSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { SystemUser } from './processes';
import type { Tools } from './tools';

export interface NodeLayout {
  readonly id: number;
  readonly host: string;
  readonly port: number;
  readonly sshPort: number;
  readonly directory: string;
  readonly dataDirectory: string;
  readonly logFile: string;
}

export interface Layout {
  readonly name: string;
  readonly directory: string;
  /** k of the lab's addresses 127.k.0.0/24. */
  readonly slot: number;
  readonly user: SystemUser;
  readonly tools: Tools;
  readonly nodes: readonly NodeLayout[];
  readonly pgpool: {
    readonly host: string;
    readonly port: number;
    readonly pcpPort: number;
    readonly directory: string;
  };
  readonly temporal: {
    readonly host: string;
    readonly port: number;
    readonly httpPort: number;
    readonly webPort: number;
    readonly directory: string;
    readonly namespace: string;
    readonly taskQueue: string;
  };
  /**
   * The worker's directory, and the keys to the lab for the worker and people: passwords, ssh identity, known hosts.
   */
  readonly worker: {
    readonly directory: string;
    readonly passFile: string;
    readonly pcpPassFile: string;
    readonly identityFile: string;
    readonly knownHostsFile: string;
  };
  readonly clusterFile: string;
  readonly hook: { readonly path: string; readonly conf: string; readonly spool: string };
}

/** Names of database and PCP users. Passwords lie in the files of Layout.worker only. */
export const users = { superuser: 'postgres', replication: 'replicator', pcp: 'pgpool' } as const;

/** A hundred ports for each slot, below Linux's ephemeral ports (32768). */
const firstTemporalPort = 17000;
const sharedHosts: ReadonlySet<string> = new Set(['0.0.0.0', '127.0.0.1']);
export const firstSlot = 60;
export const lastSlot = 120;
/** sun_path holds 108 bytes with its terminator (unix(7)). */
const longestSocketPath = 107;

export function baseDirectory(): string {
  return path.join(os.tmpdir(), `pgpool-runbook-lab-${process.getuid?.() ?? 0}`);
}

/** Creates the base directory, or refuses one that another user can change. */
export function ensureBaseDirectory(): string {
  const directory = baseDirectory();
  // The lab's user must be able to enter, whatever the caller's mask.
  if (mkdirSync(directory, { recursive: true }) !== undefined) chmodSync(directory, 0o755);
  const status = lstatSync(directory);
  if (!status.isDirectory() || status.uid !== process.getuid?.() || (status.mode & 0o022) !== 0) {
    throw new Error(
      `${directory} is not a directory that only we can write: remove it, or set TMPDIR to another place`,
    );
  }
  return directory;
}

export function labDirectory(name: string): string {
  if (!/^[a-z0-9][a-z0-9-]{0,23}$/.test(name)) {
    throw new Error(`lab name "${name}" must be 1-24 characters of a-z 0-9 -, and start with a letter or digit`);
  }
  const directory = path.join(baseDirectory(), name);
  const socket = path.join(directory, 'node99', '.s.PGSQL.65535');
  if (Buffer.byteLength(socket) > longestSocketPath) {
    throw new Error(
      `${directory} is too long for unix sockets: set TMPDIR to a shorter directory, or use a shorter --name`,
    );
  }
  return directory;
}

/** `postgres` when root (PostgreSQL refuses to run as root), otherwise the caller. */
export function findSystemUser(): SystemUser {
  if (process.getuid?.() !== 0) {
    const { username, uid, gid, homedir } = os.userInfo();
    return { name: username, uid, gid, home: homedir };
  }
  try {
    const fields = execFileSync('getent', ['passwd', 'postgres'], { encoding: 'utf8' }).trim().split(':');
    return { name: 'postgres', uid: Number(fields[2]), gid: Number(fields[3]), home: fields[5] ?? '/' };
  } catch (error) {
    throw new Error(
      'the lab runs PostgreSQL as user "postgres" when started by root, and there is no such user: install PostgreSQL',
      {
        cause: error,
      },
    );
  }
}

interface LocalSocket {
  readonly host: string;
  readonly port: number;
  readonly isListening: boolean;
}

/** Every TCP socket's local end; IPv6 ones count as bound to every address (a wildcard IPv6 listener also takes IPv4). */
export function readLocalSockets(): LocalSocket[] {
  return ['/proc/net/tcp', '/proc/net/tcp6'].flatMap((file) => {
    let text: string;
    try {
      text = readFileSync(file, 'utf8');
    } catch {
      return [];
    }
    return text
      .trim()
      .split('\n')
      .slice(1)
      .flatMap((line) => {
        const [, local, , state] = line.trim().split(/\s+/);
        const [address, port] = (local ?? '').split(':');
        if (!address || !port) return [];
        const host =
          address.length > 8 ? '0.0.0.0' : [6, 4, 2, 0].map((at) => parseInt(address.slice(at, at + 2), 16)).join('.');
        return [{ host, port: parseInt(port, 16), isListening: state === '0A' }];
      });
  });
}

/** True when no program, such as another user's lab, has a socket on 127.<slot>.0.0/16. */
export function isSlotUnused(slot: number): boolean {
  return !readLocalSockets().some(({ host }) => host.startsWith(`127.${slot}.`));
}

/** The first port from `preferred` on that no listener on all addresses holds; the slot's own addresses are ours. */
function findPort(preferred: number, sockets: readonly LocalSocket[]): number {
  for (let port = preferred; port < preferred + 10; port++) {
    const isTaken = ({ host, port: other }: LocalSocket): boolean => other === port && sharedHosts.has(host);
    if (!sockets.some(isTaken)) return port;
  }
  throw new Error(`ports ${preferred}-${preferred + 9} are all taken`);
}

function planNode(lab: string, id: number): Pick<NodeLayout, 'directory' | 'dataDirectory' | 'logFile'> {
  const directory = path.join(lab, `node${id}`);
  return { directory, dataDirectory: path.join(directory, 'data'), logFile: path.join(directory, 'postgres.log') };
}

function planWorker(directory: string): Layout['worker'] {
  const file = (name: string): string => path.join(directory, name);
  return {
    directory,
    passFile: file('.pgpass'),
    pcpPassFile: file('.pcppass'),
    identityFile: file('id_ed25519'),
    knownHostsFile: file('known_hosts'),
  };
}

/** Computes a lab's layout; creates nothing. Ports avoid listeners on 0.0.0.0, which would also hold our addresses. */
export function planLayout(name: string, slot: number, nodeCount: number, tools: Tools): Layout {
  const directory = labDirectory(name);
  const sockets = readLocalSockets();
  const address = (last: number): string => `127.${slot}.0.${last}`;
  const [port, sshPort] = [findPort(15432, sockets), findPort(2222, sockets)];
  const hookDirectory = path.join(directory, 'hook');
  const pgpoolDirectory = path.join(directory, 'pgpool');
  return {
    name,
    directory,
    slot,
    user: findSystemUser(),
    tools,
    nodes: Array.from({ length: nodeCount }, (_, id) => ({
      id,
      host: address(10 + id),
      port,
      sshPort,
      ...planNode(directory, id),
    })),
    pgpool: {
      host: address(1),
      port: findPort(9999, sockets),
      pcpPort: findPort(9898, sockets),
      directory: pgpoolDirectory,
    },
    temporal: {
      // Temporal's services reach each other at 127.0.0.1 whatever --ip says, so labs differ by port here.
      host: '127.0.0.1',
      port: findPort(firstTemporalPort + slot * 100, sockets),
      httpPort: findPort(firstTemporalPort + slot * 100 + 10, sockets),
      webPort: findPort(firstTemporalPort + slot * 100 + 20, sockets),
      directory: path.join(directory, 'temporal'),
      namespace: 'default',
      taskQueue: 'pgpool-runbook',
    },
    worker: planWorker(path.join(directory, 'worker')),
    clusterFile: path.join(directory, 'cluster.yaml'),
    hook: {
      path: path.join(hookDirectory, 'hook.sh'),
      conf: path.join(hookDirectory, 'hook.conf'),
      spool: path.join(pgpoolDirectory, 'spool'),
    },
  };
}
