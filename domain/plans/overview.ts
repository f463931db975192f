// A cluster's overview for people: one row for each node, with its role, its lag, its upstream, and its status in each
// pgpool.

import type { ClusterConfiguration } from '../facts/cluster';
import { type Facts, factsOf, type NodeFacts, receivesFrom, writableNodes } from '../facts/facts';
import { lagBytes } from '../facts/wal';
import { isInMaintenance } from './maintenance';

export interface NodeOverview {
  readonly node: number;
  readonly host: string;
  readonly role: 'primary' | 'standby' | 'away';
  readonly timeline: number | null;
  readonly lsn: string | null;
  /** Lag behind the primary, by what the node has replayed; null for the primary, or when unknown. */
  readonly lagBytes: number | null;
  /** The server that the node streams from, in words; null = none. */
  readonly from: string | null;
  readonly isInMaintenance: boolean;
  /** The node's status in each pgpool: up, down, waiting, unused, or unknown where that pgpool did not answer. */
  readonly pgpools: Readonly<Record<string, string>>;
  readonly seen: string;
}

export interface ClusterOverview {
  readonly cluster: string;
  /** ISO time of the look. */
  readonly takenAt: string;
  /** Nodes that accept writes: one, unless something is wrong. */
  readonly primaries: readonly number[];
  readonly nodes: readonly NodeOverview[];
  /** The node that each pgpool shows as its primary; null = none, or that pgpool did not answer. */
  readonly served: Readonly<Record<string, number | null>>;
}

export function describeCluster(configuration: ClusterConfiguration, facts: Facts): ClusterOverview {
  const primaries = writableNodes(facts);
  const source = primaries.length === 1 ? primaries[0]! : null;
  const served = configuration.pgpool.map(({ name }) => [name, servedBy(facts, name)] as const);
  return {
    cluster: configuration.cluster,
    takenAt: facts.takenAt,
    primaries: primaries.map(({ node }) => node),
    nodes: configuration.nodes.map(({ id }) => describeNode(configuration, facts, id, source)),
    served: Object.fromEntries(served),
  };
}

function servedBy(facts: Facts, pgpool: string): number | null {
  const nodes = facts.pgpools.find((entry) => entry.pgpool === pgpool)?.nodes ?? [];
  return nodes.find(({ role, status }) => role === 'primary' && status !== 'down')?.node ?? null;
}

function describeNode(
  configuration: ClusterConfiguration,
  facts: Facts,
  node: number,
  source: NodeFacts | null,
): NodeOverview {
  const own = factsOf(facts, node);
  const statuses = configuration.pgpool.map(({ name }) => {
    const seen = facts.pgpools.find((entry) => entry.pgpool === name)?.nodes.find((entry) => entry.node === node);
    return [name, seen?.status ?? 'unknown'] as const;
  });
  return {
    node,
    host: configuration.nodes.find(({ id }) => id === node)!.host,
    role: own?.sql !== 'answered' ? 'away' : own.isInRecovery === true ? 'standby' : 'primary',
    timeline: own?.position?.timeline ?? null,
    lsn: own?.replayedLsn ?? own?.position?.lsn ?? null,
    lagBytes: measureLag(own, source),
    from: own ? describeSource(configuration, own) : null,
    isInMaintenance: isInMaintenance(facts, node),
    pgpools: Object.fromEntries(statuses),
    seen: own?.sqlSeen ?? 'not asked',
  };
}

function measureLag(own: NodeFacts | undefined, source: NodeFacts | null): number | null {
  if (!own || !source?.position || own.node === source.node || own.isInRecovery !== true) return null;
  const lsn = own.replayedLsn ?? own.position?.lsn;
  // LSNs of different timelines cannot be compared.
  return lsn && own.position?.timeline === source.position.timeline ? lagBytes(source.position.lsn, lsn) : null;
}

function describeSource({ nodes }: ClusterConfiguration, own: NodeFacts): string | null {
  if (own.walReceiver?.isStreaming !== true) return null;
  const upstream = nodes.find((node) => receivesFrom(own, node));
  return upstream
    ? `node ${upstream.id}`
    : `${own.walReceiver.host ?? 'an unknown host'}, which is not in the cluster file`;
}
