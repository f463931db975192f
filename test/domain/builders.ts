// A cluster in which everything is well, deep-frozen: a row of a table overrides only what differs.
// Node 0 is the primary on timeline 1; every other node streams from it; pgpool shows all of them up.

import type { ClusterConfiguration, NodeConfiguration, PolicyConfiguration } from '../../domain/facts/cluster';
import type { Maintenance } from '../../domain/facts/maintenance';
import type { ClusterRecord } from '../../domain/facts/record';
import type { WatchSamples } from '../../domain/facts/watch';
import type { FailoverRequest } from '../../domain/plans/failover-request';
import type { Facts, HostFacts, NodeFacts, PgpoolFacts, ProbeFacts, WalReceiverFacts } from '../../domain/facts/facts';

export type DeepPartialNode = Partial<Omit<NodeFacts, 'host' | 'walReceiver'>> & {
  readonly host?: Partial<HostFacts> | null;
  readonly walReceiver?: Partial<WalReceiverFacts> | null;
};

export interface Differences {
  readonly nodes?: Readonly<Record<number, DeepPartialNode>>;
  readonly probes?: readonly ProbeFacts[];
  readonly pgpools?: readonly PgpoolFacts[];
  readonly record?: ClusterRecord | null;
  readonly maintenance?: readonly Maintenance[];
  readonly watch?: WatchSamples | null;
}

export const systemIdentifier = '7300000000000000001';
export const wellLsn = '0/5000000';

/** Freezes everything below `value`: a function that changes its input then throws. */
export function deepFreeze<Value>(value: Value): Value {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    Object.values(value).forEach(deepFreeze);
  }
  return value;
}

export interface ConfigurationDifferences {
  readonly nodes?: Readonly<Record<number, Partial<NodeConfiguration>>>;
  readonly policy?: Partial<PolicyConfiguration>;
  readonly postgres?: Partial<ClusterConfiguration['postgres']>;
}

function makeNode(id: number): NodeConfiguration {
  const host = `10.0.0.${10 + id}`;
  return {
    id,
    host,
    port: 5432,
    dataDirectory: '/srv/main',
    applicationName: `node${id}`,
    priority: 100,
    ssh: { host, port: 22, user: 'postgres', identityFile: '~/.ssh/id_ed25519' },
  };
}

const policyDefaults: PolicyConfiguration = {
  maximumLagBytes: 16_777_216,
  unreachableHost: 'proceed',
  fenceCommand: [],
  crashRecoveryMs: 3000,
  follow: ['repoint', 'rebuild'],
  baseBackup: { maximumRateKilobytes: 0, compression: 'none' },
  replacedData: 'keep',
  divergedWrites: 'park',
  rejoin: 'automatic',
  synchronous: { standbys: 0, whenNone: 'degrade' },
  minimumIntervalMs: 60_000,
  reattachMs: 60_000,
  actOn: 'pgpool',
};

/** Nodes 0 to count - 1 with the cluster file's defaults. */
export function makeConfiguration(differences: ConfigurationDifferences = {}, count = 3): ClusterConfiguration {
  const pgpool = { name: 'pgpool0', host: '10.0.0.1', port: 9999, pcpPort: 9898, pcpUser: 'pgpool', passFile: '~/.p' };
  return deepFreeze({
    cluster: 'shop',
    nodes: Array.from({ length: count }, (_, id) => ({ ...makeNode(id), ...differences.nodes?.[id] })),
    postgres: {
      bin: '/usr/lib/postgresql/15/bin',
      user: 'postgres',
      database: 'postgres',
      replicationUser: 'replicator',
      passFile: '~/.pgpass',
      sslMode: 'prefer' as const,
      sslRootCertificate: null,
      service: { kind: 'pg_ctl' as const },
      ...differences.postgres,
    },
    ssh: { knownHostsFile: '~/.ssh/known_hosts' },
    paths: { savedConfiguration: '~/saved', jobs: '~/jobs' },
    pgpool: [pgpool],
    policy: { ...policyDefaults, ...differences.policy },
    temporal: { address: '127.0.0.1:7233', namespace: 'default', taskQueue: 'pgpool-runbook' },
  });
}

const hostIsWell: HostFacts = {
  ssh: 'answered',
  seen: 'host answers',
  processes: 'running',
  clockOffsetMs: 0,
  hasDataDirectory: true,
  hasStandbySignal: false,
  fenceMark: 'none',
  walTimeline: null,
  synchronousStandbyNames: null,
  neededSettings: null,
  controlFile: null,
};

/** A WAL receiver that hears from node `from` every 100 ms. */
export function receiverFrom(from: number, timeline = 1): WalReceiverFacts {
  return { isStreaming: true, host: makeNode(from).host, port: 5432, timeline, lastMessageAgeMs: 100 };
}

function makeNodeFacts(node: number, differences: DeepPartialNode = {}): NodeFacts {
  const isInRecovery = node !== 0;
  const { host, walReceiver, ...plain } = differences;
  const receiver = isInRecovery ? receiverFrom(0) : null;
  return {
    node,
    sql: 'answered',
    sqlSeen: isInRecovery ? 'answers, in recovery' : 'answers, accepts writes',
    isInRecovery,
    systemIdentifier,
    position: { timeline: 1, lsn: wellLsn },
    replayedLsn: isInRecovery ? (differences.position?.lsn ?? wellLsn) : null,
    receivedLsn: isInRecovery ? (differences.position?.lsn ?? wellLsn) : null,
    history: [],
    timelineAgeMs: null,
    isReplayPaused: isInRecovery ? false : null,
    applyDelayMs: isInRecovery ? 0 : null,
    ownSettings: null,
    fenceMark: isInRecovery ? 'none' : null,
    upstream: isInRecovery ? { host: makeNode(0).host, port: 5432 } : null,
    clients: isInRecovery ? null : 3,
    followers: isInRecovery ? null : 2,
    synchronousStandbyNames: '',
    applicationName: null,
    walReceiver: walReceiver ? { ...receiverFrom(0), ...walReceiver } : walReceiver === null ? null : receiver,
    host: host ? { ...hostIsWell, ...host } : null,
    ...plain,
  };
}

