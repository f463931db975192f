// Deliberate acts of people stand: what a maintenance or a pause forbids.

import type { Facts } from '../facts/facts';
import { describeMaintenance } from '../facts/maintenance';
import { type FailoverPlan, refuse } from './failover-request';
import { findMaintenance, findPause } from './maintenance';

/**
 * What is said instead of a promotion, or of a node's stop, while a person has the cluster, or that node, in hand. The failure of a primary that is in maintenance is a pause.
 * Null = the plan stands: a living primary is shown to pgpool also during a pause.
 */
export function pauseInstead(facts: Facts, plan: FailoverPlan): FailoverPlan | null {
  if (plan.action !== 'promote' && plan.action !== 'fence') return null;
  const pause = findPause(facts);
  if (pause) return refuse('paused', `the cluster is paused ${describeMaintenance(pause)}; instead of: ${plan.line}`);
  const node = plan.action === 'promote' ? plan.formerPrimary : plan.node;
  const own = node === null ? null : findMaintenance(facts, node);
  if (!own) return null;
  return refuse(
    'paused',
    `node ${String(node)} is in maintenance ${describeMaintenance(own)}; instead of: ${plan.line}`,
  );
}
