// Counts the hosts that the worker reaches: a primary's silence counts only if the worker is on the side of most hosts.
// Hosts count, not processes.

import { type ClusterConfiguration, getNode } from '../facts/cluster';
import { factsOf, type Facts, type NodeFacts } from '../facts/facts';
import { isInMaintenance } from './maintenance';
import { findRecord } from './record';

/**
 * The sentence that says how few hosts the worker reaches. Null when the suspect's silence may count: no other host is
 * silent, or the worker reaches more than half of all hosts that carry a node or a pgpool.
 * Any answer by SQL, ssh or PCP counts as reached, a refusal too. The suspect's host never counts as reached; a host
 * whose node the record says was away is left out.
 */
export function describeCutOff(configuration: ClusterConfiguration, facts: Facts, suspect: number): string | null {
  const suspected = getNode(configuration, suspect).host;
  // A host that was away before the event says nothing about the worker's network.
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
  return `the worker reaches ${reached} of the ${hosts.size} hosts of the cluster, and ${silent.join(', ')} do not answer: the worker itself may be cut off`;
}

function isAnswering(entry: NodeFacts | undefined): boolean {
  if (!entry) return false;
  const ssh = entry.host?.ssh ?? 'silent';
  return entry.sql !== 'silent' || ssh !== 'silent';
}
