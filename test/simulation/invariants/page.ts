// rule-7: a refusal is looked at again for as long as it takes: every 10 s for ten minutes, then every 1 to 5 min.

import type { IncidentState } from '../../../domain/plans/incident-state';
import { type Simulation, violate } from '../simulation';

const soonMs = 10_000;
const lateMs = 300_000;

export function checkPage(sim: Simulation, state: IncidentState): void {
  const { undecided, look, decision, waiting, settling } = state;
  if (undecided.length === 0) {
    sim.refusedSince = null;
    return;
  }
  sim.refusedSince ??= sim.clock.now;
  if (decision ?? settling ?? waiting[0]) return;
  if (look?.at == null) {
    violate(sim, 'rule-7', 'a refusal stands, and nobody will look again');
    return;
  }
  const ms = look.at - sim.clock.now;
  const isEarly = sim.clock.now - sim.refusedSince < 540_000;
  if (ms > (isEarly ? soonMs : lateMs)) violate(sim, 'rule-7', `a refusal is looked at again only in ${ms} ms`);
}
