// The cluster's record as the worker reaches it: read from the memo of the workflow `cluster`, written by an update of it.

import { type Client, WithStartWorkflowOperation, WorkflowNotFoundError } from '@temporalio/client';
import type { ClusterConfiguration } from '../domain/facts/cluster';
import { clusterStart, clusterWorkflowId, concludeUpdateName, recordName, workflowTypes } from '../domain/facts/names';
import { type ClusterRecord, type Conclusion, parseRecord } from '../domain/facts/record';

/** A look must not cost the failover time; an answer takes some milliseconds. */
const readMs = 100;

/** What the memo of the last run holds, whether it runs or not; null = there was none. */
async function readMemo(
  client: Client,
  cluster: string,
): Promise<{ record: ClusterRecord | null; isRunning: boolean }> {
  try {
    const { memo, status } = await client.workflow.getHandle(clusterWorkflowId(cluster)).describe();
    return { record: parseRecord(memo?.[recordName]), isRunning: status.name === 'RUNNING' };
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return { record: null, isRunning: false };
    throw error;
  }
}

/** Never rejects: without an answer in time, decisions rely on the facts alone. */
export async function readRecord(client: Client, { cluster }: ClusterConfiguration): Promise<ClusterRecord | null> {
  const reading = client.connection.withDeadline(Date.now() + readMs, () => readMemo(client, cluster));
  return await reading.then(
    ({ record }) => record,
    () => null,
  );
}

/** Starts the workflow `cluster` where it does not run, with what its last run has left. Idempotent. */
export async function ensureCluster(client: Client, configuration: ClusterConfiguration): Promise<void> {
  const { record, isRunning } = await readMemo(client, configuration.cluster);
  if (isRunning) return;
  const start = { ...clusterStart(configuration, record), workflowIdConflictPolicy: 'USE_EXISTING' as const };
  await client.workflow.start(workflowTypes.cluster, start);
}

export async function writeConclusion(
  client: Client,
  configuration: ClusterConfiguration,
  conclusion: Conclusion,
): Promise<void> {
  const { record } = await readMemo(client, configuration.cluster);
  const startWorkflowOperation = new WithStartWorkflowOperation(workflowTypes.cluster, {
    ...clusterStart(configuration, record),
    workflowIdConflictPolicy: 'USE_EXISTING',
  });
  await client.workflow.executeUpdateWithStart(concludeUpdateName, { startWorkflowOperation, args: [conclusion] });
}
