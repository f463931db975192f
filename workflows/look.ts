// One look at every node and every pgpool, for a person who asks for the cluster's status. Nothing is decided or
// changed.

import { upsertSearchAttributes } from '@temporalio/workflow';
import { type ClusterOverview, describeCluster } from '../domain/plans/overview';
import { perform } from './ground';
import { searchAttributes } from './search-attributes';

export async function look(cluster: string): Promise<ClusterOverview> {
  upsertSearchAttributes(searchAttributes({ cluster, operation: 'look' }));
  const { configuration, facts } = await perform(
    'observe',
    { cluster, suspect: null, isWhole: true },
    'a person asks for the status',
  );
  return describeCluster(configuration, facts);
}
