// Every name that another program can see: workflow ids, message names, search attributes. One function each.
// Ids use only [A-Za-z0-9._-]: the server's HTTP API answers 404 for an id with a slash.

export const workflowTypes = { incident: 'incident', await: 'awaitNode', follow: 'follow' } as const;

/** Signal that carries a ClusterEvent. */
export const eventSignalName = 'event';
/** Update that answers once the event with the given id is settled; hook.sh waits on it. */
export const settledUpdateName = 'settled';

export function incidentWorkflowId(cluster: string): string {
  return `pgpool-${cluster}`;
}

export function awaitWorkflowId(cluster: string, node: number): string {
  return `pgpool-${cluster}.await.${String(node)}`;
}

/** `runId` is the incident's; its first 8 characters tie the child to the run that it belongs to. */
export function followWorkflowId(cluster: string, node: number, runId: string, counter: number): string {
  return `pgpool-${cluster}.follow.${String(node)}.${runId.slice(0, 8)}.${String(counter)}`;
}

export const searchAttributeNames = { cluster: 'PgCluster', operation: 'PgOperation', outcome: 'PgOutcome' } as const;
