// One warm connection per node, so that a query on the worst night costs one round trip and no handshake.
// Every failure is classified by SQLSTATE or socket code, never by message text, which is translated.

import { readFile, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { ConnectionOptions } from 'node:tls';
import { Client, DatabaseError, type QueryResultRow } from 'pg';
import { messageOf } from './failures';
import { findPassword } from './pcp-pass';
import { connectByMode, type TlsSettings } from './tls';

export interface SqlTarget {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly database: string;
  readonly passFile: string;
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

interface Warm {
  readonly client: Client;
  isBroken: boolean;
}

const silentCodes = new Set(['ENOTFOUND', 'EAI_AGAIN', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH']);
const lostCodes = new Set(['ECONNRESET', 'EPIPE']);
const goodbyeMs = 300;

export class SqlConnections {
  private readonly warmClients = new Map<string, Promise<Warm>>();
  private isClosed = false;

  /**
   * Runs one statement. A warm connection that turns out broken is replaced once, so the statement may have been sent
   * twice: every statement of ours may be repeated.
   * @throws SqlFailure within timeoutMs
   */
  async query<Row extends QueryResultRow>(
    target: SqlTarget,
    text: string,
    options: { values?: unknown[]; timeoutMs: number },
  ): Promise<Row[]> {
    const deadline = Date.now() + options.timeoutMs;
    for (let isFirst = true; ; isFirst = false) {
      const wasWarm = this.warmClients.has(keyOf(target));
      const warm = await this.connect(target, deadline - Date.now());
      try {
        const timeoutMs = Math.max(1, deadline - Date.now());
        const config = { text, ...(options.values && { values: options.values }), query_timeout: timeoutMs };
        return (await warm.client.query<Row>(config)).rows;
      } catch (error) {
        const failed = classify(error, target);
        if (failed.kind !== 'rejected') discard(warm);
        if (failed.kind === 'lost' && isFirst && wasWarm) continue;
        throw failed;
      }
    }
  }

  /** Opens the connection if it is not open, and proves that it works, so that the next query is fast. Never throws. */
  async warm(target: SqlTarget, timeoutMs: number): Promise<void> {
    await this.query(target, 'select 1', { timeoutMs }).catch(() => undefined);
  }

  async close(): Promise<void> {
    this.isClosed = true;
    const clients = [...this.warmClients.values()];
    this.warmClients.clear();
    await Promise.allSettled(clients.map(async (opening) => close(await opening)));
  }

  private async connect(target: SqlTarget, timeoutMs: number): Promise<Warm> {
    const key = keyOf(target);
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
  const warm: Warm = { client, isBroken: false };
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

/** A .pgpass line for this target (PostgreSQL documentation, 34.16); undefined lets the server say that it wants one. */
async function readPassword(target: SqlTarget): Promise<string> {
  const file = target.passFile.startsWith('~/') ? join(homedir(), target.passFile.slice(2)) : target.passFile;
  const { mode } = await stat(file);
  if ((mode & 0o077) !== 0) throw new Error(`${file} is readable by others and therefore not used: chmod 600 it`);
  const password = findPassword(await readFile(file, 'utf8'), [
    target.host,
    String(target.port),
    target.database,
    target.user,
  ]);
  if (password === undefined) {
    throw new Error(`${file} has no line for ${target.host}:${String(target.port)}:${target.database}:${target.user}`);
  }
  return password;
}

async function withinBound<T>(promise: Promise<T>, timeoutMs: number, target: SqlTarget): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const bound = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new SqlFailure('silent', `${nameOf(target)}: no answer within ${String(timeoutMs)} ms`));
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
  return `PostgreSQL at ${target.host}:${String(target.port)}`;
}

function keyOf(target: SqlTarget): string {
  return JSON.stringify([target.host, target.port, target.user, target.database, target.tls]);
}

/** ALTER SYSTEM takes no parameters. standard_conforming_strings is on since PostgreSQL 9.1. */
export function quoteLiteral(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
