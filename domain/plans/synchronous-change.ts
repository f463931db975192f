// The change that a failover makes to a site's synchronous replication, in words: the policy's set is written, whatever
// was in force. Pure.

import type { ClusterConfiguration } from '../facts/cluster';
import { parseSynchronousStandbyNames } from './synchronous';

/**
 * A clause, such as "becomes asynchronous (…)"; null when nothing changes, or the set in force is unknown.
 * @param inForce synchronous_standby_names of the (former) primary
 */
export function describeSynchronousChange(
  { policy }: Pick<ClusterConfiguration, 'policy'>,
  inForce: string | null,
): string | null {
  if (inForce === null) return null;
  const set = parseSynchronousStandbyNames(inForce);
  const { standbys } = policy.synchronous;
  // A value that cannot be parsed counts as synchronous.
  const isSynchronous = set === null || set.required > 0;
  if (isSynchronous && standbys === 0)
    return `replication becomes asynchronous (policy.synchronous.standbys is 0, and the primary has synchronous_standby_names '${inForce}')`;
  if (!isSynchronous && standbys > 0)
    return `replication becomes synchronous (policy.synchronous.standbys is ${standbys}, and the primary has no synchronous_standby_names)`;
  return null;
}
