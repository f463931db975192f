// Tries every way to every node at start, so that a wrong key, password or path shows on a quiet day and not in an
// incident.

import { messageOf } from '../activities/io/failures';
import { probeFrom, readHostFacts } from '../activities/io/host/host-facts';
import { readNodeFacts } from '../activities/io/sql/node-facts';
import type { WorkerTools } from '../activities/io/tools';
import { type ClusterConfiguration, getNode, type NodeConfiguration } from '../domain/facts/cluster';
import { describeSynchronousChange } from '../domain/plans/synchronous-change';
import type { HostFacts, NodeFacts } from '../domain/facts/facts';

const lookMs = 5000;

/** A sentence for each way that does not work now. A node may be down, so none of them stops the worker. */
export async function findUnreachable(tools: WorkerTools, configuration: ClusterConfiguration): Promise<string[]> {
  const { cluster } = configuration;
  const nodes = configuration.nodes.map(async (node) => {
    const [sql, host] = await Promise.all([
      readNodeFacts(tools.sql, configuration, node, lookMs),
      readHostFacts(tools, configuration, node, lookMs),
    ]);
    const name = `${cluster}, node ${node.id}`;
    const lines = [
      ...(sql.sql === 'answered' ? [] : [`${name}, SQL: ${sql.sqlSeen}`]),
      ...findOtherName(name, node, sql),
      ...(host.ssh === 'answered' && host.seen === 'host answers' ? [] : [`${name}, ssh: ${host.seen}`]),
    ];
    return { sql, host, lines };
  });
  const pgpools = configuration.pgpool.map(async (pgpool) => {
    try {
      await tools.pcp.readNodeInfo(pgpool, configuration.nodes[0]!.id, { timeoutMs: lookMs });
      return [];
    } catch (error) {
      return [`${cluster}, pgpool ${pgpool.name}, PCP: ${messageOf(error)}`];
    }
  });
  const looks = await Promise.all(nodes);
  const primary = looks.find(({ sql }) => sql.isInRecovery === false)?.sql;
  const change = describeSynchronousChange(configuration, primary?.synchronousStandbyNames ?? null);
  return [
    ...looks.flatMap(({ lines }) => lines),
    ...(await Promise.all(pgpools)).flat(),
    ...(primary ? await findSilentProbes(tools, configuration, primary, looks) : []),
    ...(change ? [`${cluster}: at the next failover ${change}`] : []),
  ];
}

interface Look {
  readonly sql: NodeFacts;
  readonly host: HostFacts;
}

/**
 * A failover asks the primary from each standby's host too, with that host's own password file, so each is tried here.
 */
async function findSilentProbes(
  tools: WorkerTools,
  configuration: ClusterConfiguration,
  primary: NodeFacts,
  looks: readonly Look[],
): Promise<string[]> {
  const about = getNode(configuration, primary.node);
  const standbys = looks.filter(({ sql, host }) => sql.node !== primary.node && host.ssh === 'answered');
  const lines = standbys.map(async ({ sql: { node } }) => {
    const { answer, seen } = await probeFrom(tools, configuration, getNode(configuration, node), about, lookMs);
    if (answer === 'answered') return [];
    const ask = `psql from its host to node ${about.id}, the primary`;
    const advice = `check ${configuration.postgres.passFile} there and pg_hba.conf of node ${about.id}`;
    return [`${configuration.cluster}, node ${node}, ${ask}: ${seen || answer}; ${advice}`];
  });
  return (await Promise.all(lines)).flat();
}

/**
 * Warns before a follow renames a standby: monitoring, synchronous_standby_names and pgpool.conf may use its present
 * name.
 */
function findOtherName(name: string, { applicationName }: NodeConfiguration, facts: NodeFacts): string[] {
  if (facts.isInRecovery !== true || applicationName === null || facts.applicationName === applicationName) return [];
  const has = String(facts.applicationName);
  return [
    `${name} is a standby named ${has}, and the cluster file says applicationName ${applicationName}, which its next follow sets: to keep ${has}, write it there or leave the key out`,
  ];
}
