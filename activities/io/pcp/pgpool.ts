// Small words about pgpool that several verbs share.

import type { ClusterConfiguration, PgpoolConfiguration } from '../../../domain/facts/cluster';
import { failure } from '../failures';
import type { PcpNodeInfo } from './pcp';

/** `waiting` is up without a client connection yet. */
export function isUp(info: Pick<PcpNodeInfo, 'status'>): boolean {
  return info.status === 'up' || info.status === 'waiting';
}

/**
 * pgpool has just pinged the node itself, and got no answer (from 4.3 on; pcp_worker.c, inform_node_info). Attached now, the node is given up by
 * the next health check, and each of both changes cuts sessions.
 */
export function isUnheard(info: Pick<PcpNodeInfo, 'pgStatus'>): boolean {
  return info.pgStatus === 'down';
}

/** The sentence for a node that the worker hears and pgpool does not. */
export function describeUnheard(pgpool: string, node: number): string {
  return `${pgpool} itself gets no answer from node ${node}, so it is not asked to attach it: check the way from the host of ${pgpool} to node ${node}`;
}

/** @throws Configuration when the cluster file does not name it */
export function findPgpool(configuration: ClusterConfiguration, name: string): PgpoolConfiguration {
  const pgpool = configuration.pgpool.find((entry) => entry.name === name);
  if (!pgpool) throw failure('configuration', `pgpool ${name} is not in the cluster file of ${configuration.cluster}`);
  return pgpool;
}
