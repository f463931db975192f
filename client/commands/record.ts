// pgpool-runbook record: shows the record of a cluster, or records a person's word about which node is the primary.

import {
  type Client,
  WithStartWorkflowOperation,
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
} from '@temporalio/client';
import { type ClusterConfiguration, findNode } from '../../domain/facts/cluster';
import {
  acceptUpdateName,
  clusterStart,
  clusterWorkflowId,
  watchActivityName,
  workflowTypes,
} from '../../domain/facts/names';
import { describeMaintenance, inForce } from '../../domain/facts/maintenance';
import { parseKnown } from '../../domain/facts/known';
import type { ClusterRecord, Recorded } from '../../domain/facts/record';
import type { Known } from '../../domain/facts/watch';
import { loadClusterFiles } from '../cluster-files';
import { CommandFailure, type CommandResult } from '../outcome';
import { readLastWords } from '../progress';
import { isUnanswered, withinCallTime, withTemporal } from '../temporal';
import { findOperator } from './decide';

export interface RecordArguments {
  readonly config: string;
  /** Default user@host. */
  readonly operator?: string;
}

/** Works while no worker runs: the record is read from the workflow's memo. */
export async function showRecord(options: RecordArguments): Promise<CommandResult> {
  const { configuration } = loadClusterFiles([options.config])[0]!;
  const { record, maintenance } = await withTemporal(configuration, (client) => readRecorded(client, configuration));
  const nothing = `nothing is recorded of cluster ${configuration.cluster} yet: its watch, or its first incident, writes the record`;
  const held = inForce(maintenance, new Date().toISOString());
  const lines = [...(record ? describeRecord(record) : [nothing]), ...held.map(describeHeld)];
  return { exitCode: 0, lines, json: { record, maintenance: held } };
}

/**
 * @throws CommandFailure 1 when the node does not accept writes, 2 for a node that the file does not have, 3 without
 * Temporal, 4 without a worker
 */
export async function acceptPrimary(nodeText: string, options: RecordArguments): Promise<CommandResult> {
  const { configuration } = loadClusterFiles([options.config])[0]!;
  const node = /^[0-9]{1,3}$/.test(nodeText) ? findNode(configuration, Number(nodeText)) : undefined;
  if (!node) {
    const ids = configuration.nodes.map(({ id }) => id).join(', ');
    throw new CommandFailure(2, `cluster ${configuration.cluster} has no node ${nodeText}: its nodes are ${ids}`);
  }
  const { operator = findOperator() } = options;
  const record = await withTemporal(configuration, async (client) =>
    tellCluster<ClusterRecord>(client, configuration, acceptUpdateName, { node: node.id, operator }),
  );
  return { exitCode: 0, lines: describeRecord(record), json: { record } };
}

/** The record, and the watch's last state; both are readable while no worker runs. */
export async function readKnown(client: Client, { cluster }: ClusterConfiguration): Promise<Known> {
  try {
    const handle = client.workflow.getHandle(clusterWorkflowId(cluster));
    const description = await withinCallTime(client, () => handle.describe());
    return parseKnown(description.memo, readLastWords(description, watchActivityName));
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return parseKnown(undefined, []);
    throw error;
  }
}

export async function readRecorded(client: Client, configuration: ClusterConfiguration): Promise<Recorded> {
  return (await readKnown(client, configuration)).recorded;
}

/** A look takes two seconds at most; the rest is for a worker that is busy. */
const answerMs = 15_000;

/**
 * Sends an update to the workflow `cluster`, starting it where it does not run.
 * @throws CommandFailure 1 when it refuses, 4 when no worker answers
 */
export async function tellCluster<Answer>(
  client: Client,
  configuration: ClusterConfiguration,
  updateName: string,
  argument: unknown,
): Promise<Answer> {
  const startWorkflowOperation = new WithStartWorkflowOperation(workflowTypes.cluster, {
    ...clusterStart(configuration, await readKnown(client, configuration)),
    workflowIdConflictPolicy: 'USE_EXISTING',
  });
  try {
    return await client.connection.withDeadline<Answer>(Date.now() + answerMs, () =>
      client.workflow.executeUpdateWithStart(updateName, { startWorkflowOperation, args: [argument] }),
    );
  } catch (error) {
    if (error instanceof WorkflowUpdateFailedError) throw new CommandFailure(1, error.cause?.message ?? error.message);
    if (!isUnanswered(error)) throw error;
    const { cluster, temporal } = configuration;
    const advice = `is a worker of cluster ${cluster} running on task queue ${temporal.taskQueue}?`;
    throw new CommandFailure(4, `no answer within ${answerMs / 1000} s: ${advice}`);
  }
}

/** A line for a node in maintenance, or for a paused cluster. */
export function describeHeld(entry: Recorded['maintenance'][number]): string {
  const what = entry.node === null ? 'the cluster is paused' : `node ${entry.node} is in maintenance`;
  return `${what} ${describeMaintenance(entry)}`;
}

export function describeRecord({ primary, timeline, openedBy, since, by, former, away }: ClusterRecord): string[] {
  const how = openedBy === 'us' ? 'opened by a promotion of ours' : 'found so, or said by a person';
  const fence = former?.isFenceConfirmed === true ? 'fenced with proof' : 'its fence was not confirmed';
  return [
    `node ${primary} is the primary on timeline ${timeline} since ${since} (${how}; ${by})`,
    ...(former ? [`node ${former.node} was the primary before: ${fence}`] : []),
    ...(away.length > 0 ? [`away: node ${away.join(', ')}`] : []),
  ];
}
