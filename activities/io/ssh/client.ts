// Opens one authenticated ssh2 connection with the host key checked, and knows when it is dead.
// Everything that it throws is an SshFailure; the commands that run over it are in ssh.ts.
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { Client, type ConnectConfig, utils, type ServerHostKeyAlgorithm } from 'ssh2';
import { checkHostKey, knownKeyTypes, readKeyType } from './known-hosts';
import {
  explainConnectError,
  fileFailure,
  hostKeyFailure,
  type ConnectPhase,
  type SshFailure,
  type SshTarget,
} from './failure';

/** A failover must not wait ssh2's default of 20 s for a login. */
export const maximumConnectMs = 5000;

export interface OpenClient {
  readonly client: Client;
  /** Resolves when the connection is gone, for whatever reason. */
  readonly closed: Promise<void>;
  /** Also true as soon as it can no longer be written to. */
  readonly isDead: () => boolean;
  /** Ends it now. ssh2's own end() and destroy() leave a half-closed socket to a silent peer open for ever. */
  readonly destroy: () => void;
}

function resolveHome(file: string): string {
  return file.startsWith('~/') ? join(homedir(), file.slice(2)) : file;
}

/** `ENOENT` and the like as a clause. */
function describeReadError(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  const clauses: Record<string, string> = {
    ENOENT: 'does not exist',
    EACCES: 'is not readable: permission denied',
    EISDIR: 'is a directory',
  };
  return clauses[code] ?? `could not be read (${code || String(error)})`;
}

async function readIdentity(target: SshTarget): Promise<Buffer> {
  const make = 'Make one without a passphrase, readable by that user only: ssh-keygen -t ed25519 -N "" -f FILE.';
  const fail = (seen: string): SshFailure => fileFailure('identity-file', target, seen, make);
  const content = await readFile(resolveHome(target.identityFile)).catch((error: unknown) => {
    throw fail(describeReadError(error));
  });
  const key = utils.parseKey(content);
  if (key instanceof Error) {
    throw fail(/passphrase/i.test(key.message) ? 'is protected by a passphrase' : 'holds no key that we can read');
  }
  if (!key.isPrivateKey()) throw fail('holds a public key, not a private one');
  return content;
}

async function readKnownHosts(target: SshTarget): Promise<string> {
  return readFile(resolveHome(target.knownHostsFile), 'utf8').catch((error: unknown) => {
    const scan = `ssh-keyscan -p ${target.port} ${target.host} >> ${target.knownHostsFile}`;
    const advice = `Make it: ${scan}, after comparing the key's fingerprint with the one on the host itself.`;
    throw fileFailure('known-hosts-file', target, describeReadError(error), advice);
  });
}

const hostKeyAlgorithms: readonly ServerHostKeyAlgorithm[] = [
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'rsa-sha2-512',
  'rsa-sha2-256',
];

/** Known types first, else a server with several keys shows one that we do not know. An ssh-rsa key signs with rsa-sha2-*. */
function orderHostKeyAlgorithms(knownTypes: readonly string[]): ServerHostKeyAlgorithm[] {
  const wanted = knownTypes.flatMap((type) => (type === 'ssh-rsa' ? ['rsa-sha2-512', 'rsa-sha2-256'] : [type]));
  const first = wanted.flatMap((name) => hostKeyAlgorithms.filter((algorithm) => algorithm === name));
  return [...first, ...hostKeyAlgorithms.filter((algorithm) => !first.includes(algorithm))];
}

/** ssh2 only says that a host was denied; `refusal` says why. */
function makeHostVerifier(
  target: SshTarget,
  knownHosts: string,
): { verify: (key: Buffer) => boolean; refusal: () => SshFailure | undefined } {
  let refusal: SshFailure | undefined;
  const verify = (key: Buffer): boolean => {
    const { verdict, line } = checkHostKey(knownHosts, target.host, target.port, key);
    if (verdict === 'known') return true;
    const fingerprint = `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}`;
    refusal = hostKeyFailure(target, { verdict, line: line ?? 0 }, readKeyType(key), fingerprint);
    return false;
  };
  return { verify, refusal: () => refusal };
}

const everyConnection: ConnectConfig = {
  authHandler: ['publickey'],
  // Off by default in ssh2: without it a host that vanished is never noticed. Dead after about 4 s.
  keepaliveInterval: 1000,
  keepaliveCountMax: 3,
};

/**
 * Opens a connection; gives up after timeoutMs, at most 5 s. Rejects with an SshFailure, and then nothing is left open.
 * `onPhase` hears how far it came; `signal` ends it at any time, also when it is open.
 */
export async function openClient(
  target: SshTarget,
  options: { timeoutMs: number; onPhase: (phase: ConnectPhase) => void; signal: AbortSignal },
): Promise<OpenClient> {
  let phase: ConnectPhase = 'connecting';
  const enter = (next: ConnectPhase): void => {
    phase = next;
    options.onPhase(next);
  };
  enter('connecting');
  const [privateKey, knownHosts] = await Promise.all([readIdentity(target), readKnownHosts(target)]);
  const hostKey = makeHostVerifier(target, knownHosts);
  const client = new Client();
  // noDelay because Nagle's algorithm makes a warm command cost 45 ms instead of 4 (measured); ssh2 does not set it.
  const socket = connect({ host: target.host, port: target.port, noDelay: true });
  const destroy = (): void => void socket.destroy();
  const closed = new Promise<unknown>((resolve) => socket.once('close', resolve)).then(() => undefined);
  options.signal.addEventListener('abort', destroy);
  void closed.then(() => {
    options.signal.removeEventListener('abort', destroy);
  });
  if (options.signal.aborted) destroy();
  const timeoutMs = Math.max(1, Math.min(options.timeoutMs, maximumConnectMs));
  client.on('connect', enter.bind(null, 'handshake')).on('handshake', enter.bind(null, 'authentication'));
  const settings: ConnectConfig = {
    ...everyConnection,
    sock: socket,
    username: target.user,
    privateKey,
    readyTimeout: timeoutMs,
    algorithms: { serverHostKey: orderHostKeyAlgorithms(knownKeyTypes(knownHosts, target.host, target.port)) },
    hostVerifier: hostKey.verify,
  };
  try {
    const explain = (error: Error): SshFailure =>
      hostKey.refusal() ?? explainConnectError(target, error, phase, timeoutMs);
    await untilReady(client, settings, explain);
  } catch (error) {
    destroy();
    throw error;
  }
  enter('open');
  return { client, closed, isDead: () => socket.destroyed || !socket.writable, destroy };
}

async function untilReady(
  client: Client,
  settings: ConnectConfig,
  explain: (error: Error) => SshFailure,
): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    client.once('ready', resolve);
    // Stays for good: ssh2 often emits a second error, and one without a listener would end the process.
    client.on('error', (error: Error) => {
      reject(explain(error));
    });
    client.once('close', () => {
      reject(explain(new Error('Connection lost before handshake')));
    });
    client.connect(settings);
  });
}
