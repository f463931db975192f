// The name under which the primary lists a standby: in pg_stat_replication and in synchronous_standby_names.

import type { ClusterConfiguration, NodeConfiguration } from './cluster';
import type { NodeFacts } from './facts';

type Named = Pick<NodeFacts, 'applicationName'>;

/** The application_name for a primary_conninfo that has none, where the cluster file gives none either. */
export function defaultApplicationName(id: number): string {
  return `node${id}`;
}

/** The name that was measured on the standby; else the cluster file's; else node<id>. */
export function applicationNameOf(node: NodeConfiguration, facts?: Named): string {
  return facts?.applicationName ?? node.applicationName ?? defaultApplicationName(node.id);
}

/**
 * The configuration with the names that were measured: a name of the cluster file takes effect only at the next
 * repoint.
 */
export function withRealNames(
  configuration: ClusterConfiguration,
  facts: readonly (Named & Pick<NodeFacts, 'node'>)[],
): ClusterConfiguration {
  const nodes = configuration.nodes.map((node) => {
    const own = facts.find((entry) => entry.node === node.id);
    return { ...node, applicationName: applicationNameOf(node, own) };
  });
  return { ...configuration, nodes };
}
