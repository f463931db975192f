// Talks PCP to one pgpool: one TCP connection per call, bounded in total, always closed; or a session. Every failure is a PcpFailure.
// A request that succeeds is only queued: whether pgpool acted is to be read from readNodeInfo afterwards. About a second after
// each change of a node pgpool restarts PCP (pgpool_main.c, failover), which may cut a call: `lost`, to be asked again.
import { connect, type Socket } from 'node:net';
import { type PcpLogin, readPcpPassword } from './pcp-pass';
import {
  decodeNodeCount,
  decodeNodeInfo,
  decodeSalt,
  decodeServerError,
  decodeSetting,
  encode,
  expectTexts,
  isLoneNodeInfo,
  PcpFailure,
  type PcpMessage,
  type PcpNodeInfo,
  readMessages,
} from './protocol';

export { PcpFailure, type PcpFailureKind, type PcpNodeInfo, type PcpStatus } from './protocol';

/** A pgpool of the cluster file. */
export interface PcpTarget extends PcpLogin {
  readonly name: string;
}

/** `timeoutMs` bounds the whole call: reading the password, connecting, authenticating, the answer. */
export interface PcpOptions {
  readonly timeoutMs: number;
}

/** How many backends pgpool.conf lists; node ids run from 0. */
export async function readNodeCount(target: PcpTarget, options: PcpOptions): Promise<number> {
  return call(target, options, 'node count', askNodeCount);
}

async function askNodeCount(conversation: Conversation): Promise<number> {
  conversation.send(encode.nodeCountRequest());
  return decodeNodeCount(await conversation.receive('l'));
}

/**
 * pgpool's opinion of a node and, from 4.3 on, what it sees there now: it pings the node before it answers, so a host
 * that drops packets costs its connect_timeout (10 s by default, measured): within less, expect `silent` for that node.
 * An id that pgpool.conf does not list is `rejected`.
 */
export async function readNodeInfo(target: PcpTarget, node: number, options: PcpOptions): Promise<PcpNodeInfo> {
  return call(target, options, `node info of node ${node}`, (conversation) => askNodeInfo(conversation, node));
}

async function askNodeInfo(conversation: Conversation, node: number): Promise<PcpNodeInfo> {
  conversation.send(encode.nodeInfoRequest(node));
  const first = await conversation.receive('i');
  if (isLoneNodeInfo(first)) return decodeNodeInfo(first);
  expectTexts(first, 'ArraySize', '1');
  const info = decodeNodeInfo(await conversation.receive('i'));
  expectTexts(await conversation.receive('i'), 'CommandComplete');
  return info;
}

/** The live value of one parameter, as pcp_pool_status prints it; null where this pgpool does not list it. */
export async function readSetting(target: PcpTarget, name: string, options: PcpOptions): Promise<string | null> {
  return call(target, options, `value of ${name}`, async (conversation) => {
    conversation.send(encode.settingsRequest());
    for (let value: string | null = null; ;) {
      const setting = decodeSetting(await conversation.receive('b'));
      if (setting === 'ends') return value;
      if (setting !== 'begins' && setting.name === name) ({ value } = setting);
    }
  });
}

/**
 * Asks pgpool to use a node again. pgpool does not check that the node lives, streams, or is detached; it runs a failback for
 * any id below 128, listed or not (pool_internal_comms.c, send_failback_request; measured), so an id beyond the node
 * count is `rejected` here.
 */
export async function requestAttach(target: PcpTarget, node: number, options: PcpOptions): Promise<void> {
  await call(target, options, `attach of node ${node}`, async (conversation) => {
    const count = await askNodeCount(conversation);
    if (node >= count) throw new PcpFailure('rejected', `not asked, as pgpool.conf lists ${count} nodes only`);
    await ask(conversation, encode.attach(node), 'c');
  });
}

/**
 * Asks pgpool not to use a node, without waiting for its clients. `rejected` when the node is down already, unknown, or
 * flagged DISALLOW_TO_FAILOVER (pool_internal_comms.c, degenerate_backend_set_ex). For the primary, pgpool calls failover_command.
 */
export async function requestDetach(target: PcpTarget, node: number, options: PcpOptions): Promise<void> {
  await call(target, options, `detach of node ${node}`, (conversation) => ask(conversation, encode.detach(node), 'd'));
}

/**
 * Asks pgpool to take a node for the primary. PostgreSQL is not promoted; pgpool marks every other node down and calls
 * follow_primary_command for them. `rejected` for the node that pgpool takes for the primary already, and for an unknown id;
 * a node that is down is ignored without an error (pool_internal_comms.c, promote_backend).
 */
export async function requestPromote(target: PcpTarget, node: number, options: PcpOptions): Promise<void> {
  await call(target, options, `promote of node ${node}`, (conversation) =>
    ask(conversation, encode.promote(node), 'd'),
  );
}

async function ask(conversation: Conversation, request: Buffer, replyType: string): Promise<void> {
  conversation.send(request);
  expectTexts(await conversation.receive(replyType), 'CommandComplete');
}

