// What every activity is given: connections that outlive it, and the cluster file. Made once by the worker.

import type { ClusterConfiguration, NodeConfiguration } from '../../domain/facts/cluster';
import type { ClusterEvent } from '../../domain/facts/event';
import type { SqlConnections, SqlTarget } from './sql/postgres';
import type { SshConnections, SshTarget } from './ssh/ssh';

export interface Tools {
  readonly sql: SqlConnections;
  readonly ssh: SshConnections;
  /** The cluster file as it is now, or as it last was valid. @throws Configuration failure for a cluster this worker does not serve. */
  readonly readConfiguration: (cluster: string) => ClusterConfiguration;
  /** Tells the cluster's incident, opening one if none is open. */
  readonly signalIncident: (configuration: ClusterConfiguration, event: ClusterEvent) => Promise<void>;
}

export function sqlTarget(configuration: ClusterConfiguration, node: NodeConfiguration): SqlTarget {
  const { user, database, passFile, sslMode, sslRootCertificate } = configuration.postgres;
  const tls = { sslMode, sslRootCertificate };
  return { host: node.host, port: node.port, user, database, passFile, tls };
}

export function sshTarget(configuration: ClusterConfiguration, node: NodeConfiguration): SshTarget {
  return { ...node.ssh, knownHostsFile: configuration.ssh.knownHostsFile };
}
