// A cluster that exists only in a test: nodes with states, typed fake activities that read and change them, a record of every call.

import { ApplicationFailure } from '@temporalio/common';
import type { Activities } from '../../activities/index';
import type { SignalIncidentInput } from '../../activities/incident/signal-incident';
import type { WatchInput, WatchReport } from '../../activities/look/watch';
import type { PromoteFailure } from '../../activities/primary/promote';
import type { ClusterConfiguration, PolicyConfiguration } from '../../domain/facts/cluster';
import type { OwnWal } from '../../domain/plans/follow';
import type { Maintenance } from '../../domain/facts/maintenance';
import type { ClusterRecord, Conclusion } from '../../domain/facts/record';
import type { WatchState } from '../../domain/facts/watch';
import type { DataFacts } from '../../domain/facts/data-directory';
import type { Facts, NodeFacts, PgpoolFacts, ProbeFacts } from '../../domain/facts/facts';
import { dataFacts, type FakeWal, nothingDiverged, rebuildFakes } from './fake-rebuild';
import { deadNode, hostOf, primaryNode, standbyNode } from './fake-nodes';

export type ActivityName = keyof Activities;
export type Fakes = {
  [Name in ActivityName]: (input: Parameters<Activities[Name]>[0]) => ReturnType<Activities[Name]>;
};

/** An act that is held until the test lets it go; `isCancellable` = it notices a cancellation, as acts that wait do. */
export interface Hold {
  readonly reached: Promise<void>;
  readonly release: () => void;
}

interface OpenHold extends Hold {
  readonly arrive: () => void;
  readonly released: Promise<void>;
  readonly isCancellable: boolean;
}

/** Tells the cluster's incident of a node that returned, or what the watch has told. */
type Signal = (input: SignalIncidentInput) => Promise<void>;

export class FakeCluster {
  /** Activities in the order of their start; `by` is the workflow: incident, follow 2. */
  readonly calls: { readonly by: string; readonly name: string }[] = [];
  readonly fakes: Fakes;
  configuration: ClusterConfiguration;
  probes: ProbeFacts[] = [];
  /** The pgpools answer, and show no node. */
  pgpools: PgpoolFacts[] = [{ pgpool: 'pgpool0', nodes: [], isReached: true, seen: '' }];
  /** The record of the last decision. */
  record: ClusterRecord | null = null;
  maintenance: readonly Maintenance[] = [];
  readonly concluded: Conclusion[] = [];
  /** The input of each watch. */
  readonly watches: WatchInput[] = [];
  /** The state in the running watch's heartbeats. */
  samples: WatchState | null = null;
  /** Ends the last watch. */
  report: (report: WatchReport) => void = () => undefined;
  /** The facts that a rebuild finds on its node. */
  data: DataFacts = dataFacts();
  wal: FakeWal = nothingDiverged;
  /** WAL files that the archive of a rebuilt or started node does not have. */
  unarchived = 0;
  /** The answer of a look at the node's pg_wal past the fork. */
  ownWal: OwnWal = 'some';
  /** The primary that each node was configured to follow while it was stopped. */
  readonly configured = new Map<number, number>();
  private readonly nodes = new Map<number, NodeFacts>();
  private readonly failures = new Map<string, Error[]>();
  private readonly holds = new Map<string, OpenHold>();

  constructor(name: string, signal: Signal) {
    this.configuration = configurationOf(name, [0, 1, 2]);
    this.set(primaryNode(0), standbyNode(1, 0), standbyNode(2, 0));
    this.fakes = fakesOf(this, signal);
  }

  get name(): string {
    return this.configuration.cluster;
  }

  get facts(): Facts {
    return {
      takenAt: '2026-01-01T00:00:00.000Z',
      record: this.record,
      maintenance: this.maintenance,
      watch: null,
      nodes: [...this.nodes.values()],
      probes: this.probes,
      pgpools: this.pgpools,
    };
  }

  set(...nodes: readonly NodeFacts[]): void {
    for (const node of nodes) this.nodes.set(node.node, node);
  }

  get(node: number): NodeFacts {
    return this.nodes.get(node)!;
  }

  /** Nodes 0 to `count` - 1: 0 is the primary, the rest stream from it. */
  resize(count: number): void {
    const ids = Array.from({ length: count }, (_, id) => id);
    this.configuration = configurationOf(this.name, ids);
    this.set(primaryNode(0), ...ids.slice(1).map((id) => standbyNode(id, 0)));
  }

  setPolicy(policy: Partial<PolicyConfiguration>): void {
    this.configuration = { ...this.configuration, policy: { ...this.configuration.policy, ...policy } };
  }

  callsOf(by: string): string[] {
    return this.calls.filter((call) => call.by === by).map((call) => call.name);
  }

  /** The next calls with this short name ("promote 1") fail, one failure each. */
  fail(name: string, ...failures: readonly Error[]): void {
    this.failures.set(name, [...failures]);
  }

