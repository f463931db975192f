// A real, unprivileged sshd on a loopback address of its own, in a temporary directory; stop() leaves nothing behind.
// When the tests run as root it runs as the OS user postgres, because an sshd that is not root can only log in its own user.
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { chownSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, connect, type AddressInfo } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import type { SshTarget } from '../../../../activities/io/ssh/ssh';
import type { ClusterConfiguration, NodeConfiguration } from '../../../../domain/facts/cluster';

export interface TestUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/** The user that runs PostgreSQL and sshd in tests: postgres when root, else the caller. */
export function findTestUser(): TestUser {
  const me = userInfo();
  if (me.uid !== 0) return { name: me.username, uid: me.uid, gid: me.gid };
  const [uid, gid] = ['-u', '-g'].map((flag) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' })));
  return { name: 'postgres', uid: uid ?? 0, gid: gid ?? 0 };
}

/** Polls until `condition` holds; fails after timeoutMs with `what`. */
export async function waitUntil(
  what: string,
  condition: () => boolean | Promise<boolean>,
  timeoutMs = 10_000,
): Promise<void> {
  const endsAt = Date.now() + timeoutMs;
  while (!(await condition())) {
    if (Date.now() > endsAt) throw new Error(`waited ${timeoutMs} ms in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

function readParent(pid: string): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    return -1;
  }
}

function listChildren(parent: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && readParent(name) === parent)
    .map(Number);
}

/** Each connection has two: a monitor, and its child that holds the socket and starts the commands. */
function listSshdBelow(parent: number): number[] {
  const children = listChildren(parent).filter((pid) => readName(pid) === 'sshd');
  return children.flatMap((pid) => [pid, ...listSshdBelow(pid)]);
}

function readName(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
  } catch {
    return '';
  }
}

function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // The process has ended by itself.
  }
}

async function findFreePort(host: string): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function isListening(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    socket.once('data', () => {
      socket.destroy();
      resolve(true);
    });
    for (const event of ['error', 'close']) {
      socket.on(event, () => {
        resolve(false);
      });
    }
  });
}

export class TestSshd {
  /** Everything is in here, keys included; removed by stop(). */
  readonly directory = mkdtempSync(join(tmpdir(), 'sshd-test-'));
  readonly user = findTestUser();
  private server: ChildProcess | undefined;
  private port = 0;

  constructor(
    readonly host: string,
    private readonly configureMore: (directory: string) => readonly string[],
  ) {}

  file(name: string): string {
    return join(this.directory, name);
  }

  /** As known_hosts writes the host and port. */
  get knownHostName(): string {
    return `[${this.host}]:${this.port}`;
  }

  /** The target as a client needs it; the known hosts file holds both host keys. */
  get target(): SshTarget {
    const { host, port, user } = this;
    return {
      host,
      port,
      user: user.name,
      identityFile: this.file('identity'),
      knownHostsFile: this.file('known_hosts'),
    };
  }

  /** `type base64` of a public key file in the directory. */
  readPublicKey(name: string): string {
    return readFileSync(this.file(`${name}.pub`), 'utf8')
      .split(' ')
      .slice(0, 2)
      .join(' ');
  }

  /** Makes the key pair `name`, `name`.pub in the directory; returns the private key's path. */
  makeKey(name: string, type: 'ed25519' | 'rsa', passphrase = ''): string {
    const path = this.file(name);
    execFileSync('ssh-keygen', ['-q', '-t', type, '-N', passphrase, '-C', '', '-f', path]);
    for (const file of [path, `${path}.pub`]) chownSync(file, this.user.uid, this.user.gid);
    return path;
  }

  async prepare(): Promise<void> {
    // Closed to others, because sshd's log and the keys are in it.
    chownSync(this.directory, this.user.uid, this.user.gid);
    this.port = await findFreePort(this.host);
    this.makeKey('host_ed25519', 'ed25519');
    this.makeKey('host_rsa', 'rsa');
    this.makeKey('identity', 'ed25519');
    const configuration = [
      `ListenAddress ${this.host}:${this.port}`,
      `HostKey ${this.file('host_ed25519')}`,
      `HostKey ${this.file('host_rsa')}`,
      `AuthorizedKeysFile ${this.file('identity.pub')}`,
      'PidFile none',
      'UsePAM no',
      'StrictModes no',
      'PasswordAuthentication no',
      'KbdInteractiveAuthentication no',
      ...this.configureMore(this.directory),
    ];
    writeFileSync(this.file('sshd_config'), `${configuration.join('\n')}\n`);
    const keys = [this.readPublicKey('host_ed25519'), this.readPublicKey('host_rsa')];
    writeFileSync(this.file('known_hosts'), keys.map((key) => `${this.knownHostName} ${key}\n`).join(''));
  }

  async start(): Promise<void> {
    const { uid, gid } = this.user;
    const isRoot = userInfo().uid === 0;
    const server = spawn('/usr/sbin/sshd', ['-D', '-f', this.file('sshd_config'), '-E', this.file('log')], {
      stdio: 'ignore',
      cwd: '/',
      ...(isRoot ? { uid, gid } : {}),
    });
    this.server = server;
    await waitUntil('sshd answers', async () => {
      if (server.exitCode !== null) throw new Error(`sshd has ended: ${readFileSync(this.file('log'), 'utf8')}`);
      return isListening(this.host, this.port);
    });
  }

  /** One process per open connection. */
  get sessionPids(): number[] {
    return this.server?.pid === undefined ? [] : listChildren(this.server.pid);
  }

  private signalAll(signal: NodeJS.Signals, pids: readonly number[]): void {
    for (const pid of pids) sendSignal(pid, signal);
  }

  private get allPids(): number[] {
    return this.server?.pid === undefined ? [] : [this.server.pid, ...listSshdBelow(this.server.pid)];
  }

  /** Stops (SIGSTOP) the server and its sessions: the kernel still accepts TCP connections and data for them. */
  freeze(): void {
    this.signalAll('SIGSTOP', this.allPids);
  }

  thaw(): void {
    this.signalAll('SIGCONT', this.allPids);
  }

  /** Drops every connection, as a dying host would; what they ran goes on. In one turn of the event loop. */
  dropConnections(): void {
    this.signalAll('SIGKILL', this.allPids.slice(1));
  }

  /** Ends the server, its sessions and the commands that they run; start() starts it again on the same port. */
  async halt(): Promise<void> {
    const server = this.server;
    if (!server?.pid || server.exitCode !== null || server.signalCode !== null) return;
    const sessions = this.allPids.slice(1);
    const commands = sessions.flatMap(listChildren).filter((pid) => !sessions.includes(pid));
    const ended = new Promise((resolve) => server.once('exit', resolve));
    // KILL also ends what freeze() stopped.
    this.signalAll('SIGKILL', [...commands, ...sessions, server.pid]);
    await ended;
  }

  async stop(): Promise<void> {
    await this.halt();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

let startedHere = 0;

/**
 * Starts an sshd with an ed25519 and an RSA host key, and one authorized key; `configureMore` returns further lines for sshd_config.
 * Each has an address of its own in 127.0.0.0/8, as nodes do.
 */
export async function startSshd(configureMore: (directory: string) => readonly string[] = () => []): Promise<TestSshd> {
  const address = [127, 64 + (process.pid % 128), (process.pid >> 7) % 256, ++startedHere].join('.');
  const sshd = new TestSshd(address, configureMore);
  try {
    await sshd.prepare();
    await sshd.start();
  } catch (error) {
    await sshd.stop();
    throw error;
  }
  return sshd;
}

/** The only node of a cluster `shop`, whose host is this sshd: what acts need of a cluster file, and no more. */
export function nodeBehind(
  sshd: TestSshd,
  jobs = 'jobs',
): { configuration: ClusterConfiguration; node: NodeConfiguration } {
  const { knownHostsFile, ...target } = sshd.target;
  const configuration = { cluster: 'shop', ssh: { knownHostsFile }, paths: { jobs: sshd.file(jobs) } };
  const node = { id: 0, host: sshd.host, port: 5432, ssh: target };
  return { configuration: configuration as ClusterConfiguration, node: node as NodeConfiguration };
}

/** How long one of that many runs takes, one after the other. */
export async function medianMs(count: number, run: () => Promise<unknown>): Promise<number> {
  const tookMs: number[] = [];
  while (tookMs.length < count) {
    const startedAt = performance.now();
    await run();
    tookMs.push(performance.now() - startedAt);
  }
  return tookMs.sort((one, other) => one - other)[Math.floor(count / 2)]!;
}
