// PCP, pgpool's control protocol, as bytes: requests are encoded, replies decoded strictly. No socket here, see pcp.ts.
// A message is a type (1 byte), a length (4 bytes, big-endian, counting itself) and a body, mostly NUL-terminated texts.
// Source: pgpool's src/pcp_con/pcp_worker.c (server) and src/libs/pcp/pcp.c (client), branches 4.2 to 4.7.
import { createHash } from 'node:crypto';

/**
 * refused: nothing listens · silent: no complete answer in time · lost: the connection was cut · authentication: pgpool
 * does not accept user and password · pass-file: no password to offer · rejected: pgpool answered ERROR or FATAL ·
 * protocol: the bytes are not what pgpool's source writes.
 */
export type PcpFailureKind = 'refused' | 'silent' | 'authentication' | 'pass-file' | 'rejected' | 'protocol' | 'lost';

/** The only error of a PCP call that is not a programming mistake. The message holds no password. */
export class PcpFailure extends Error {
  override readonly name = 'PcpFailure';
  readonly kind: PcpFailureKind;
  /** Whether the same call may succeed later without anybody changing a configuration or a node. */
  readonly isRetryable: boolean;

  constructor(kind: PcpFailureKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
    // A protocol failure is, too: until the minor releases of 2026 pgpool could write a node's length and its fields
    // from two different looks at shared memory (pcp_worker.c, inform_node_info).
    this.isRetryable = kind === 'refused' || kind === 'silent' || kind === 'lost' || kind === 'protocol';
  }
}

const statuses = ['unused', 'waiting', 'up', 'down'] as const;
const roles = ['main', 'replica', 'primary', 'standby'] as const;

/**
 * pgpool's BACKEND_STATUS 0 to 3 (libpcp_ext.h). `waiting` is as good as `up`: the node is in use, but no client has
 * connected since pgpool started or attached it. `unused` is a hole in the node ids of pgpool.conf.
 */
export type PcpStatus = (typeof statuses)[number];

export interface PcpNodeInfo {
  /** A name, an address, or the directory of a unix socket, exactly as in pgpool.conf. */
  host: string;
  port: number;
  status: PcpStatus;
  /** Marked down by this pgpool only, because the watchdog had no quorum; false where it does not say (to 4.2.7, 4.3.0). */
  isQuarantined: boolean;
  /**
   * pgpool's look at the node while it answers: up or down; unknown where its health checks are off (db_node_status), and
   * always with pgpool 4.2, which does not look.
   */
  pgStatus: string;
  /** Share of the read load, 0 to 1; 0 when no node of the cluster has a weight (pgpool says nan). */
  weight: number;
  /** The role that pgpool believes in: primary or standby; main or replica outside streaming replication mode. */
  role: string;
  /** The role that the node itself tells sr_check_user while pgpool answers: primary or standby; unknown unless pgStatus is up. */
  pgRole: string;
  /** Bytes behind the primary ("1024"); seconds ("0.25 s") where pgpool has delay_threshold_by_time (4.4). */
  replicationDelay: string;
  /** From pg_stat_replication; empty without sr_check, without a matching application_name, and for the primary. */
  replicationState: string;
  replicationSyncState: string;
  /** ISO time, to the second. */
  statusChangedAt: string;
}

export interface PcpMessage {
  readonly type: string;
  readonly body: Buffer;
}

const headerBytes = 5;
const largestLength = 1 << 20;
const replyTypes = 'mrlicdbEN';
const randMax = 2147483647; // glibc's RAND_MAX: weights are shares of it (pool_config_variables.c)

function protocolFailure(message: string): PcpFailure {
  return new PcpFailure('protocol', message);
}

/** One line without control characters, at most 300 characters: the peer chose this text and it lands in logs. */
function printable(text: string): string {
  return text.replace(/\p{Cc}+/gu, ' ').slice(0, 300);
}

function encodeMessage(type: string, ...texts: string[]): Buffer {
  const body = Buffer.from(texts.join(''));
  const header = Buffer.alloc(headerBytes, type);
  header.writeUInt32BE(body.length + 4, 1);
  return Buffer.concat([header, body]);
}

/** Decimal node id. RangeError unless it is a whole number from 0: -1 would mean "all nodes" to pgpool. */
function nodeText(node: number): string {
  if (!Number.isSafeInteger(node) || node < 0) throw new RangeError(`not a node id: ${node}`);
  return String(node);
}

