// Warm connections to each node, so that a query on the worst night costs one round trip and no handshake.
// Every failure is classified by SQLSTATE or socket code, never by message text, which is translated.

import type { ConnectionOptions } from 'node:tls';
import { Client, DatabaseError, type QueryResultRow } from 'pg';
import { messageOf } from '../failures';
import { type PassFileEntry, readPassword } from './pg-pass';
import { connectByMode, type TlsSettings } from './tls';

export interface SqlTarget extends PassFileEntry {
  readonly tls: TlsSettings;
}

/** recovering: SQLSTATE 57P03; rejected: any other error from the server; lost: the connection broke in mid-query. */
export type SqlFailureKind = 'refused' | 'silent' | 'recovering' | 'rejected' | 'lost';

export class SqlFailure extends Error {
  constructor(
    readonly kind: SqlFailureKind,
    message: string,
    readonly sqlState: string | null = null,
  ) {
    super(message);
    this.name = 'SqlFailure';
  }
}

/**
 * One connection each, where one query runs at a time. look: what one node says of itself. act: what is quick, and must not hold up
 * a look. long: what may take a minute; opened for that query alone, and closed after it.
 */
export type Lane = 'look' | 'act' | 'long';

interface Warm {
  readonly client: Client;
  isBroken: boolean;
  /** Resolves when whoever came last has had its turn. */
  turn: Promise<void>;
}

const silentCodes = new Set(['ENOTFOUND', 'EAI_AGAIN', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH']);
const lostCodes = new Set(['ECONNRESET', 'EPIPE']);
/** A query of the lane `long` may take so much more than its own time, because its connection is closed after it. */
export const goodbyeMs = 300;

export class SqlConnections {
  private readonly warmClients = new Map<string, Promise<Warm>>();
  private isClosed = false;

  /**
   * Runs one statement. A warm connection that turns out broken is replaced once, so the statement may have been sent
   * twice: every statement of ours may be repeated. Only a statement that was sent and not answered condemns its connection.
   * @throws SqlFailure within timeoutMs
   */
  async query<Row extends QueryResultRow>(
    target: SqlTarget,
    text: string,
    { lane = 'act', values, timeoutMs }: { values?: unknown[]; timeoutMs: number; lane?: Lane },
  ): Promise<Row[]> {
    const deadline = Date.now() + timeoutMs;
    const key = keyOf(target, lane);
    for (let isFirst = true; ; isFirst = false) {
      const wasWarm = this.warmClients.has(key);
      const warm = await this.connect(target, key, deadline - Date.now());
      const leave = await takeTurn(warm, deadline - Date.now(), target);
      try {
        const config = { text, ...(values && { values }), query_timeout: Math.max(1, deadline - Date.now()) };
        return (await warm.client.query<Row>(config)).rows;
      } catch (error) {
        const failed = classify(error, target);
        if (failed.kind !== 'rejected') discard(warm);
        if (failed.kind === 'lost' && isFirst && wasWarm) continue;
        throw failed;
      } finally {
        leave();
        if (lane === 'long') await this.forget(key, warm);
      }
    }
  }

  /** Opens the connections that must be fast if they are not open, and proves that they work. Never throws. */
  async warm(target: SqlTarget, timeoutMs: number): Promise<void> {
    const lanes = ['look', 'act'] as const;
    await Promise.allSettled(lanes.map((lane) => this.query(target, 'select 1', { timeoutMs, lane })));
  }

  async close(): Promise<void> {
    this.isClosed = true;
    const clients = [...this.warmClients.values()];
    this.warmClients.clear();
    await Promise.allSettled(clients.map(async (opening) => close(await opening)));
  }

  /** A query that waits for its turn there opens another connection. */
  private async forget(key: string, warm: Warm): Promise<void> {
    const opening = this.warmClients.get(key);
    if (opening && (await opening.catch(() => null)) === warm) this.warmClients.delete(key);
    if (!warm.isBroken) await close(warm);
  }

  private async connect(target: SqlTarget, key: string, timeoutMs: number): Promise<Warm> {
    const deadline = Date.now() + timeoutMs;
    for (let existing = this.warmClients.get(key); existing; existing = this.warmClients.get(key)) {
      const warm = await withinBound(existing, deadline - Date.now(), target);
      if (!warm.isBroken) return warm;
      // Another caller may have replaced it meanwhile: that one is then used, and never lost from the map.
      if (this.warmClients.get(key) === existing) this.warmClients.delete(key);
    }
    if (this.isClosed) throw new SqlFailure('lost', 'the worker is shutting down');
    const opening = open(target, Math.max(1, deadline - Date.now()));
    this.warmClients.set(key, opening);
    opening.catch(() => {
      if (this.warmClients.get(key) === opening) this.warmClients.delete(key);
    });
    return await opening;
  }
}

/**
 * The answer ends the turn. Whoever gives up waiting has sent nothing, and lets the next one wait for those before.
 * @throws SqlFailure silent
 */
async function takeTurn(warm: Warm, timeoutMs: number, target: SqlTarget): Promise<() => void> {
  const before = warm.turn;
  let leave = (): void => undefined;
  warm.turn = new Promise<void>((resolve) => {
    leave = resolve;
  });
  try {
    await withinBound(before, timeoutMs, target);
  } catch (error) {
    void before.then(leave);
    throw error;
  }
  return leave;
}

/** A frozen server never answers a polite goodbye: the socket is closed without one. */
function discard(warm: Warm): void {
  warm.isBroken = true;
  (warm.client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
}

async function close(warm: Warm): Promise<void> {
  const impatience = setTimeout(() => {
    discard(warm);
  }, goodbyeMs);
  await warm.client.end();
  clearTimeout(impatience);
}

async function open(target: SqlTarget, timeoutMs: number): Promise<Warm> {
  const deadline = Date.now() + timeoutMs;
  try {
    return await connectByMode(target.tls, (ssl) => openOnce(target, ssl, Math.max(1, deadline - Date.now())));
  } catch (error) {
    // A root certificate that cannot be read.
    throw error instanceof SqlFailure ? error : classifyConnect(error, target);
  }
}

async function openOnce(target: SqlTarget, ssl: ConnectionOptions | false, timeoutMs: number): Promise<Warm> {
  const client = new Client({
    ssl,
    host: target.host,
    port: target.port,
    user: target.user,
    database: target.database,
    password: () => readPassword(target),
    connectionTimeoutMillis: timeoutMs,
    keepAlive: true,
    // A firewall forgets a silent connection long before the kernel's two hours.
    keepAliveInitialDelayMillis: 10_000,
    application_name: 'pgpool-runbook',
    // Nothing of ours may wait for a synchronous standby: that wait is what a failover has to end.
    options: '-c synchronous_commit=local -c statement_timeout=0',
  });
  const warm: Warm = { client, isBroken: false, turn: Promise.resolve() };
  client.on('error', () => {
    warm.isBroken = true;
  });
  client.on('end', () => {
    warm.isBroken = true;
  });
  try {
    await client.connect();
    return warm;
  } catch (error) {
    void client.end().catch(() => undefined);
    throw classifyConnect(error, target);
  }
}

async function withinBound<T>(promise: Promise<T>, timeoutMs: number, target: SqlTarget): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const bound = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new SqlFailure('silent', `${nameOf(target)}: no answer within ${timeoutMs} ms`));
    }, timeoutMs);
  });
  try {
    return await Promise.race([promise, bound]);
  } finally {
    clearTimeout(timer);
  }
}