/** pgpool's view: `primary` has that role, every node is up, `live` says what pgpool itself sees. */
export function pgpoolSees(
  primary: number | null,
  live: Readonly<Record<number, string>> = {},
  count = 3,
): PgpoolFacts {
  const nodes = Array.from({ length: count }, (_, node) => ({
    node,
    status: 'up' as const,
    role: node === primary ? 'primary' : 'standby',
    liveStatus: live[node] ?? 'up',
    liveRole: 'unknown',
  }));
  return { pgpool: 'pgpool0', nodes, isReached: true, seen: '' };
}

export function makeFacts(differences: Differences = {}, count = 3): Facts {
  return deepFreeze({
    takenAt: '2026-01-01T00:00:00.000Z',
    record: differences.record ?? null,
    maintenance: differences.maintenance ?? [],
    watch: differences.watch ?? null,
    nodes: Array.from({ length: count }, (_, node) => makeNodeFacts(node, differences.nodes?.[node])),
    probes: differences.probes ?? [],
    pgpools: differences.pgpools ?? [pgpoolSees(0, {}, count)],
  });
}

/** pgpool's report when the primary, node 0, fails. */
export function makeRequest(differences: Partial<FailoverRequest> = {}): FailoverRequest {
  const { failedNode = 0 } = differences;
  return deepFreeze({
    failedNode,
    oldPrimary: 0,
    suspect: null,
    rejoin: null,
    excluded: [],
    notTold: [],
    told: [],
    isPrimaryReported: false,
    givenUp: failedNode === null ? [] : [failedNode],
    lasted: null,
    opened: [],
    hasWaited: false,
    hasLookedAgain: false,
    sinceEventMs: 50,
    formerSynchronousStandbyNames: null,
    fencedNode: null,
    fenceTried: null,
    walOfFailedCandidates: [],
    ...differences,
  });
}

const nothingOverSql = {
  isInRecovery: null,
  systemIdentifier: null,
  position: null,
  replayedLsn: null,
  receivedLsn: null,
  history: [],
  isReplayPaused: null,
  applyDelayMs: null,
  ownSettings: null,
  fenceMark: null,
  synchronousStandbyNames: null,
  applicationName: null,
  walReceiver: null,
  upstream: null,
  clients: null,
  followers: null,
} as const;

/** Stopped: the port is closed and the host says that no process is left. */
export const stopped: DeepPartialNode = {
  ...nothingOverSql,
  sql: 'refused',
  sqlSeen: 'connection refused',
  host: { processes: 'none' },
};

/** SIGSTOP: the processes are there, SQL says nothing. */
export const frozen: DeepPartialNode = {
  ...nothingOverSql,
  sql: 'silent',
  sqlSeen: 'no answer in 1000 ms',
  host: { processes: 'running' },
};

/** Packets dropped: neither SQL nor ssh says anything. */
export const vanished: DeepPartialNode = {
  ...frozen,
  host: {
    ssh: 'silent',
    seen: 'no answer',
    processes: 'unknown',
    clockOffsetMs: null,
    hasDataDirectory: null,
    hasStandbySignal: null,
    fenceMark: null,
  },
};

/** SQLSTATE 57P03: starting, stopping or in crash recovery. */
export const recovering: DeepPartialNode = {
  ...frozen,
  sql: 'recovering',
  sqlSeen: 'the database system is starting up (57P03)',
};

/** The stopped node's control file, with its last checkpoint at `lsn`. */
export function stoppedAt(lsn: string, timeline = 1, identifier = systemIdentifier): DeepPartialNode {
  const controlFile = { state: 'shut down', systemIdentifier: identifier, checkpoint: { timeline, lsn } };
  return { ...stopped, host: { processes: 'none', controlFile } };
}

export function at(lsn: string, timeline = 1): DeepPartialNode {
  return { position: { timeline, lsn } };
}

/** A standby's receiver lost its primary: what remains after a reset connection. */
export const receivesNothing: DeepPartialNode = { walReceiver: null };

/** Promoted: accepts writes on a timeline that forked from timeline 1 at the well position. */
export const promotedToTimeline2: DeepPartialNode = {
  isInRecovery: false,
  position: { timeline: 2, lsn: '0/5000100' },
  history: [{ timeline: 1, endLsn: wellLsn }],
  timelineAgeMs: 300_000,
  walReceiver: null,
};

/** A standby that has crossed to timeline 2 with the node above. */
export const onTimeline2: DeepPartialNode = {
  position: { timeline: 2, lsn: '0/5000100' },
  history: [{ timeline: 1, endLsn: wellLsn }],
  timelineAgeMs: 300_000,
};

export function probe(from: number, answer: ProbeFacts['answer'], about = 0): ProbeFacts {
  return { from, about, answer, isInRecovery: answer === 'answered' ? false : null, seen: `asked: ${answer}` };
}
