// Maintenance and pauses of people, and the acts that they forbid.

import type { Facts } from '../facts/facts';
import { describeMaintenance } from '../facts/maintenance';
import { type FailoverPlan, refuse } from './failover-request';
import { findMaintenance, findPause } from './maintenance';

/**
 * The refusal of a promotion, or of a node's stop, while a person has the cluster, or that node, in maintenance. The
 * failure of a primary in maintenance counts as a pause.
 * Null = the plan stands; also during a pause pgpool is told of a living primary.
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
