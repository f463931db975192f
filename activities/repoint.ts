// Makes a standby stream from another primary by reload (primary_conninfo is reloadable since PostgreSQL 13), and proves it.

import { type ClusterConfiguration, getNode } from '../domain/cluster';
import { describeRenaming, parseConninfo, repointConninfo, upstreamOf } from '../domain/conninfo';
import { failure } from './io/failures';
import { withNodeLock } from './io/node-lock';
import { alterSystem } from './io/settings';
import { confirmStreaming } from './io/streaming';
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
const lockMs = 10_000;
const actMs = 20_000;
/** Since the standby's position last advanced. */
const streamingMs = 15_000;

/**
 * @throws WorldChanged when the node left recovery; Unreachable when its lock cannot be had; WalMissing when it must be rebuilt;
 * Unproven when it does not stream on the primary's timeline in time
 */
export async function repoint(tools: Tools, input: RepointInput): Promise<RepointResult> {
  const { configuration } = input;
  const node = getNode(configuration, input.node);
  // The lock needs ssh: a standby that is set right already must not depend on it.
  const renamed =
    (await readDifference(tools, input)) !== null &&
    (await withNodeLock(
      tools,
      { configuration, node, waitMs: lockMs, timeoutMs: actMs, isRequired: true },
      async ({ confirm }) => {
        const difference = await readDifference(tools, input);
        if (difference === null) return false;
        const { wanted: value, current } = difference;
        const target = sqlTarget(configuration, node);
        await alterSystem(tools, target, { name: 'primary_conninfo', value }, { timeoutMs: sqlMs, confirm });
        return describeRenaming(current, value);
      },
    ));
  await confirmStreaming(tools, input, streamingMs);
  return {
    changed: renamed !== false,
    line: `node ${String(node.id)} streams from node ${String(input.primary)} on timeline ${String(input.timeline)}${renamed || ''}`,
  };
}

interface Difference {
  readonly current: string;
  readonly wanted: string;
}

/** What primary_conninfo is and should be; null when it is so. */
async function readDifference(tools: Tools, input: RepointInput): Promise<Difference | null> {
  const { configuration } = input;
  const node = getNode(configuration, input.node);
  const primary = getNode(configuration, input.primary);
  const [row] = await tools.sql.query<{ conninfo: string; is_in_recovery: boolean }>(
    sqlTarget(configuration, node),
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
  const wanted = repointConninfo(row.conninfo, upstreamOf(configuration, node, primary));
  return wanted === row.conninfo ? null : { current: row.conninfo, wanted };
}