/** Requests. Ids go as text; the replies are noted in pcp.ts, which asks. */
export const encode = {
  saltRequest: () => encodeMessage('M'),
  /** md5(md5(md5(password) + user) + salt), each in lower-case hexadecimal (pcp.c, pcp_authorize). */
  login: (user: string, password: string, salt: Buffer) => {
    const stored = md5(md5(md5(password) + user), salt);
    return encodeMessage('R', user, '\0', stored, '\0');
  },
  nodeCountRequest: () => encodeMessage('L'),
  nodeInfoRequest: (node: number) => encodeMessage('I', nodeText(node), '\0'),
  settingsRequest: () => encodeMessage('B'),
  attach: (node: number) => encodeMessage('C', nodeText(node), '\0'),
  detach: (node: number) => encodeMessage('D', nodeText(node), '\0'),
  /** "n": only the node's state is changed; "s" would be pgpool's own switchover (pcp.c, _pcp_promote_node). 4.2 reads the id only. */
  promote: (node: number) => encodeMessage('J', nodeText(node), ' \0', 'n'),
  goodbye: () => encodeMessage('X'),
};

function md5(text: string, salt: Buffer = Buffer.alloc(0)): string {
  return createHash('md5').update(text).update(salt).digest('hex');
}

/**
 * Cuts a stream of chunks of any size into messages. Throws PcpFailure: `protocol` as soon as a header is impossible
 * (unknown type, length under 4 or over 1 MiB), `lost` when the stream ends, since PCP's client is the one to hang up.
 */
export async function* readMessages(chunks: AsyncIterable<Buffer>): AsyncGenerator<PcpMessage, never> {
  let bytes = Buffer.alloc(0);
  for await (const chunk of chunks) {
    bytes = Buffer.concat([bytes, chunk]);
    let size = messageSize(bytes);
    while (size !== null && bytes.length >= size) {
      yield { type: String.fromCharCode(bytes.readUInt8(0)), body: bytes.subarray(headerBytes, size) };
      bytes = bytes.subarray(size);
      size = messageSize(bytes);
    }
  }
  const where = bytes.length === 0 ? 'before the answer was complete' : 'in the middle of a message';
  throw new PcpFailure('lost', `the connection was closed ${where}`);
}

/** Bytes of the first message, header included; null while the header is incomplete. */
function messageSize(bytes: Buffer): number | null {
  if (bytes.length === 0) return null;
  const type = bytes.readUInt8(0);
  if (!replyTypes.includes(String.fromCharCode(type))) {
    throw protocolFailure(`byte ${type} is no PCP reply; does something else than pgpool's PCP listen there?`);
  }
  if (bytes.length < headerBytes) return null;
  const length = bytes.readUInt32BE(1);
  if (length < 4 || length > largestLength) throw protocolFailure(`a message cannot be ${length} bytes long`);
  return length + 1;
}

/** The NUL-terminated texts of a body. */
function readTexts(body: Buffer): string[] {
  if (body.at(-1) !== 0) throw protocolFailure('a text is not terminated');
  return body.toString('utf8', 0, body.length - 1).split('\0');
}

/** The four bytes to hash the password with. */
export function decodeSalt(body: Buffer): Buffer {
  if (body.length !== 4) throw protocolFailure(`the salt has ${body.length} bytes instead of 4`);
  return body;
}

/** Succeeds when the body is exactly these texts, such as CommandComplete. */
export function expectTexts(body: Buffer, ...expected: string[]): void {
  const texts = readTexts(body);
  if (texts.join('\0') !== expected.join('\0')) {
    throw protocolFailure(`expected ${expected.join(' ')}, got ${printable(texts.join(' '))}`);
  }
}

export function decodeNodeCount(body: Buffer): number {
  const [code, count, ...rest] = readTexts(body);
  if (code !== 'CommandComplete' || rest.length > 0) throw protocolFailure('the answer is not a node count');
  return readNumber('node count', count, /^\d{1,3}$/);
}

