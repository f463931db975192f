// Writes synchronous_standby_names on the primary from who really streams, by policy.synchronous.

import { type ClusterConfiguration, getNode } from '../domain/cluster';
import { formatSynchronousStandbyNames } from '../domain/synchronous';
import { quoteLiteral } from './io/postgres';
import { sqlTarget, type Tools } from './io/tools';

export interface SetSynchronousStandbysInput {
  readonly configuration: ClusterConfiguration;
  readonly primary: number;
}

/** Idempotent; returns the value in force. */
export async function setSynchronousStandbys(
  tools: Tools,
  input: SetSynchronousStandbysInput,
): Promise<{ changed: boolean; line: string }> {
  const { configuration } = input;
  const target = sqlTarget(configuration, getNode(configuration, input.primary));
  const timeoutMs = 2000;
  const rows = await tools.sql.query<{ application_name: string }>(
    target,
    `select application_name from pg_stat_replication where state = 'streaming'`,
    { timeoutMs },
  );
  const streaming = configuration.nodes.filter((node) =>
    // PostgreSQL compares these names without case (syncrep.c).
    rows.some((row) => row.application_name.toLowerCase() === node.applicationName.toLowerCase()),
  );
  // With nobody streaming, an empty list would let commits pass: "wait" names everybody who may come back.
  const isWaiting = streaming.length === 0 && configuration.policy.synchronous.whenNone === 'wait';
  const named = isWaiting ? configuration.nodes.filter((node) => node.id !== input.primary) : streaming;
  const wanted = formatSynchronousStandbyNames(
    configuration,
    named.map((node) => node.id),
  );
  const [row] = await tools.sql.query<{ value: string }>(
    target,
    `select current_setting('synchronous_standby_names') as value`,
    { timeoutMs },
  );
  const changed = row?.value !== wanted;
  if (changed) {
    await tools.sql.query(target, `alter system set synchronous_standby_names = ${quoteLiteral(wanted)}`, {
      timeoutMs,
    });
    await tools.sql.query(target, 'select pg_reload_conf()', { timeoutMs });
    // Commits that the old value held are released by a standby's next message, which it may send only every 10 s
    // (wal_receiver_status_interval): a few bytes of WAL make it send one.
    await tools.sql.query(target, `select pg_logical_emit_message(false, 'pgpool-runbook', '')`, { timeoutMs });
  }
  return { changed, line: wanted === '' ? 'replication is asynchronous' : `commits wait for ${wanted}` };
}
