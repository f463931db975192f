// Small words about pgpool that several verbs share.

import type { ClusterConfiguration, PgpoolConfiguration } from '../../../domain/facts/cluster';
import { failure } from '../failures';
import type { PcpNodeInfo } from './pcp';

/** `waiting` is up without a client connection yet. */
export function isUp(info: Pick<PcpNodeInfo, 'status'>): boolean {
  return info.status === 'up' || info.status === 'waiting';
}

/** @throws Configuration when the cluster file does not name it */
export function findPgpool(configuration: ClusterConfiguration, name: string): PgpoolConfiguration {
  const pgpool = configuration.pgpool.find((entry) => entry.name === name);
  if (!pgpool) throw failure('configuration', `pgpool ${name} is not in the cluster file of ${configuration.cluster}`);
  return pgpool;
}