/** Logs in, converses, hangs up. */
async function call<Answer>(
  target: PcpTarget,
  options: PcpOptions,
  what: string,
  converse: (conversation: Conversation) => Promise<Answer>,
): Promise<Answer> {
  const { timeoutMs } = options;
  // A call whose time is up already must not act, and a timer of 0 ms may fire after the request.
  const signal = timeoutMs > 0 ? AbortSignal.timeout(Math.ceil(timeoutMs)) : AbortSignal.abort();
  let conversation: Conversation | undefined;
  try {
    const password = await readPcpPassword(target, signal);
    conversation = new Conversation(connect({ host: target.host, port: target.pcpPort, signal }));
    await logIn(conversation, target.pcpUser, password);
    return await converse(conversation);
  } catch (error) {
    throw explain(error, target, what, signal.aborted ? timeoutMs : undefined);
  } finally {
    conversation?.close();
  }
}

function explain(error: unknown, target: PcpTarget, what: string, elapsedMs?: number): PcpFailure {
  const failure = toFailure(error, target, elapsedMs);
  const place = `pgpool ${target.name} (PCP at ${target.host}:${target.pcpPort})`;
  const hint = failure.kind === 'authentication' ? `; compare pcp.conf there with ${target.passFile}` : '';
  return new PcpFailure(failure.kind, `${what} at ${place}: ${failure.message}${hint}`, { cause: failure });
}

/**
 * One connection for some questions, one at a time: each new connection is three lines in pgpool's log. To be closed at once after them: until it is, pgpool's
 * main process cannot restart PCP, and stands still in the middle of its failover (measured, pgpool 4.3.5). A question that is not answered in time closes
 * it, because its answer may still come; the next one opens another.
 */
export class PcpSession {
  private conversation: Conversation | null = null;

  constructor(private readonly target: PcpTarget) {}

  /** As readNodeInfo. */
  async readNodeInfo(node: number, { timeoutMs }: PcpOptions): Promise<PcpNodeInfo> {
    const signal = AbortSignal.timeout(Math.ceil(timeoutMs));
    const giveUp = (): void => {
      this.close();
    };
    signal.addEventListener('abort', giveUp);
    try {
      const conversation = this.conversation ?? (await this.open(signal));
      return await askNodeInfo(conversation, node);
    } catch (error) {
      const failure = explain(error, this.target, `node info of node ${node}`, signal.aborted ? timeoutMs : undefined);
      if (failure.kind !== 'rejected') this.close();
      throw failure;
    } finally {
      signal.removeEventListener('abort', giveUp);
    }
  }

  close(): void {
    this.conversation?.close();
    this.conversation = null;
  }

  private async open(signal: AbortSignal): Promise<Conversation> {
    const { target } = this;
    const password = await readPcpPassword(target, signal);
    const conversation = new Conversation(connect({ host: target.host, port: target.pcpPort }));
    this.conversation = conversation;
    await logIn(conversation, target.pcpUser, password);
    return conversation;
  }
}

async function logIn(conversation: Conversation, user: string, password: string): Promise<void> {
  conversation.send(encode.saltRequest());
  const salt = decodeSalt(await conversation.receive('m'));
  conversation.send(encode.login(user, password, salt));
  expectTexts(await conversation.receive('r', 'authentication'), 'AuthenticationOK');
}

class Conversation {
  private readonly messages: AsyncGenerator<PcpMessage, never>;

  constructor(private readonly socket: Socket) {
    // The iterator reports errors, but listens from its first use to its end only; one outside would end the process.
    socket.on('error', () => undefined);
    this.messages = readMessages(socket);
  }

  send(message: Buffer): void {
    this.socket.write(message);
  }

  /** Body of the next message, which must have this type. Notices are skipped, an error becomes a failure of `errorKind`. */
  async receive(type: string, errorKind: 'authentication' | 'rejected' = 'rejected'): Promise<Buffer> {
    for (;;) {
      const { value } = await this.messages.next();
      if (value.type === type) return value.body;
      if (value.type === 'E') throw new PcpFailure(errorKind, decodeServerError(value.body));
      if (value.type !== 'N') throw new PcpFailure('protocol', `expected a message ${type}, got ${value.type}`);
    }
  }

  /** Says goodbye, as pgpool would otherwise log a lost client, and does not wait for anything. */
  close(): void {
    if (this.socket.writable) this.socket.write(encode.goodbye());
    this.socket.destroy();
  }
}

/** Errors of the socket by what they say about pgpool; anything else is a mistake of ours and thrown as it is. */
function toFailure(error: unknown, target: PcpTarget, elapsedMs?: number): PcpFailure {
  if (error instanceof PcpFailure && elapsedMs === undefined) return error;
  if (elapsedMs !== undefined) return new PcpFailure('silent', `no complete answer within ${elapsedMs} ms`);
  const code = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : 'ERR_';
  if (code.startsWith('ERR_')) throw error;
  if (code === 'ECONNREFUSED') {
    const hint = `is pgpool running, with pcp_port = ${target.pcpPort} and pcp_listen_addresses set for this address?`;
    return new PcpFailure('refused', `connection refused; ${hint}`);
  }
  if (code === 'ECONNRESET' || code === 'EPIPE') return new PcpFailure('lost', `the connection was cut (${code})`);
  // EHOSTUNREACH, ENETUNREACH, ETIMEDOUT, ENOTFOUND, EAI_AGAIN, …: nobody answered.
  return new PcpFailure('silent', `cannot be reached (${code})`);
}

function openSession(target: PcpTarget): PcpSession {
  return new PcpSession(target);
}

/** The questions and requests as one tool. */
export const pcp = {
  readNodeCount,
  readNodeInfo,
  readSetting,
  requestAttach,
  requestDetach,
  requestPromote,
  openSession,
};
export type Pcp = typeof pcp;