/** Only the server's own errors have one: EPIPE, a socket's code, looks like one, too. */
function sqlStateOf(error: unknown): string | null {
  return error instanceof DatabaseError ? (error.code ?? null) : null;
}

function classify(error: unknown, target: SqlTarget): SqlFailure {
  if (error instanceof SqlFailure) return error;
  const sqlState = sqlStateOf(error);
  const message = `${nameOf(target)}: ${messageOf(error)}`;
  if (sqlState === '57P03') return new SqlFailure('recovering', message, sqlState);
  // 57P01-57P02: the backend was told to end; the postmaster's own state is asked for by a new connection.
  if (sqlState !== null && !sqlState.startsWith('57P')) return new SqlFailure('rejected', message, sqlState);
  if (messageOf(error) === 'Query read timeout')
    return new SqlFailure('silent', `${nameOf(target)}: no answer in time`);
  return new SqlFailure('lost', message);
}

function classifyConnect(error: unknown, target: SqlTarget): SqlFailure {
  const sqlState = sqlStateOf(error);
  const { code = '' } = error as { code?: string };
  const message = `${nameOf(target)}: ${messageOf(error)}`;
  if (code === 'ECONNREFUSED') return new SqlFailure('refused', message);
  // 57P01, 57P02: told to end while it was starting; the next connection shows the postmaster's own state.
  if (sqlState === '57P01' || sqlState === '57P02') return new SqlFailure('lost', message, sqlState);
  if (sqlState !== null) return new SqlFailure(sqlState === '57P03' ? 'recovering' : 'rejected', message, sqlState);
  if (/timeout/i.test(messageOf(error)) || silentCodes.has(code)) return new SqlFailure('silent', message);
  // Accepted, then closed or reset without a word, as a dying postmaster does.
  if (lostCodes.has(code) || /terminated/.test(messageOf(error))) return new SqlFailure('lost', message);
  return new SqlFailure('rejected', message);
}

function nameOf(target: SqlTarget): string {
  return `PostgreSQL at ${target.host}:${target.port}`;
}

function keyOf(target: SqlTarget, lane: Lane): string {
  return JSON.stringify([target.host, target.port, target.user, target.database, target.tls, lane]);
}

/** ALTER SYSTEM takes no parameters. standard_conforming_strings is on since PostgreSQL 9.1. */
export function quoteLiteral(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
