// An overview from the watch's last samples, in the form of a look: for people, while no worker answers.

import type { ClusterConfiguration, NodeConfiguration } from '../facts/cluster';
import { inForce, type Maintenance } from '../facts/maintenance';
import type { NodeSample, NodeWords, WatchSamples } from '../facts/watch';
import { lagBytes } from '../facts/wal';
import type { ClusterOverview, NodeOverview } from './overview';

export function describeSamples(
  configuration: ClusterConfiguration,
  samples: WatchSamples,
  maintenance: readonly Maintenance[],
): ClusterOverview {
  const { takenAt, nodes, pgpools } = samples;
  const primaries = nodes.filter((entry) => answering(entry)?.isInRecovery === false);
  const source = primaries.length === 1 ? primaries[0]!.said : null;
  const held = inForce(maintenance, takenAt).map(({ node }) => node);
  const served = configuration.pgpool.map(({ name }) => {
    const shown = pgpools.find(({ pgpool }) => pgpool === name)?.nodes ?? [];
    return [name, shown.find(({ role, status }) => role === 'primary' && status !== 'down')?.node ?? null] as const;
  });
  return {
    cluster: configuration.cluster,
    takenAt,
    primaries: primaries.map(({ node }) => node),
    nodes: configuration.nodes.map((node) => ({
      ...describeNode(configuration, node, samples, source),
      isInMaintenance: held.includes(node.id),
    })),
    served: Object.fromEntries(served),
  };
}

function answering(sample: NodeSample | undefined): NodeWords | null {
  return sample?.misses === 0 ? sample.said : null;
}

function describeNode(
  configuration: ClusterConfiguration,
  { id, host }: NodeConfiguration,
  { nodes, pgpools }: WatchSamples,
  source: NodeWords | null,
): Omit<NodeOverview, 'isInMaintenance'> {
  const sample = nodes.find(({ node }) => node === id);
  const said = answering(sample);
  const statuses = configuration.pgpool.map(({ name }) => {
    const shown = pgpools.find(({ pgpool }) => pgpool === name)?.nodes.find(({ node }) => node === id);
    return [name, shown?.status ?? 'unknown'] as const;
  });
  return {
    node: id,
    host,
    role: said === null ? 'away' : said.isInRecovery ? 'standby' : 'primary',
    timeline: said?.position?.timeline ?? null,
    lsn: said?.position?.lsn ?? null,
    lagBytes: said?.isInRecovery === true ? measureLag(said, source) : null,
    from: said ? describeSource(configuration, said) : null,
    pgpools: Object.fromEntries(statuses),
    seen: sample?.seen ?? 'not asked',
  };
}

/** On another timeline the same number is another place. */
function measureLag({ position }: NodeWords, source: NodeWords | null): number | null {
  if (!position || source?.position?.timeline !== position.timeline) return null;
  return lagBytes(source.position.lsn, position.lsn);
}

function describeSource({ nodes }: ClusterConfiguration, { receiver }: NodeWords): string | null {
  if (!receiver) return null;
  const upstream = nodes.find(({ host, port }) => host === receiver.host && port === receiver.port);
  return upstream ? `node ${upstream.id}` : `${receiver.host}, which is not in the cluster file`;
}
