// A write load with an honest journal: every id is attempted once, and its result is known or "unknown". The demo, the
// scenarios and the benchmarks share it.

import { Client, type ClientConfig } from 'pg';
import { messageOf } from '../activities/io/failures';

export interface Acknowledged {
  readonly id: number;
  /** Milliseconds of this process's clock, when COMMIT was answered. */
  readonly at: number;
}

export interface Journal {
  readonly acknowledged: readonly Acknowledged[];
  /** Ids whose connection broke before the answer: written or not. */
  readonly unknown: readonly number[];
  readonly errors: ReadonlyMap<string, number>;
}

export interface WorkloadOptions {
  /** Through pgpool: host, port, user, database, password. */
  readonly connection: ClientConfig;
  readonly table: string;
  readonly writers: number;
  readonly pauseMs: number;
}

// Generous, like most clients: a pgpool child that has a connection while nodes change looks again only after a second.
const connectMs = 3000;
const queryMs = 1000;

export class Workload {
  private readonly acknowledgedIds: Acknowledged[] = [];
  private readonly unknownIds: number[] = [];
  private readonly errorCounts = new Map<string, number>();
  private running: Promise<unknown> = Promise.resolve();
  private nextId = 1;
  private isStopping = false;

  constructor(private readonly options: WorkloadOptions) {}

  /** Creates the table (empty) and starts the writers. */
  async start(): Promise<void> {
    const client = new Client(this.options.connection);
    await client.connect();
    await client.query(`drop table if exists ${this.options.table}`);
    await client.query(`create table ${this.options.table} (id bigint primary key, writer int not null)`);
    await client.end();
    this.running = Promise.all(Array.from({ length: this.options.writers }, (_, writer) => this.write(writer)));
  }

  get journal(): Journal {
    return { acknowledged: this.acknowledgedIds, unknown: this.unknownIds, errors: this.errorCounts };
  }

  /** Resolves once `count` writes that were sent after this call are acknowledged. */
  async untilAcknowledged(count: number, timeoutMs: number): Promise<void> {
    const from = performance.now();
    const isEnough = (): boolean => this.acknowledgedIds.filter((entry) => entry.at > from).length >= count;
    while (!isEnough()) {
      if (performance.now() - from > timeoutMs)
        throw new Error(`no ${count} acknowledged writes within ${timeoutMs} ms: ${describeErrors(this.errorCounts)}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  async stop(): Promise<Journal> {
    this.isStopping = true;
    await this.running;
    return this.journal;
  }

  private async write(writer: number): Promise<void> {
    let client: Client | null = null;
    while (!this.isStopping) {
      try {
        client ??= await this.connect();
        await this.insert(client, writer);
      } catch (error) {
        const text = messageOf(error);
        this.errorCounts.set(text, (this.errorCounts.get(text) ?? 0) + 1);
        // A hung server never answers the end of a connection.
        if (client) destroy(client);
        client = null;
      }
      await new Promise((resolve) => setTimeout(resolve, this.options.pauseMs));
    }
    if (client) await client.end().catch(() => undefined);
  }

  private async connect(): Promise<Client> {
    const client = new Client({
      ...this.options.connection,
      connectionTimeoutMillis: connectMs,
      query_timeout: queryMs,
    });
    client.on('error', () => undefined);
    try {
      await client.connect();
      return client;
    } catch (error) {
      destroy(client);
      throw error;
    }
  }

  /** Inserts one id. An id is never used twice: after an error it is unknown whether it was written. */
  private async insert(client: Client, writer: number): Promise<void> {
    const id = this.nextId++;
    try {
      const { rowCount } = await client.query(`insert into ${this.options.table} values ($1, $2)`, [id, writer]);
      // Seen at moments when no node accepted writes: an answer without a row.
      if (rowCount !== 1) throw new Error(`the answer to an INSERT says ${String(rowCount)} rows`);
      this.acknowledgedIds.push({ id, at: performance.now() });
    } catch (error) {
      this.unknownIds.push(id);
      throw error;
    }
  }
}

/** Times are performance.now's. */
export interface Gap {
  readonly from: number;
  readonly to: number;
}

/** The longest time without an acknowledged write, over all writers; only gaps that ended at `since` or later. */
export function findLongestGap({ acknowledged }: Journal, since = 0): Gap {
  let longest: Gap = { from: since, to: since };
  let from = acknowledged[0]?.at ?? 0;
  for (const { at } of acknowledged) {
    if (at >= since && at - from > longest.to - longest.from) longest = { from, to: at };
    from = at;
  }
  return longest;
}

export function longestGapMs(journal: Journal, since = 0): number {
  const { from, to } = findLongestGap(journal, since);
  return to - from;
}

/** Acknowledged ids that the table on this node does not hold, compared id by id. */
export async function findLostIds(journal: Journal, connection: ClientConfig, table: string): Promise<number[]> {
  // Look at acknowledged ids first: the load may go on, and later ids may come after the look.
  const acknowledged = journal.acknowledged.map((entry) => entry.id);
  const client = new Client(connection);
  await client.connect();
  try {
    const { rows } = await client.query<{ id: string }>(`select id::text as id from ${table}`);
    const present = new Set(rows.map((row) => Number(row.id)));
    return acknowledged.filter((id) => !present.has(id));
  } finally {
    await client.end();
  }
}

function destroy(client: Client): void {
  (client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
}

function describeErrors(errors: ReadonlyMap<string, number>): string {
  return [...errors].map(([text, count]) => `${count} x ${text}`).join('; ') || 'no error';
}
