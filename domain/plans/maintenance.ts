// Finds by the facts which nodes, or the whole cluster, are in maintenance now.

import type { Facts } from '../facts/facts';
import { inForce, type Maintenance } from '../facts/maintenance';

/** The node's maintenance; null without one. */
export function findMaintenance({ maintenance, takenAt }: Facts, node: number): Maintenance | null {
  return inForce(maintenance, takenAt).find((entry) => entry.node === node) ?? null;
}

export function isInMaintenance(facts: Facts, node: number): boolean {
  return findMaintenance(facts, node) !== null;
}

/** The cluster's pause; null without one. */
export function findPause({ maintenance, takenAt }: Facts): Maintenance | null {
  return inForce(maintenance, takenAt).find((entry) => entry.node === null) ?? null;
}