/** Body of one message of the settings' answer: a name and its value, or which end of the list this is (pcp_worker.c, process_status_request). */
export function decodeSetting(body: Buffer): { readonly name: string; readonly value: string } | 'begins' | 'ends' {
  // A number in four bytes follows.
  if (body.toString('latin1').startsWith('ArraySize\0')) return 'begins';
  const [code, name, value] = readTexts(body);
  if (code === 'CommandComplete') return 'ends';
  if (code !== 'ProcessConfig' || name === undefined || value === undefined)
    throw protocolFailure('the answer is not a list of settings');
  return { name, value };
}

/** By the number of fields (inform_node_info): 9 to pgpool 4.2.7, 10 from 4.2.8, 11 in 4.3.0, 12 from 4.3.1, 13 from 4.4. */
const nodeForms: Readonly<Record<number, string>> = {
  9: 'host port status weight role delay state syncState changedAt',
  10: 'host port status quarantine weight role delay state syncState changedAt',
  11: 'host port status pgStatus weight role pgRole delay state syncState changedAt',
  12: 'host port status quarantine pgStatus weight role pgRole delay state syncState changedAt',
  13: 'host port status quarantine pgStatus weight role pgRole byTime delay state syncState changedAt',
};

/** Whether a first answer is already the node, as in pgpool 4.2; later ones send ArraySize, NodeInfo, CommandComplete. */
export function isLoneNodeInfo(body: Buffer): boolean {
  return body.toString('latin1').startsWith('CommandComplete\0');
}

/** Body of a node's message: NodeInfo and 11 to 13 fields, or, with pgpool 4.2, CommandComplete and 9 or 10 fields. */
export function decodeNodeInfo(body: Buffer): PcpNodeInfo {
  const [code, ...texts] = readTexts(body);
  const form = nodeForms[texts.length]?.split(' ');
  if (!form || code !== (texts.length < 11 ? 'CommandComplete' : 'NodeInfo')) {
    const seen = `${texts.length} fields after ${printable(code ?? '')}`;
    throw protocolFailure(
      `a node has ${seen}; pgpool 4.2 sends 9 or 10 after CommandComplete, newer ones 11 to 13 after NodeInfo`,
    );
  }
  const field = (name: string, otherwise = ''): string => texts[form.indexOf(name)] ?? otherwise;
  const delayUnits = readNumber('replication delay', field('delay'), /^-?\d{1,20}$/);
  const isByTime = readName('delay_by_time', field('byTime', '0'), ['no', 'yes']) === 'yes';
  const weight = field('weight');
  return {
    host: field('host'),
    port: readNumber('port', field('port'), /^\d{1,5}$/),
    status: readName('status', field('status'), statuses),
    isQuarantined: readName('quarantine', field('quarantine', '0'), ['no', 'yes']) === 'yes',
    pgStatus: field('pgStatus', 'unknown'),
    weight: /^-?nan$/.test(weight) ? 0 : readNumber('weight', weight, /^\d{1,12}\.\d{1,9}$/) / randMax,
    role: readName('role', field('role'), roles),
    pgRole: field('pgRole', 'unknown'),
    replicationDelay: isByTime ? `${delayUnits / 1e6} s` : field('delay'),
    replicationState: field('state'),
    replicationSyncState: field('syncState'),
    statusChangedAt: new Date(readNumber('time of change', field('changedAt'), /^\d{1,11}$/) * 1000).toISOString(),
  };
}

function readNumber(what: string, text: string | undefined, pattern: RegExp): number {
  if (text === undefined || !pattern.test(text)) {
    throw protocolFailure(`${what} is not a number: "${printable(text ?? '')}"`);
  }
  return Number(text);
}

/** pgpool sends an enumeration as its number. */
function readName<Name extends string>(what: string, text: string | undefined, names: readonly Name[]): Name {
  const name = names[readNumber(what, text, /^\d$/)];
  if (name === undefined) throw protocolFailure(`${what} ${printable(text ?? '')} is unknown`);
  return name;
}

/** The text of an E message, on one line; its fields are PostgreSQL's (elog.c, send_message_to_frontend). */
export function decodeServerError(body: Buffer): string {
  const texts = readTexts(body);
  const field = (letter: string): string | undefined => texts.find((text) => text.startsWith(letter))?.slice(1);
  const message = field('M');
  if (message === undefined) throw protocolFailure('an error without a message');
  const parts = [`${field('S') ?? 'ERROR'}: ${message}`, field('D'), field('H')];
  return printable(parts.filter((part) => part !== undefined).join('; '));
}
