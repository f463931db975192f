// Reads OpenSSH known_hosts text and judges a host key by it. Pure: text in, verdict out; no text makes it throw.
// The format is sshd(8), section SSH_KNOWN_HOSTS FILE FORMAT; lines that OpenSSH would ignore are ignored here.
import { createHmac, timingSafeEqual } from 'node:crypto';

export type HostKeyVerdict = 'known' | 'unknown' | 'changed' | 'revoked';

interface KnownHostLine {
  /** From 1. */
  readonly line: number;
  readonly marker: '' | '@revoked' | '@cert-authority';
  readonly hosts: string;
  readonly keyType: string;
  readonly key: Buffer;
}

/** Key type inside a public key's wire form (RFC 4253 section 6.6: length, name, …), or '' if there is none. */
export function readKeyType(key: Buffer): string {
  if (key.length < 4) return '';
  const length = key.readUInt32BE(0);
  return length > 0 && length <= key.length - 4 ? key.toString('latin1', 4, 4 + length) : '';
}

function parseLine(text: string, line: number): KnownHostLine | undefined {
  const fields = text.trim().split(/[ \t]+/);
  let marker: KnownHostLine['marker'] = '';
  if (fields[0] === '@revoked' || fields[0] === '@cert-authority') {
    marker = fields[0];
    fields.shift();
  }
  const [hosts, keyType, base64] = fields;
  if (!hosts || !keyType || !base64 || hosts.startsWith('#') || hosts.startsWith('@')) return undefined;
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(base64)) return undefined;
  const key = Buffer.from(base64, 'base64');
  return readKeyType(key) === keyType ? { line, marker, hosts, keyType, key } : undefined;
}

/** Matches `*` and `?` without backtracking over more than the last `*`, so that no pattern is slow. */
function matchesPattern(name: string, pattern: string): boolean {
  let at = 0;
  let patternAt = 0;
  let starAt = -1;
  let starName = 0;
  while (at < name.length) {
    const wanted = pattern[patternAt];
    if (wanted === '*') {
      starAt = patternAt++;
      starName = at;
    } else if (wanted === '?' || wanted === name[at]) {
      patternAt++;
      at++;
    } else if (starAt >= 0) {
      patternAt = starAt + 1;
      at = ++starName;
    } else {
      return false;
    }
  }
  while (pattern[patternAt] === '*') patternAt++;
  return patternAt === pattern.length;
}

/** `|1|base64 salt|base64 HMAC-SHA1(salt, name)`, as `ssh-keygen -H` writes it. */
function matchesHash(name: string, hashed: string): boolean {
  const [, version, salt, hash, ...rest] = hashed.split('|');
  if (version !== '1' || !salt || !hash || rest.length > 0) return false;
  const expected = Buffer.from(hash, 'base64');
  const actual = createHmac('sha1', Buffer.from(salt, 'base64')).update(name).digest();
  return expected.length === actual.length && timingSafeEqual(expected, actual);
}

function matchesHosts(name: string, hosts: string): boolean {
  if (hosts.startsWith('|')) return matchesHash(name, hosts);
  let isMatch = false;
  for (const entry of hosts.toLowerCase().split(',')) {
    if (entry.startsWith('!')) {
      // A negated pattern refuses the whole line, whatever matched before it.
      if (matchesPattern(name, entry.slice(1))) return false;
    } else if (matchesPattern(name, entry)) {
      isMatch = true;
    }
  }
  return isMatch;
}

/** The name that OpenSSH writes for a host and port: `host`, or `[host]:port` when the port is not 22. */
export function knownHostName(host: string, port: number): string {
  const name = host.toLowerCase();
  return port === 22 ? name : `[${name}]:${port}`;
}

function findLines(text: string, name: string): KnownHostLine[] {
  return text
    .split('\n')
    .map((line, index) => parseLine(line, index + 1))
    .filter((entry): entry is KnownHostLine => entry !== undefined && matchesHosts(name, entry.hosts));
}

function judge(entries: readonly KnownHostLine[], key: Buffer): { verdict: HostKeyVerdict; line?: number } {
  const same = entries.filter((entry) => entry.key.equals(key));
  const revoked = same.find((entry) => entry.marker === '@revoked');
  if (revoked) return { verdict: 'revoked', line: revoked.line };
  const known = same.find((entry) => entry.marker === '');
  if (known) return { verdict: 'known', line: known.line };
  const others = entries.filter((entry) => entry.marker === '');
  const changed = others.find((entry) => entry.keyType === readKeyType(key)) ?? others[0];
  return changed ? { verdict: 'changed', line: changed.line } : { verdict: 'unknown' };
}

/**
 * Judges the key that a server presented. `text` is the whole known_hosts file, `key` the public key's wire form (what
 * ssh2 gives to hostVerifier); `line` (from 1) is the one that decided.
 * 'changed' means that only other keys are known, of whatever type. A port other than 22 that has no line of its own falls
 * back to the bare host name, where only the same key counts. Both are what ssh does (measured, OpenSSH 9.2).
 * Certificates are not supported: @cert-authority lines never match.
 */
export function checkHostKey(
  text: string,
  host: string,
  port: number,
  key: Buffer,
): { verdict: HostKeyVerdict; line?: number } {
  const judged = judge(findLines(text, knownHostName(host, port)), key);
  if (judged.verdict !== 'unknown' || port === 22) return judged;
  const fallback = judge(findLines(text, knownHostName(host, 22)), key);
  return fallback.verdict === 'changed' ? judged : fallback;
}

/**
 * Key types (`ssh-ed25519`, `ssh-rsa`, …) that the file holds for this host, each once, in file order. The client must ask
 * the server for these first: ssh2 prefers ed25519, and a file that holds only the RSA key would look like a mismatch.
 */
export function knownKeyTypes(text: string, host: string, port: number): string[] {
  const typesOf = (name: string): string[] =>
    findLines(text, name)
      .filter((entry) => entry.marker === '')
      .map((entry) => entry.keyType);
  const own = typesOf(knownHostName(host, port));
  return [...new Set(own.length > 0 ? own : typesOf(knownHostName(host, 22)))];
}
