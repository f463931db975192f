// Which hosts the worker reaches: silence of the primary counts only on the side where most hosts are. Hosts count, not processes.

import { type ClusterConfiguration, getNode } from '../facts/cluster';
import { factsOf, type Facts, type NodeFacts } from '../facts/facts';
import { isInMaintenance } from './maintenance';
import { findRecord } from './record';

/**
 * Null when silence of the suspect may count: nobody but its host is silent, or the worker reaches more than half of all hosts that carry a node or
 * a pgpool. A host whose node was away by the record is not counted. Else the sentence that says how few it reaches. Any answer by SQL, ssh or PCP is "reached", a refusal too; the suspect's host is not.
 */
export function describeCutOff(configuration: ClusterConfiguration, facts: Facts, suspect: number): string | null {
  const suspected = getNode(configuration, suspect).host;
  // A host that was away before the event says nothing about the worker's own way.
  const away = findRecord(configuration, facts)?.away ?? [];
  const hosts = new Map<string, boolean>();
  const add = (host: string, isReached: boolean): void => {
    hosts.set(host, host !== suspected && (isReached || hosts.get(host) === true));
  };
  for (const { id, host } of configuration.nodes) {
    const isReached = isAnswering(factsOf(facts, id));
    const isExpected = !away.includes(id) && !isInMaintenance(facts, id);
    if (isReached || isExpected || host === suspected) add(host, isReached);
  }
  for (const { name, host } of configuration.pgpool) {
    add(
      host,
      facts.pgpools.some(({ pgpool, isReached }) => pgpool === name && isReached),
    );
  }
  const silent = [...hosts].filter(([, isReached]) => !isReached).map(([host]) => host);
  const reached = hosts.size - silent.length;
  if (silent.length <= 1 || reached * 2 > hosts.size) return null;
  return `the worker reaches ${reached} of the ${hosts.size} hosts of the cluster, and ${silent.join(', ')} say nothing: it may be the one that is cut off`;
}

function isAnswering(entry: NodeFacts | undefined): boolean {
  if (!entry) return false;
  const ssh = entry.host?.ssh ?? 'silent';
  return entry.sql !== 'silent' || ssh !== 'silent';
}
