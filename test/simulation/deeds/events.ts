// Events that are false, late, lost or doubled: everything in an event is a hint.

import type { Simulation } from '../simulation';
import type { Entry } from '../schedule';
import { deed, primaryOf, whoOf } from './deed';
import type { ClusterEvent, EventKind } from '../../../domain/facts/event';

function eventOf(sim: Simulation, kind: EventKind, entry: Entry, more: Partial<ClusterEvent>): ClusterEvent {
  const { id } = whoOf(sim, entry);
  const at = new Date(sim.clock.now).toISOString();
  const eventId = `false-${kind}-${sim.clock.now}-${entry.other}`;
  return { eventId, kind, node: id, mainNode: 0, oldPrimary: null, at, ...more };
}

export const hookDeeds = {
  falseFailover: deed('quiet', 7, (sim, entry) => {
    const olds = [primaryOf(sim).id, entry.other % sim.world.nodes.length, null];
    const oldPrimary = olds[entry.other % olds.length]!;
    const nodes = [whoOf(sim, entry).id, null, 7];
    const node = nodes[entry.isWide ? 0 : entry.other % nodes.length]!;
    sim.signal(eventOf(sim, 'failover', entry, { node, oldPrimary }));
    return `an event says: node ${String(node)} failed, the primary was node ${String(oldPrimary)}`;
  }),
  falseFollow: deed('quiet', 6, (sim, entry) => {
    const event = eventOf(sim, 'follow', entry, { oldPrimary: entry.other % sim.world.nodes.length });
    sim.signal(event);
    return `an event says: node ${String(event.node)} must follow`;
  }),
  falseReturn: deed('quiet', 5, (sim, entry) => {
    const event = eventOf(sim, 'returned', entry, {});
    sim.signal(event);
    return `an event says: node ${String(event.node)} is back`;
  }),
  loseHook: deed('fault', 2, (sim) => {
    sim.world.hookTroubles.push({ kind: 'lost', ms: 0 });
    return 'the next call of a hook will be lost';
  }),
  delayHook: deed('fault', 3, (sim, { ms }) => {
    sim.world.hookTroubles.push({ kind: 'late', ms });
    return `the next call of a hook will be ${ms} ms late`;
  }),
  doubleHook: deed('fault', 2, (sim, { ms }) => {
    sim.world.hookTroubles.push({ kind: 'twice', ms });
    return `the next call of a hook will come twice, ${ms} ms apart`;
  }),
};
