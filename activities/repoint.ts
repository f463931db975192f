// Makes a standby stream from another primary by reload (primary_conninfo is reloadable since PostgreSQL 13), and proves it.

import { heartbeat, sleep } from '@temporalio/activity';
import { type ClusterConfiguration, getNode } from '../domain/cluster';
import { parseConninfo, repointConninfo } from '../domain/conninfo';
import { failure } from './io/failures';
import { readNodeFacts } from './io/node-facts';
import { quoteLiteral } from './io/postgres';
import { sqlTarget, type Tools } from './io/tools';

export interface RepointInput {
  readonly configuration: ClusterConfiguration;
  readonly node: number;
  readonly primary: number;
  readonly timeline: number;
}

export interface RepointResult {
  readonly changed: boolean;
  readonly line: string;
}

const sqlMs = 2000;
const streamingMs = 15_000;

/** @throws WorldChanged when the node left recovery; Unproven when it does not stream on the primary's timeline in time. */
export async function repoint(tools: Tools, input: RepointInput): Promise<RepointResult> {
  const { configuration } = input;
  const node = getNode(configuration, input.node);
  const primary = getNode(configuration, input.primary);
  const target = sqlTarget(configuration, node);
  const [row] = await tools.sql.query<{ conninfo: string; is_in_recovery: boolean }>(
    target,
    `select current_setting('primary_conninfo') as conninfo, pg_is_in_recovery() as is_in_recovery`,
    { timeoutMs: sqlMs },
  );
  if (row?.is_in_recovery !== true)
    throw failure('worldChanged', `node ${String(node.id)} is not in recovery: it cannot follow`);
  if (parseConninfo(row.conninfo) === null) {
    throw failure(
      'configuration',
      `primary_conninfo of node ${String(node.id)} is not keyword = value text: write it so, or its settings would be lost`,
    );
  }
  const wanted = repointConninfo(row.conninfo, {
    host: primary.host,
    port: primary.port,
    user: configuration.postgres.replicationUser,
    applicationName: node.applicationName,
    passFile: configuration.postgres.passFile,
  });
  const changed = wanted !== row.conninfo;
  if (changed) {
    await tools.sql.query(target, `alter system set primary_conninfo = ${quoteLiteral(wanted)}`, { timeoutMs: sqlMs });
    await tools.sql.query(target, 'select pg_reload_conf()', { timeoutMs: sqlMs });
  }
  await confirmStreaming(tools, input);
  return {
    changed,
    line: `node ${String(node.id)} streams from node ${String(primary.id)} on timeline ${String(input.timeline)}`,
  };
}

/** Both ends must say so: the standby's receiver names the primary and its timeline, the primary lists the standby. */
async function confirmStreaming(tools: Tools, input: RepointInput): Promise<void> {
  const { configuration } = input;
  const node = getNode(configuration, input.node);
  const primary = getNode(configuration, input.primary);
  const deadline = Date.now() + streamingMs;
  let seen = '';
  do {
    heartbeat(seen);
    const { walReceiver, sql, sqlSeen } = await readNodeFacts(tools.sql, configuration, node, sqlMs);
    const isReceiving =
      walReceiver?.isStreaming &&
      walReceiver.host === primary.host &&
      walReceiver.port === primary.port &&
      walReceiver.timeline === input.timeline;
    if (isReceiving && (await isListed(tools, configuration, input))) return;
    seen =
      sql !== 'answered'
        ? sqlSeen
        : walReceiver
          ? `receiver at ${String(walReceiver.host)}, timeline ${String(walReceiver.timeline)}`
          : 'no WAL receiver';
    await sleep(10);
  } while (Date.now() < deadline);
  throw failure(
    'unproven',
    `node ${String(node.id)} does not stream from node ${String(primary.id)} on timeline ${String(input.timeline)}: ${seen}; its log says why`,
  );
}

async function isListed(tools: Tools, configuration: ClusterConfiguration, input: RepointInput): Promise<boolean> {
  const rows = await tools.sql.query(
    sqlTarget(configuration, getNode(configuration, input.primary)),
    `select 1 from pg_stat_replication where application_name = $1 and state = 'streaming'`,
    { values: [getNode(configuration, input.node).applicationName], timeoutMs: sqlMs },
  );
  return rows.length > 0;
}
