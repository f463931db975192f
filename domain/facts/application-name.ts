// Under which name the primary lists a standby: in pg_stat_replication, and in synchronous_standby_names.

import type { ClusterConfiguration, NodeConfiguration } from './cluster';
import type { NodeFacts } from './facts';

type Named = Pick<NodeFacts, 'applicationName'>;

/** What is written into a primary_conninfo without application_name, where the cluster file gives none. */
export function defaultApplicationName(id: number): string {
  return `node${id}`;
}

/** The name that the standby really has, as far as that was measured; else the cluster file's; else node<id>. */
export function applicationNameOf(node: NodeConfiguration, facts?: Named): string {
  return facts?.applicationName ?? node.applicationName ?? defaultApplicationName(node.id);
}

/** The configuration with the names that these nodes really have: a name of the cluster file counts only from the next repoint on. */
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