  /** The next call with this short name stops until it is released. */
  hold(name: string, { isCancellable }: { isCancellable: boolean }): Hold {
    const reached = promiseWithResolve();
    const released = promiseWithResolve();
    const hold: OpenHold = {
      reached: reached.promise,
      arrive: reached.resolve,
      released: released.promise,
      release: released.resolve,
      isCancellable,
    };
    this.holds.set(name, hold);
    return hold;
  }

  /** The common beginning of every fake. `cancelled` rejects when the activity is told to stop. */
  async begin(by: string, name: string, cancelled: Promise<never>): Promise<void> {
    // The record is written beside all else: tests of it read `concluded`.
    if (name !== 'conclude') this.calls.push({ by, name });
    const hold = this.holds.get(name);
    this.holds.delete(name);
    hold?.arrive();
    if (hold) await (hold.isCancellable ? Promise.race([hold.released, cancelled]) : hold.released);
    const failure = this.failures.get(name)?.shift();
    if (failure) throw failure;
  }
}

function promiseWithResolve(): { promise: Promise<void>; resolve: () => void } {
  let resolve = (): void => undefined;
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

export function retryable(message: string): Error {
  return ApplicationFailure.create({ type: 'Unproven', message });
}

/** A promotion that failed: before pg_promote was sent, or after it and with what holds the candidate up. */
export function notPromoted(message: string, details: PromoteFailure): Error {
  return ApplicationFailure.create({ type: 'Unproven', message, nonRetryable: !details.isTold, details: [details] });
}

/** pgpool0 uses this node as its primary. */
export function pgpoolServing(primary: number): PgpoolFacts {
  const nodes = [{ node: primary, status: 'up' as const, role: 'primary', liveStatus: 'up', liveRole: 'primary' }];
  return { pgpool: 'pgpool0', nodes, isReached: true, seen: '' };
}

export function worldChanged(message: string, type = 'WorldChanged'): Error {
  return ApplicationFailure.nonRetryable(message, type);
}

function fakesOf(cluster: FakeCluster, signal: Signal): Fakes {
  return {
    observe: ({ only }) => {
      const { configuration, facts } = cluster;
      const nodes = only ? facts.nodes.filter(({ node }) => only.includes(node)) : facts.nodes;
      return Promise.resolve({ configuration, facts: { ...facts, nodes } });
    },
    awaitRecovery: ({ node }) => Promise.resolve({ line: `node ${node} after 3000 ms: starting up` }),
    fence: ({ node }) => {
      cluster.set(deadNode(node));
      const { nodes } = cluster.facts;
      return Promise.resolve({ outcome: 'confirmed', seen: 'no process left', nodes, synchronousStandbyNames: null });
    },
    promote: ({ candidate, position }) => {
      const timeline = position.timeline + 1;
      cluster.set(primaryNode(candidate, timeline));
      return Promise.resolve({ changed: true, timeline, line: `node ${candidate} accepts writes` });
    },
    confirmPrimary: ({ pgpool, primary }) =>
      Promise.resolve({ changed: false, line: `${pgpool} shows node ${primary}` }),
    repoint: ({ node, primary, timeline }) => {
      cluster.set(standbyNode(node, primary, timeline));
      return Promise.resolve({ changed: true, line: `node ${node} streams` });
    },
    attach: ({ pgpool, node }) => Promise.resolve({ changed: true, line: `${pgpool} uses node ${node}` }),
    setSynchronousStandbys: () => Promise.resolve({ changed: true, line: 'ANY 1 ("node2")' }),
    conclude: ({ conclusion }) => {
      cluster.concluded.push(conclusion);
      return Promise.resolve({ line: 'recorded' });
    },
    signalIncident: (input) => signal(input),
    watch: (input) => {
      cluster.watches.push(input);
      return new Promise((resolve) => {
        cluster.report = resolve;
      });
    },
    ...rebuildFakes(cluster),
  };
}

function configurationOf(cluster: string, ids: readonly number[]): ClusterConfiguration {
  return {
    cluster,
    nodes: ids.map((id) => ({
      id,
      host: hostOf(id),
      port: 5432,
      dataDirectory: '/srv/main',
      applicationName: `node${id}`,
      priority: 100,
      ssh: { host: hostOf(id), port: 22, user: 'postgres', identityFile: '~/.ssh/id_ed25519' },
    })),
    postgres: {
      bin: '/usr/lib/postgresql/15/bin',
      user: 'postgres',
      database: 'postgres',
      replicationUser: 'replicator',
      passFile: '~/.pgpass',
      sslMode: 'prefer',
      sslRootCertificate: null,
      service: { kind: 'pg_ctl' },
    },
    ssh: { knownHostsFile: '~/.ssh/known_hosts' },
    paths: { savedConfiguration: '~/pgpool-runbook/saved', jobs: '~/pgpool-runbook/jobs' },
    pgpool: [
      { name: 'pgpool0', host: '10.0.0.20', port: 9999, pcpPort: 9898, pcpUser: 'pgpool', passFile: '~/.pcppass' },
    ],
    policy: {
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
      reattachMs: 0,
      actOn: 'pgpool',
    },
    temporal: { address: '127.0.0.1:7233', namespace: 'default', taskQueue: 'pgpool-runbook' },
  };
}
