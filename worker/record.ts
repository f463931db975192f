// Reads a cluster's record and its watch's samples for the worker, in one description of the workflow `cluster`.
// Writing is an update of that workflow.

import { type Client, WithStartWorkflowOperation, WorkflowNotFoundError } from '@temporalio/client';
import { defaultPayloadConverter } from '@temporalio/common';
import type { Recalled } from '../activities/io/tools';
import type { ClusterConfiguration } from '../domain/facts/cluster';
import {
  clusterStart,
  clusterWorkflowId,
  concludeUpdateName,
  incidentWorkflowId,
  watchActivityName,
  workflowTypes,
} from '../domain/facts/names';
import { parseKnown } from '../domain/facts/known';
import type { Known } from '../domain/facts/watch';
import { type Conclusion, nothingRecorded } from '../domain/facts/record';

/** Bound of a look's read: an answer takes some milliseconds, and a failover must not wait for more. */
const readMs = 100;
/** Bound of the watch's read: it may wait longer, and asks again a second later. */
export const openMs = 500;

type Description = Awaited<ReturnType<ReturnType<Client['workflow']['getHandle']>['describe']>>;

/** The description of the last run, open or closed; null = there was none. */
async function describe(client: Client, workflowId: string): Promise<Description | null> {
  try {
    return await client.workflow.getHandle(workflowId).describe();
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return null;
    throw error;
  }
}

async function readCluster(client: Client, cluster: string): Promise<Known & { readonly isRunning: boolean }> {
  const { memo, status, raw } = (await describe(client, clusterWorkflowId(cluster))) ?? {};
  const watches = (raw?.pendingActivities ?? []).filter(({ activityType }) => activityType?.name === watchActivityName);
  const heartbeats = watches.map(({ heartbeatDetails }) => decode(heartbeatDetails?.payloads?.[0]));
  return { ...parseKnown(memo, heartbeats), isRunning: status?.name === 'RUNNING' };
}

type Payload = Parameters<typeof defaultPayloadConverter.fromPayload>[0];

/** Another version's heartbeat may be no JSON. */
function decode(payload: Payload | undefined): unknown {
  try {
    return payload ? defaultPayloadConverter.fromPayload(payload) : null;
  } catch {
    return null;
  }
}

/** Never rejects: without an answer in time, decisions rely on the facts alone. */
export async function recall(client: Client, { cluster }: ClusterConfiguration): Promise<Recalled> {
  const reading = client.connection.withDeadline(Date.now() + readMs, () => readCluster(client, cluster));
  return await reading.then(
    ({ recorded, watch }) => ({ ...recorded, watch }),
    () => ({ ...nothingRecorded, watch: null }),
  );
}

/** Null: Temporal does not answer. */
export async function isIncidentOpen(client: Client, { cluster }: ClusterConfiguration): Promise<boolean | null> {
  const asking = client.connection.withDeadline(Date.now() + openMs, () =>
    describe(client, incidentWorkflowId(cluster)),
  );
  return await asking.then(
    (description) => description?.status.name === 'RUNNING',
    () => null,
  );
}

/** Starts the workflow `cluster` where it does not run, with the record and the watch's samples of its last run. Idempotent. @returns whether it had to */
export async function ensureCluster(client: Client, configuration: ClusterConfiguration): Promise<boolean> {
  const { isRunning, ...known } = await readCluster(client, configuration.cluster);
  if (isRunning) return false;
  const start = { ...clusterStart(configuration, known), workflowIdConflictPolicy: 'USE_EXISTING' as const };
  await client.workflow.start(workflowTypes.cluster, start);
  return true;
}

export async function writeConclusion(
  client: Client,
  configuration: ClusterConfiguration,
  conclusion: Conclusion,
): Promise<void> {
  const known = await readCluster(client, configuration.cluster);
  const startWorkflowOperation = new WithStartWorkflowOperation(workflowTypes.cluster, {
    ...clusterStart(configuration, known),
    workflowIdConflictPolicy: 'USE_EXISTING',
  });
  await client.workflow.executeUpdateWithStart(concludeUpdateName, { startWorkflowOperation, args: [conclusion] });
}
