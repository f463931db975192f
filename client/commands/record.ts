// pgpool-runbook record: what is known of a cluster, and a person's word about who its primary is.

import {
  type Client,
  WithStartWorkflowOperation,
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
} from '@temporalio/client';
import { type ClusterConfiguration, findNode } from '../../domain/facts/cluster';
import { acceptUpdateName, clusterStart, clusterWorkflowId, recordName, workflowTypes } from '../../domain/facts/names';
import { type ClusterRecord, parseRecord } from '../../domain/facts/record';
import { loadClusterFiles } from '../cluster-files';
import { CommandFailure, type CommandResult } from '../outcome';
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
  const record = await withTemporal(configuration, (client) => readRecord(client, configuration));
  const nothing = `nothing is recorded of cluster ${configuration.cluster} yet: its first incident writes the record`;
  return { exitCode: 0, lines: record ? describe(record) : [nothing], json: { record } };
}

/** @throws CommandFailure 1 when the node does not accept writes, 2 for a node that the file does not have, 3 without Temporal, 4 without a worker */
export async function acceptPrimary(nodeText: string, options: RecordArguments): Promise<CommandResult> {
  const { configuration } = loadClusterFiles([options.config])[0]!;
  const node = /^[0-9]{1,3}$/.test(nodeText) ? findNode(configuration, Number(nodeText)) : undefined;
  if (!node) {
    const ids = configuration.nodes.map(({ id }) => id).join(', ');
    throw new CommandFailure(2, `cluster ${configuration.cluster} has no node ${nodeText}: its nodes are ${ids}`);
  }
  const { operator = findOperator() } = options;
  const record = await withTemporal(configuration, async (client) =>
    accept(client, configuration, { node: node.id, operator }),
  );
  return { exitCode: 0, lines: describe(record), json: { record } };
}

async function readRecord(client: Client, { cluster }: ClusterConfiguration): Promise<ClusterRecord | null> {
  try {
    const handle = client.workflow.getHandle(clusterWorkflowId(cluster));
    const { memo } = await withinCallTime(client, () => handle.describe());
    return parseRecord(memo?.[recordName]);
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return null;
    throw error;
  }
}

/** A look takes two seconds at most; the rest is for a worker that is busy. */
const answerMs = 15_000;

async function accept(
  client: Client,
  configuration: ClusterConfiguration,
  acceptance: { readonly node: number; readonly operator: string },
): Promise<ClusterRecord> {
  const startWorkflowOperation = new WithStartWorkflowOperation(workflowTypes.cluster, {
    ...clusterStart(configuration, await readRecord(client, configuration)),
    workflowIdConflictPolicy: 'USE_EXISTING',
  });
  try {
    return await client.connection.withDeadline<ClusterRecord>(Date.now() + answerMs, () =>
      client.workflow.executeUpdateWithStart(acceptUpdateName, { startWorkflowOperation, args: [acceptance] }),
    );
  } catch (error) {
    if (error instanceof WorkflowUpdateFailedError) throw new CommandFailure(1, error.cause?.message ?? error.message);
    if (!isUnanswered(error)) throw error;
    const { cluster, temporal } = configuration;
    const advice = `is a worker of cluster ${cluster} running on task queue ${temporal.taskQueue}?`;
    throw new CommandFailure(4, `no answer within ${answerMs / 1000} s: ${advice}`);
  }
}

function describe({ primary, timeline, openedBy, since, by, former, away }: ClusterRecord): string[] {
  const how = openedBy === 'us' ? 'opened by a promotion of ours' : 'found so, or said by a person';
  const fence = former?.isFenceConfirmed === true ? 'fenced with proof' : 'its fence was not confirmed';
  return [
    `node ${primary} is the primary on timeline ${timeline} since ${since} (${how}; ${by})`,
    ...(former ? [`node ${former.node} was the primary before: ${fence}`] : []),
    ...(away.length > 0 ? [`away: node ${away.join(', ')}`] : []),
  ];
}
