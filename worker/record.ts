// The cluster's record as the worker reaches it: read from the memo of the workflow `cluster`, written by an update of it.

import { type Client, WithStartWorkflowOperation, WorkflowNotFoundError } from '@temporalio/client';
import type { ClusterConfiguration } from '../domain/facts/cluster';
import {
  clusterStart,
  clusterWorkflowId,
  concludeUpdateName,
  recordedMemoName,
  workflowTypes,
} from '../domain/facts/names';
import { type Conclusion, nothingRecorded, parseRecorded, type Recorded } from '../domain/facts/record';

/** A look must not cost the failover time; an answer takes some milliseconds. */
const readMs = 100;

/** What the memo of the last run holds, whether it runs or not. */
async function readMemo(client: Client, cluster: string): Promise<{ recorded: Recorded; isRunning: boolean }> {
  try {
    const { memo, status } = await client.workflow.getHandle(clusterWorkflowId(cluster)).describe();
    return { recorded: parseRecorded(memo?.[recordedMemoName]), isRunning: status.name === 'RUNNING' };
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return { recorded: nothingRecorded, isRunning: false };
    throw error;
  }
}

/** Never rejects: without an answer in time, decisions rely on the facts alone. */
export async function readRecord(client: Client, { cluster }: ClusterConfiguration): Promise<Recorded> {
  const reading = client.connection.withDeadline(Date.now() + readMs, () => readMemo(client, cluster));
  return await reading.then(
    ({ recorded }) => recorded,
    () => nothingRecorded,
  );
}

/** Starts the workflow `cluster` where it does not run, with what its last run has left. Idempotent. */
export async function ensureCluster(client: Client, configuration: ClusterConfiguration): Promise<void> {
  const { recorded, isRunning } = await readMemo(client, configuration.cluster);
  if (isRunning) return;
  const start = { ...clusterStart(configuration, recorded), workflowIdConflictPolicy: 'USE_EXISTING' as const };
  await client.workflow.start(workflowTypes.cluster, start);
}

export async function writeConclusion(
  client: Client,
  configuration: ClusterConfiguration,
  conclusion: Conclusion,
): Promise<void> {
  const { recorded } = await readMemo(client, configuration.cluster);
  const startWorkflowOperation = new WithStartWorkflowOperation(workflowTypes.cluster, {
    ...clusterStart(configuration, recorded),
    workflowIdConflictPolicy: 'USE_EXISTING',
  });
  await client.workflow.executeUpdateWithStart(concludeUpdateName, { startWorkflowOperation, args: [conclusion] });
}
