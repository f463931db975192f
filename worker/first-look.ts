// At start every way to every node is tried once, so that a wrong key, password or path is read on a quiet day, not found in an incident.

import { messageOf } from '../activities/io/failures';
import { readHostFacts } from '../activities/io/host-facts';
import { readNodeFacts } from '../activities/io/node-facts';
import { readNodeInfo } from '../activities/io/pcp';
import type { Tools } from '../activities/io/tools';
import type { ClusterConfiguration, NodeConfiguration } from '../domain/cluster';
import type { NodeFacts } from '../domain/witness';

const lookMs = 5000;

/** One sentence for each way that does not work now; a node may be down, so none of them stops the worker. */
export async function findUnreachable(tools: Tools, configuration: ClusterConfiguration): Promise<string[]> {
  const { cluster } = configuration;
  const nodes = configuration.nodes.map(async (node) => {
    const [sql, host] = await Promise.all([
      readNodeFacts(tools.sql, configuration, node, lookMs),
      readHostFacts(tools, configuration, node, lookMs),
    ]);
    const name = `${cluster}, node ${String(node.id)}`;
    return [
      ...(sql.sql === 'answered' ? [] : [`${name}, SQL: ${sql.sqlSeen}`]),
      ...findOtherName(name, node, sql),
      ...(host.ssh === 'answered' && host.seen === 'host answers' ? [] : [`${name}, ssh: ${host.seen}`]),
    ];
  });
  const pgpools = configuration.pgpool.map(async (pgpool) => {
    try {
      await readNodeInfo(pgpool, configuration.nodes[0]!.id, { timeoutMs: lookMs });
      return [];
    } catch (error) {
      return [`${cluster}, pgpool ${pgpool.name}, PCP: ${messageOf(error)}`];
    }
  });
  return (await Promise.all([...nodes, ...pgpools])).flat();
}

/** Monitoring, synchronous_standby_names and pgpool.conf may know it by the name that it has. */
function findOtherName(name: string, { applicationName }: NodeConfiguration, facts: NodeFacts): string[] {
  if (facts.isInRecovery !== true || applicationName === null || facts.applicationName === applicationName) return [];
  const has = String(facts.applicationName);
  return [
    `${name} is a standby named ${has}, and the cluster file says applicationName ${applicationName}, which it gets when it next follows: write ${has} there, or leave the key out, to keep it`,
  ];
}
