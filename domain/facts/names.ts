// Every name that another program can see: workflow ids, message names, search attributes. One function each.
// Ids use only [A-Za-z0-9._-]: the server's HTTP API answers 404 for an id with a slash.

import type { ClusterConfiguration } from './cluster';
import type { ClusterEvent } from './event';
import type { Recorded } from './record';
import type { Known, WatchState } from './watch';

export const workflowTypes = {
  incident: 'incident',
  follow: 'follow',
  plan: 'plan',
  cluster: 'cluster',
  look: 'look',
} as const;

/** Signal that carries a ClusterEvent. */
export const eventSignalName = 'event';
/** Update that answers once the event with the given id is settled; hook.sh waits on it. */
export const settledUpdateName = 'settled';

/** Update with a Decision: a person's choice for a parked step. */
export const decideUpdateName = 'decide';
/** Query: the parked steps of an incident and of its children. */
export const parkedQueryName = 'parked';
/** Signal from a follow to its incident: the node streams, and commits may wait for it. */
export const streamsSignalName = 'streams';
/** Signals between a child and its incident: a step parked, a step goes on; the decision on its way down. */
export const stepParkedSignalName = 'stepParked';
export const stepResumedSignalName = 'stepResumed';
export const decidedSignalName = 'decided';
/** Signal from a follow to its incident: the follow has ended. */
export const followedSignalName = 'followed';
/** Query: the incident's state, one value. */
export const stateQueryName = 'state';

/** Update of the workflow `cluster` with a Conclusion of an incident. Answers with the record. */
export const concludeUpdateName = 'conclude';
/**
 * Update of the workflow `cluster` with {node, operator}: a person says which node is the primary. Rejected when that
 * node does not accept writes.
 */
export const acceptUpdateName = 'accept';
/** Update of the workflow `cluster`: a person starts or stops a maintenance or a pause. */
export const maintainUpdateName = 'maintain';
/** Signal from an incident to the workflow `cluster`: a person has chosen to leave these nodes as they are. */
export const leftSignalName = 'left';
/** Query of the workflow `cluster`: the record, and who has what in maintenance. */
export const recordedQueryName = 'recorded';
/** Key in the memo of the workflow `cluster` for the answer of that query. */
export const recordedMemoName = 'recorded';
/** Key in its memo of what its watch saw when it last told something: between two watches there is no heartbeat to read. */
export const watchedMemoName = 'watched';

export function incidentWorkflowId(cluster: string): string {
  return `pgpool-${cluster}`;
}

/** The task queue of the watches: separate, so that no failover's activity waits behind a watch. */
export function watchTaskQueue(taskQueue: string): string {
  return `${taskQueue}.watch`;
}

/** The activity that watches, as Temporal lists it while it is pending. */
export const watchActivityName = 'watch';

/** The workflow that keeps the cluster's record. */
export function clusterWorkflowId(cluster: string): string {
  return `pgpool-${cluster}.cluster`;
}

/** One id for each request, because several people may ask at the same time. */
export function planWorkflowId(cluster: string, id: string): string {
  return `pgpool-${cluster}.plan.${id}`;
}

export function lookWorkflowId(cluster: string, id: string): string {
  return `pgpool-${cluster}.look.${id}`;
}

/** One id for each node, so that a node never has two follows at a time, even of two incidents. */
export function followWorkflowId(cluster: string, node: number): string {
  return `pgpool-${cluster}.follow.${node}`;
}

export const searchAttributeNames = { cluster: 'PgCluster', operation: 'PgOperation', outcome: 'PgOutcome' } as const;

/** Arguments of signalWithStart that tell a cluster's incident of an event, and open an incident if none is open. */
export function incidentStart({ cluster, temporal }: ClusterConfiguration, event: ClusterEvent) {
  return {
    workflowId: incidentWorkflowId(cluster),
    taskQueue: temporal.taskQueue,
    args: [cluster],
    signal: eventSignalName,
    signalArgs: [event],
    workflowTaskTimeout: '2s' as const,
  };
}

/** Arguments that start the workflow `cluster` where it does not run, with the record and the watch's last state that its last run has left. */
export function clusterStart({ cluster, temporal }: ClusterConfiguration, { recorded, watch }: Known) {
  return {
    workflowId: clusterWorkflowId(cluster),
    taskQueue: temporal.taskQueue,
    args: [cluster, recorded, watch] as [string, Recorded, WatchState | null],
    memo: { [recordedMemoName]: recorded, [watchedMemoName]: watch },
    staticSummary: `record and watch of cluster ${cluster}`,
    workflowTaskTimeout: '2s' as const,
  };
}
