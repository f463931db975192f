// The runbooks' work in a lab as lines: pending activities with their last heartbeat, and parked steps.

import { Client, Connection } from '@temporalio/client';
import { describeParked, describePending, formatDecideCommand, listParked } from '../client/progress';
import { searchAttributeNames, workflowTypes } from '../domain/facts/names';
import type { Lab } from './lab';

const boundMs = 2000;

type Place = Pick<Lab, 'clusterFile'> & {
  readonly configuration: Pick<Lab['configuration'], 'cluster'>;
  readonly temporal: Pick<Lab['temporal'], 'address' | 'namespace'>;
};

/** Never rejects: a line says what is missing, such as Temporal or a worker. */
export async function readProgress(lab: Place): Promise<string[]> {
  const { address, namespace } = lab.temporal;
  const deadline = Date.now() + boundMs;
  const connection = Connection.lazy({ address, connectTimeout: boundMs });
  try {
    await connection.ensureConnected();
    return await connection.withDeadline(deadline, () => readOpenRuns(new Client({ connection, namespace }), lab));
  } catch (error) {
    return [`in progress: unknown, Temporal does not answer (${messageOf(error)})`];
  } finally {
    await connection.close();
  }
}

async function readOpenRuns(client: Client, { configuration, clusterFile }: Place): Promise<string[]> {
  const query = `${searchAttributeNames.cluster}="${configuration.cluster}" AND ExecutionStatus="Running"`;
  const lines: string[] = [];
  const incidents: { workflowId: string; runId: string }[] = [];
  for await (const { workflowId, runId, type } of client.workflow.list({ query })) {
    const description = await client.workflow.getHandle(workflowId, runId).describe();
    lines.push(...describePending(description).map(({ line }) => line));
    if (type === workflowTypes.incident) incidents.push({ workflowId, runId });
  }
  // Incidents come last, because without a worker they take all the time that is left.
  for (const incident of incidents) {
    try {
      for (const step of await listParked(client, incident)) {
        const command = formatDecideCommand('client/pgpool-runbook.js', incident.workflowId, step, clusterFile);
        lines.push(`${describeParked(step)}; decide with: ${command}`);
      }
    } catch (error) {
      lines.push(`parked: unknown, no worker answers for ${incident.workflowId} (${messageOf(error)})`);
    }
  }
  return lines;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
