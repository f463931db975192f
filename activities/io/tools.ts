// The tools that activities are given. Connections outlive the activities, and are made once by the worker; an attempt is made for each.

import type { ClusterConfiguration, NodeConfiguration } from '../../domain/facts/cluster';
import type { Conclusion, Recorded } from '../../domain/facts/record';
import type { ClusterEvent } from '../../domain/facts/event';
import type { WatchState } from '../../domain/facts/watch';
import type { Attempt } from './attempt';
import type { Pcp } from './pcp/pcp';
import type { SqlConnections, SqlTarget } from './sql/postgres';
import type { SshConnections, SshTarget } from './ssh/ssh';

/** Temporal's memory of a cluster between incidents. */
export interface Recalled extends Recorded {
  /** The last words of the running watch; null = none runs, or it has told nothing. */
  readonly watch: WatchState | null;
}

export interface WorkerTools {
  readonly pcp: Pcp;
  readonly sql: SqlConnections;
  readonly ssh: SshConnections;
  /** The cluster file as it is now, or as it last was valid. @throws Configuration failure for a cluster this worker does not serve. */
  readonly readConfiguration: (cluster: string) => ClusterConfiguration;
  /** Reads what is known of the cluster beside what is measured now; nothing where it cannot be read soon enough. Never rejects. */
  readonly recall: (configuration: ClusterConfiguration) => Promise<Recalled>;
  /** Null: Temporal does not answer. Never rejects. */
  readonly isIncidentOpen: (configuration: ClusterConfiguration) => Promise<boolean | null>;
  /** Makes the conclusion the cluster's record, and starts the workflow that keeps it where it does not run. */
  readonly conclude: (configuration: ClusterConfiguration, conclusion: Conclusion, timeoutMs: number) => Promise<void>;
  /** Tells the cluster's incident, opening one if none is open. */
  readonly signalIncident: (
    configuration: ClusterConfiguration,
    event: ClusterEvent,
    timeoutMs: number,
  ) => Promise<void>;
}

/** The tools of a verb: the same, and the attempt that it runs in. */
export interface Tools extends WorkerTools {
  readonly attempt: Attempt;
}

export function sqlTarget(configuration: ClusterConfiguration, node: NodeConfiguration): SqlTarget {
  const { user, database, passFile, sslMode, sslRootCertificate } = configuration.postgres;
  const tls = { sslMode, sslRootCertificate };
  return { host: node.host, port: node.port, user, database, passFile, tls };
}

export function sshTarget(configuration: ClusterConfiguration, node: NodeConfiguration): SshTarget {
  return { ...node.ssh, knownHostsFile: configuration.ssh.knownHostsFile };
}
