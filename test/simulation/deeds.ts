// Deeds that may befall a cluster: faults, acts of people, and false events. Each says in words what it has done; null = it did not apply.

import type { Simulation } from './simulation';
import { hookDeeds } from './deeds/events';
import { mistakeDeeds } from './deeds/mistakes';
import { peopleDeeds } from './deeds/people';
import { questionDeeds } from './deeds/questions';
import { serverDeeds } from './deeds/servers';
import { troubleDeeds } from './deeds/troubles';
import type { Entry } from './schedule';

const deeds = { ...serverDeeds, ...peopleDeeds, ...hookDeeds, ...troubleDeeds, ...questionDeeds, ...mistakeDeeds };
export type DeedName = keyof typeof deeds;

/** Each name as often as it is drawn. */
export const weights: readonly DeedName[] = (Object.keys(deeds) as DeedName[]).flatMap((name) =>
  Array.from({ length: deeds[name].weight }, () => name),
);

export const deedNames = Object.keys(deeds) as DeedName[];

/** In words; null when it did not apply. */
export function doDeed(sim: Simulation, entry: Entry): string | null {
  const deed = deeds[entry.what];
  const told = deed.does(sim, entry);
  if (told === null) return null;
  if (deed.kind === 'fault') {
    sim.counts.faults += 1;
    sim.world.version += 1;
  } else if (deed.kind === 'person') sim.counts.events += 1;
  return told;
}
