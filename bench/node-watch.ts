// Watches nodes from outside: when does one accept writes, when does another stream from it? Both sides of a row are
// watched in the same way, and no more often than needed: a look every millisecond keeps half a core busy.

import type { Client } from 'pg';
import type { Bed } from './bed';
import { now } from './clock';

export class NodeWatch {
  private constructor(
    private readonly clients: ReadonlyMap<number, Client>,
    private readonly everyMs: number,
  ) {}

  /**
   * Must be called while the nodes are well. @param everyMs the pause between two looks, so the greatest delay of an
   * answer
   */
  static async open(bed: Bed, nodes: readonly number[], everyMs: number): Promise<NodeWatch> {
    const clients = await Promise.all(nodes.map(async (id) => [id, await bed.connect(id)] as const));
    return new NodeWatch(new Map(clients), everyMs);
  }

  /** The first node that is out of recovery, and the time of the look that saw it. */
  async untilWritable(signal: AbortSignal): Promise<{ readonly node: number; readonly at: number }> {
    const found = new AbortController();
    const either = AbortSignal.any([signal, found.signal]);
    try {
      return await Promise.any(
        [...this.clients].map(async ([node, client]) => {
          const text = 'select pg_is_in_recovery() as is';
          await this.until(async () => (await client.query<{ is: boolean }>(text)).rows[0]?.is === false, either);
          return { node, at: now() };
        }),
      );
    } finally {
      found.abort();
    }
  }

  /** The time at which the primary first has every one of these standbys streaming, by application name. */
  async untilStreaming(primary: number, standbys: readonly number[], signal: AbortSignal): Promise<number> {
    const client = this.clients.get(primary);
    if (!client) throw new Error(`node ${primary} is not watched`);
    const names = standbys.map((id) => `node${id}`);
    const text = `select count(*)::int as n from pg_stat_replication where state = 'streaming' and application_name = any($1)`;
    await this.until(
      async () => (await client.query<{ n: number }>(text, [names])).rows[0]?.n === names.length,
      signal,
    );
    return now();
  }

  async close(): Promise<void> {
    await Promise.all([...this.clients.values()].map((client) => client.end().catch(() => undefined)));
  }

  private async until(condition: () => Promise<boolean>, signal: AbortSignal): Promise<void> {
    while (!(await condition())) {
      signal.throwIfAborted();
      await new Promise((resolve) => setTimeout(resolve, this.everyMs));
    }
  }
}
