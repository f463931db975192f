// Which nodes people have in hand now, by the facts.

import type { Facts } from '../facts/facts';
import { inForce, type Maintenance } from '../facts/maintenance';

/** The node is to be left alone; null when it is not. */
export function findMaintenance({ maintenance, takenAt }: Facts, node: number): Maintenance | null {
  return inForce(maintenance, takenAt).find((entry) => entry.node === node) ?? null;
}

export function isInMaintenance(facts: Facts, node: number): boolean {
  return findMaintenance(facts, node) !== null;
}

/** A person has said that no promotion is to be made; null when nobody has. */
export function findPause({ maintenance, takenAt }: Facts): Maintenance | null {
  return inForce(maintenance, takenAt).find((entry) => entry.node === null) ?? null;
}
