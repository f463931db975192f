// The worker's tools: connections to every node, the cluster files as they are now, a client for signals.

import type { Client } from '@temporalio/client';
import { failure, messageOf } from '../activities/io/failures';
import { SqlConnections } from '../activities/io/sql/postgres';
import { SshConnections } from '../activities/io/ssh/ssh';
import { pcp } from '../activities/io/pcp/pcp';
import type { WorkerTools } from '../activities/io/tools';
import { isIncidentOpen, recall, writeConclusion } from './record';
import { parseClusterFile, readClusterFile } from '../configuration/load';
import type { ClusterConfiguration } from '../domain/facts/cluster';
import { incidentStart, workflowTypes } from '../domain/facts/names';

export interface ClusterFile {
  readonly path: string;
  readonly configuration: ClusterConfiguration;
}

/** `say` gets a line when a cluster file has become invalid: the last valid one stays in force. */
export function createTools(files: readonly ClusterFile[], client: Client, say: (line: string) => void): WorkerTools {
  const lastValid = new Map(
    files.map((file) => [file.configuration.cluster, { ...file, text: null as string | null }]),
  );
  return {
    pcp,
    sql: new SqlConnections(),
    ssh: new SshConnections(),
    readConfiguration: (cluster) => {
      const file = lastValid.get(cluster);
      if (!file)
        // Another worker on the same task queue may serve that cluster, and a retry can find it.
        throw failure(
          'unreachable',
          `this worker serves no cluster ${cluster}: start one with that cluster's file, on a task queue of its own`,
        );
      try {
        const text = readClusterFile(file.path);
        // Parsing an unchanged file again would cost more than the look itself.
        if (text === file.text) return file.configuration;
        const configuration = parseClusterFile(text, file.path);
        if (configuration.cluster === cluster) lastValid.set(cluster, { path: file.path, configuration, text });
        else
          say(`${file.path} now names cluster ${configuration.cluster}: the last file for ${cluster} stays in force`);
      } catch (error) {
        // A typing error must not stop a failover.
        say(`the last valid cluster file stays in force: ${messageOf(error)}`);
      }
      return (lastValid.get(cluster) ?? file).configuration;
    },
    recall: (configuration) => recall(client, configuration),
    isIncidentOpen: (configuration) => isIncidentOpen(client, configuration),
    conclude: (configuration, conclusion, timeoutMs) =>
      client.connection.withDeadline(Date.now() + timeoutMs, () => writeConclusion(client, configuration, conclusion)),
    signalIncident: async (configuration, event, timeoutMs) => {
      await client.connection.withDeadline(Date.now() + timeoutMs, () =>
        client.workflow.signalWithStart(workflowTypes.incident, incidentStart(configuration, event)),
      );
    },
  };
}
