// Everything that can go wrong with ssh before a command starts, as one error class with a closed list of kinds.
// A message says what was attempted, on which target, what was seen and what to do; it never holds key material.
import { hostname, userInfo } from 'node:os';
import { knownHostName } from './known-hosts';

export interface SshTarget {
  host: string;
  port: number;
  user: string;
  /** Private key without a passphrase; a leading ~/ is this process's home. */
  identityFile: string;
  /** The only known_hosts file that is read; a leading ~/ is this process's home. */
  knownHostsFile: string;
}

/**
 * 'refused': the host answered that nobody listens. 'silent': nobody answered (a timeout, or no route): not evidence of
 * anything else. 'unknown-host': the name does not resolve. 'host-key': unknown, changed or revoked. 'lost': the connection
 * broke before the command was sent. 'protocol': the server answers, but not in a way that we can use.
 */
export type SshFailureKind =
  | 'refused'
  | 'silent'
  | 'unknown-host'
  | 'authentication'
  | 'host-key'
  | 'identity-file'
  | 'known-hosts-file'
  | 'lost'
  | 'protocol';

const retryableKinds: readonly SshFailureKind[] = ['refused', 'silent', 'lost'];

/** The command was certainly not started: its script had not been sent. */
export class SshFailure extends Error {
  override readonly name = 'SshFailure';

  constructor(
    readonly kind: SshFailureKind,
    message: string,
    /** Whether the same call may succeed later without anybody changing a file. */
    readonly isRetryable: boolean = retryableKinds.includes(kind),
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

export function describeTarget(target: SshTarget): string {
  const host = target.host.includes(':') ? `[${target.host}]` : target.host;
  return `${target.user}@${host}:${target.port}`;
}

/** How far a connection came; a timeout names it, because each points to another cause. */
export type ConnectPhase = 'connecting' | 'handshake' | 'authentication' | 'open';

const silence: Record<ConnectPhase, string> = {
  connecting: 'nothing answered the TCP connection; the host is down, unreachable or behind a firewall',
  handshake:
    'the TCP connection was accepted but the SSH handshake did not finish; sshd or the host is frozen or overloaded',
  authentication: 'the SSH handshake finished but the login did not; the host is overloaded or its login is stuck',
  open: 'the connection was open but sshd did not answer on it; the host or sshd is frozen, or the network dropped',
};

export function silentFailure(target: SshTarget, phase: ConnectPhase, waitedMs: number): SshFailure {
  const waited = String(Math.round(waitedMs));
  return new SshFailure(
    'silent',
    `ssh ${describeTarget(target)}: no shell within ${waited} ms: ${silence[phase]}. Check the host and ssh.port.`,
  );
}

function explainAuthentication(target: SshTarget): string {
  return (
    `sshd did not accept the key ${target.identityFile} for user ${target.user}. Append its public half ` +
    `(ssh-keygen -y -f ${target.identityFile}) to ~${target.user}/.ssh/authorized_keys on ${target.host}, and check there ` +
    'that only that user can write to the file and its directory.'
  );
}

/** Turns ssh2's or the socket's error into ours. `error.level` is ssh2's classification, `error.code` the socket's. */
export function explainConnectError(
  target: SshTarget,
  error: Error & { level?: string; code?: string },
  phase: ConnectPhase,
  waitedMs: number,
): SshFailure {
  const explain = (kind: SshFailureKind, text: string, isRetryable?: boolean): SshFailure =>
    new SshFailure(kind, `ssh ${describeTarget(target)}: ${text}`, isRetryable, { cause: error });
  if (error.level === 'client-timeout') return silentFailure(target, phase, waitedMs);
  if (error.level === 'client-authentication') return explain('authentication', explainAuthentication(target));
  const code = error.code ?? '';
  if (code === 'ECONNREFUSED') {
    return explain(
      'refused',
      'the connection was refused: no sshd listens on that port. Check sshd there and ssh.port.',
    );
  }
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') {
    const seen = `the host name does not resolve on ${hostname()} (${code})`;
    return explain('unknown-host', `${seen}. Correct it in the cluster file, or DNS.`, code === 'EAI_AGAIN');
  }
  if (['EHOSTUNREACH', 'ENETUNREACH', 'EHOSTDOWN', 'ETIMEDOUT'].includes(code)) {
    return explain('silent', `nothing answered (${code}): ${silence.connecting}.`);
  }
  if (error.level === 'client-socket' || error.message === 'Connection lost before handshake') {
    const seen = code || error.message;
    return explain(
      'lost',
      `the connection broke before the login (${seen}). sshd may be restarting or at MaxStartups.`,
    );
  }
  return explain(
    'protocol',
    `ssh failed with "${error.message}". Check that ${target.host} runs sshd with usual settings.`,
  );
}

/** `found` is checkHostKey's verdict, `fingerprint` is as `ssh-keygen -l` prints it: `SHA256:…`. */
export function hostKeyFailure(
  target: SshTarget,
  found: { verdict: 'unknown' | 'changed' | 'revoked'; line: number },
  keyType: string,
  fingerprint: string,
): SshFailure {
  const file = target.knownHostsFile;
  const scan = `ssh-keyscan -p ${target.port} -t ${keyType.replace(/^ssh-/, '')} ${target.host}`;
  const compare = `compare it with \`ssh-keygen -lf /etc/ssh/ssh_host_*_key.pub\` on ${target.host} itself`;
  const seen = `the host presented the ${keyType} key ${fingerprint}`;
  const where = `${file} line ${found.line}`;
  const texts = {
    unknown: `${seen}, which is not in ${file}. To trust it, ${compare}, then: ${scan} >> ${file}`,
    changed:
      `${seen}, but ${where} holds another key: the host was reinstalled, or this is another machine. First ${compare}; ` +
      `if it is right: ssh-keygen -R '${knownHostName(target.host, target.port)}' -f ${file}, then: ${scan} >> ${file}`,
    revoked: `${seen}, which ${where} marks as revoked. Give the host a new key, or remove that line.`,
  };
  return new SshFailure('host-key', `ssh ${describeTarget(target)}: ${texts[found.verdict]}`);
}

/** A local file that could not be used. `seen` is a clause, `advice` a sentence. */
export function fileFailure(
  kind: 'identity-file' | 'known-hosts-file',
  target: SshTarget,
  seen: string,
  advice: string,
): SshFailure {
  const [what, file] =
    kind === 'identity-file' ? ['identity file', target.identityFile] : ['known hosts file', target.knownHostsFile];
  const reader = userInfo().username;
  return new SshFailure(
    kind,
    `ssh ${describeTarget(target)}: the ${what} ${file} (read by ${reader}) ${seen}. ${advice}`,
  );
}
