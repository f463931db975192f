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
    rows.some((row) => row.application_name === node.applicationName),
  );
  const wanted = formatSynchronousStandbyNames(
    configuration,
    streaming.map((node) => node.id),
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
  }
  return { changed, line: wanted === '' ? 'replication is asynchronous' : `commits wait for ${wanted}` };
}
