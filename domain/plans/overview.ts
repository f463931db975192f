// A cluster's overview for people: one row for each node, with its role, its lag, its upstream, and its status in each
// pgpool. Of a look, or of the watch's last samples while no worker answers.

import { type ClusterConfiguration, findNodeAt, type NodeConfiguration } from '../facts/cluster';
import { type Facts, factsOf, isShownAsPrimary, type NodeFacts, writableNodes } from '../facts/facts';
import { inForce, type Maintenance } from '../facts/maintenance';
import { lagBytes, type WalPosition } from '../facts/wal';
import type { NodeSample, ShownNode, WatchSamples } from '../facts/watch';
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

/** A node's own words, from wherever they come. */
interface Said {
  readonly role: NodeOverview['role'];
  readonly position: WalPosition | null;
  /** The node's replay position; null = the position is all that is known. */
  readonly replayedLsn: string | null;
  /** The server that it streams from; null = none. */
  readonly upstream: { readonly host: string | null; readonly port: number | null } | null;
  readonly isInMaintenance: boolean;
  readonly seen: string;
}

interface View {
  readonly takenAt: string;
  readonly primaries: readonly number[];
  readonly said: (node: number) => Said;
  readonly pgpools: readonly { readonly pgpool: string; readonly nodes: readonly ShownNode[] }[];
}

export function describeCluster(configuration: ClusterConfiguration, facts: Facts): ClusterOverview {
  const { takenAt, pgpools } = facts;
  const primaries = writableNodes(facts).map(({ node }) => node);
  const said = (node: number): Said => ({
    ...factsSaid(factsOf(facts, node)),
    isInMaintenance: isInMaintenance(facts, node),
  });
  return describeView(configuration, { takenAt, primaries, said, pgpools });
}

function factsSaid(own: NodeFacts | undefined): Omit<Said, 'isInMaintenance'> {
  const {
    sql,
    isInRecovery,
    position = null,
    replayedLsn = null,
    walReceiver,
    sqlSeen: seen = 'not asked',
  } = own ?? {};
  const role = sql !== 'answered' ? 'away' : isInRecovery === true ? 'standby' : 'primary';
  return { role, position, replayedLsn, upstream: walReceiver?.isStreaming === true ? walReceiver : null, seen };
}

export function describeSamples(
  configuration: ClusterConfiguration,
  { takenAt, nodes, pgpools }: WatchSamples,
  maintenance: readonly Maintenance[],
): ClusterOverview {
  const held = inForce(maintenance, takenAt).map(({ node }) => node);
  const said = (node: number): Said => ({
    ...sampleSaid(nodes.find((sample) => sample.node === node)),
    isInMaintenance: held.includes(node),
  });
  const primaries = nodes.filter((sample) => sampleSaid(sample).role === 'primary').map(({ node }) => node);
  return describeView(configuration, { takenAt, primaries, said, pgpools });
}

function sampleSaid(sample: NodeSample | undefined): Omit<Said, 'isInMaintenance'> {
  const said = sample?.misses === 0 ? sample.said : null;
  const role = said === null ? 'away' : said.isInRecovery ? 'standby' : 'primary';
  const { position = null, receiver: upstream = null } = said ?? {};
  return { role, position, replayedLsn: null, upstream, seen: sample?.seen ?? 'not asked' };
}

function describeView(configuration: ClusterConfiguration, view: View): ClusterOverview {
  const shownBy = (name: string): readonly ShownNode[] =>
    view.pgpools.find(({ pgpool }) => pgpool === name)?.nodes ?? [];
  const names = configuration.pgpool.map(({ name }) => name);
  const served = names.map((name) => [name, shownBy(name).find(isShownAsPrimary)?.node ?? null] as const);
  const [primary, ...others] = view.primaries;
  const source = primary !== undefined && others.length === 0 ? view.said(primary).position : null;
  return {
    cluster: configuration.cluster,
    takenAt: view.takenAt,
    primaries: view.primaries,
    nodes: configuration.nodes.map((node) => {
      const statuses = names.map(
        (name) => [name, shownBy(name).find((shown) => shown.node === node.id)?.status ?? 'unknown'] as const,
      );
      return {
        ...describeNode(configuration, node, view.said(node.id), source),
        pgpools: Object.fromEntries(statuses),
      };
    }),
    served: Object.fromEntries(served),
  };
}

function describeNode(
  configuration: ClusterConfiguration,
  { id: node, host }: NodeConfiguration,
  said: Said,
  source: WalPosition | null,
): Omit<NodeOverview, 'pgpools'> {
  const { role, position, isInMaintenance: isHeld, seen } = said;
  const lsn = said.replayedLsn ?? position?.lsn ?? null;
  // LSNs of different timelines cannot be compared.
  const isComparable = role === 'standby' && position !== null && source?.timeline === position.timeline;
  return {
    node,
    host,
    role,
    timeline: position?.timeline ?? null,
    lsn,
    lagBytes: isComparable && lsn ? lagBytes(source.lsn, lsn) : null,
    from: describeSource(configuration, said),
    isInMaintenance: isHeld,
    seen,
  };
}

function describeSource(configuration: ClusterConfiguration, { upstream }: Said): string | null {
  if (!upstream) return null;
  const source = findNodeAt(configuration, upstream);
  return source ? `node ${source.id}` : `${upstream.host ?? 'an unknown host'}, which is not in the cluster file`;
}
