// A cluster: the cluster file's contents after validation, every default filled in.
// configuration/schema.ts produces exactly this shape; everything else only reads it.

/** One PostgreSQL node; `id` is pgpool's backend number. */
export interface NodeConfiguration {
  readonly id: number;
  readonly host: string;
  readonly port: number;
  readonly dataDirectory: string;
  /** Null: the file gives none, and the standby keeps the name in its primary_conninfo. See application-name.ts. */
  readonly applicationName: string | null;
  /** Greater wins between candidates that are equal in (timeline, LSN); 0 = never a candidate. */
  readonly priority: number;
  readonly ssh: { readonly host: string; readonly port: number; readonly user: string; readonly identityFile: string };
}

export interface PgpoolConfiguration {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly pcpPort: number;
  readonly pcpUser: string;
  readonly passFile: string;
}

/** How PostgreSQL is stopped and started on the nodes: a preset, or the commands themselves. */
export type ServiceConfiguration =
  | { readonly kind: 'pg_ctl' | 'systemd' | 'pg_ctlcluster' }
  | { readonly kind: 'commands'; readonly start: string; readonly stop: string };

export interface PolicyConfiguration {
  readonly maximumLagBytes: number;
  readonly unreachableHost: 'proceed' | 'park';
  readonly fenceCommand: readonly string[];
  readonly crashRecoveryMs: number;
  readonly follow: readonly ('repoint' | 'rebuild')[];
  readonly baseBackup: {
    /** Kilobytes (1024 bytes) a second that a base backup may take from the primary; 0 = unlimited. */
    readonly maximumRateKilobytes: number;
    /** Compresses the copy on the network only; the server does it, from PostgreSQL 15. */
    readonly compression: 'none' | 'gzip' | 'lz4' | 'zstd';
  };
  readonly replacedData: 'keep' | 'remove' | 'removeFirst';
  readonly divergedWrites: 'park' | 'discard';
  readonly rejoin: 'automatic' | 'manual';
  readonly synchronous: { readonly standbys: number; readonly whenNone: 'degrade' | 'wait' };
  readonly minimumIntervalMs: number;
  /** Pause before a detached standby that works is attached again; 0 = at once. */
  readonly reattachMs: number;
  /** `watch`: the watch, too, reports a primary as lost that is silent for 10 s, while pgpool says nothing. */
  readonly actOn: 'pgpool' | 'watch';
}

export interface ClusterConfiguration {
  readonly cluster: string;
  readonly nodes: readonly NodeConfiguration[];
  readonly postgres: {
    /** Directory of pg_ctl, pg_controldata, … on the nodes. */
    readonly bin: string;
    readonly user: string;
    readonly database: string;
    readonly replicationUser: string;
    /** Read by the worker, and by the nodes for their own connections: a leading ~/ means each reader's own home. */
    readonly passFile: string;
    /** libpq's sslmode, for every connection to a node. */
    readonly sslMode: 'disable' | 'prefer' | 'require' | 'verify-ca' | 'verify-full';
    /** A path on the worker's host and on each node; null: no server certificate is checked. */
    readonly sslRootCertificate: string | null;
    readonly service: ServiceConfiguration;
  };
  readonly ssh: { readonly knownHostsFile: string };
  /** On each node, outside the data directory. A leading ~/ is the ssh user's home there. */
  readonly paths: { readonly savedConfiguration: string; readonly jobs: string };
  readonly pgpool: readonly PgpoolConfiguration[];
  readonly policy: PolicyConfiguration;
  readonly temporal: { readonly address: string; readonly namespace: string; readonly taskQueue: string };
}

/** The node with this id, or undefined: event ids are hints and may be of no node. */
export function findNode(configuration: ClusterConfiguration, id: number | null): NodeConfiguration | undefined {
  return configuration.nodes.find((node) => node.id === id);
}

/** The node at this address, as the cluster file spells it. */
export function findNodeAt(
  { nodes }: ClusterConfiguration,
  { host, port }: { readonly host: string | null; readonly port: number | null },
): NodeConfiguration | undefined {
  return nodes.find((node) => node.host === host && node.port === port);
}

/** The node with this id; the caller has already established that it is configured. */
export function getNode(configuration: ClusterConfiguration, id: number): NodeConfiguration {
  const node = findNode(configuration, id);
  if (!node) throw new RangeError(`node ${id} is not in cluster ${configuration.cluster}`);
  return node;
}
