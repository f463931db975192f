// pgpool-runbook maintenance: a node is left alone, or no failover is made, until a person ends it or the time is over.

import { type ClusterConfiguration, findNode } from '../../domain/facts/cluster';
import type { Maintenance } from '../../domain/facts/maintenance';
import { maintainUpdateName } from '../../domain/facts/names';
import type { Maintaining } from '../../workflows/messages';
import { loadClusterFiles } from '../cluster-files';
import { CommandFailure, type CommandResult } from '../outcome';
import { withTemporal } from '../temporal';
import { findOperator } from './decide';
import { describeHeld, tellCluster } from './record';

export interface MaintenanceArguments {
  readonly config: string;
  /** "30m", "2h", "1d"; without it until a person stops it. */
  readonly for?: string;
  readonly reason?: string;
  readonly operator?: string;
}

/** @param nodeText undefined = the whole cluster: a pause */
export async function startMaintenance(
  nodeText: string | undefined,
  options: MaintenanceArguments,
): Promise<CommandResult> {
  const { reason } = options;
  if (!reason)
    throw new CommandFailure(2, 'say why: --reason "..."; status and the lines that name the maintenance show it');
  const forMs = options.for === undefined ? null : parseDuration(options.for);
  return await tell(nodeText, options, { action: 'start', reason, forMs });
}

export async function stopMaintenance(
  nodeText: string | undefined,
  options: MaintenanceArguments,
): Promise<CommandResult> {
  return await tell(nodeText, options, { action: 'stop' });
}

type Said =
  { readonly action: 'start'; readonly reason: string; readonly forMs: number | null } | { readonly action: 'stop' };

async function tell(nodeText: string | undefined, options: MaintenanceArguments, said: Said): Promise<CommandResult> {
  const { configuration } = loadClusterFiles([options.config])[0]!;
  const node = nodeText === undefined ? null : parseNode(configuration, nodeText);
  const { operator = findOperator() } = options;
  const maintaining: Maintaining = { ...said, node, operator };
  const held = await withTemporal(configuration, (client) =>
    tellCluster<readonly Maintenance[]>(client, configuration, maintainUpdateName, maintaining),
  );
  const nothing = `cluster ${configuration.cluster}: no node is in maintenance, and the cluster is not paused`;
  return { exitCode: 0, lines: held.length > 0 ? held.map(describeHeld) : [nothing], json: { maintenance: held } };
}

function parseNode(configuration: ClusterConfiguration, text: string): number {
  const node = /^[0-9]{1,3}$/.test(text) ? findNode(configuration, Number(text)) : undefined;
  if (node) return node.id;
  const ids = configuration.nodes.map(({ id }) => id).join(', ');
  throw new CommandFailure(2, `cluster ${configuration.cluster} has no node ${text}: its nodes are ${ids}`);
}

const unitsMs: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000 };

/** At most 30 days: a longer absence belongs into the cluster file. */
function parseDuration(text: string): number {
  const [, count, unit = ''] = /^([1-9][0-9]{0,3})([mhd])$/.exec(text) ?? [];
  const ms = Number(count) * (unitsMs[unit] ?? NaN);
  if (!(ms <= 30 * 86_400_000)) throw new CommandFailure(2, `--for ${text}: say 30m, 2h or 1d, and at most 30d`);
  return ms;
}
