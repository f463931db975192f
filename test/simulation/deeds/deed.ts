// A deed, and how it finds the node that it concerns.

import { isAlive, type ModelNode, type ModelPgpool, serversOf } from '../model/world';
import { type Simulation, worldNow } from '../simulation';
import type { Entry } from '../schedule';

export interface Deed {
  /** `person` acts count as events, `quiet` as neither. */
  readonly kind: 'fault' | 'person' | 'quiet';
  readonly weight: number;
  readonly does: (sim: Simulation, entry: Entry) => string | null;
}

export const deed = (kind: Deed['kind'], weight: number, does: Deed['does']): Deed => ({ kind, weight, does });

/** The node that clients use, else one that accepts writes, else one that did. */
export function primaryOf(sim: Simulation): ModelNode {
  const { nodes } = worldNow(sim);
  const served = nodes.find((node) => serversOf(sim.world, node).length > 0);
  const writable = nodes.find((node) => node.isWritable && isAlive(node));
  return served ?? writable ?? nodes[0]!;
}

export function whoOf(sim: Simulation, { who, other }: Entry): ModelNode {
  const { nodes } = worldNow(sim);
  if (typeof who === 'number') return nodes[who % nodes.length]!;
  const primary = primaryOf(sim);
  if (who === 'primary') return primary;
  const standbys = nodes.filter((node) => node !== primary);
  return standbys[other % standbys.length]!;
}

export function pgpoolOf({ world: { pgpools } }: Simulation, { other }: Entry): ModelPgpool {
  return pgpools[other % pgpools.length]!;
}
