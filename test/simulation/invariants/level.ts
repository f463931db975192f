// level: a world that does not change opens no further incident. What has been mended does not differ again by itself, and what differs on is told after
// 1, 2, 4 … minutes, with a reason of its own.

import type { Difference } from '../../../domain/facts/watch';
import { type Simulation, violate } from '../simulation';

/** @param isEvent it opens an incident; a warning opens none */
export function checkTold(sim: Simulation, { key, since, line, node }: Difference, isEvent: boolean): void {
  const { level, world, clock, incident } = sim;
  // Nothing befalls the cluster any more.
  if (!level.isCalm) return;
  const last = level.told.get(key);
  level.told.set(key, { since, at: clock.now, version: world.version });
  if (last?.version !== world.version) return;
  // A follow that is at work changes the node itself.
  if (incident?.state.nodes.some(({ id, follow }) => id === node && follow === 'running')) return;
  if (last.since !== since && isEvent) violate(sim, 'level', `mended, and back although nothing has changed: ${line}`);
  else if (clock.now - last.at < 60_000) violate(sim, 'level', `told again within a minute: ${line}`);
  else if (level.completedAt > last.at && (node === null || !sim.left.has(node)))
    violate(sim, 'level', `told again, and the incident in between has found all well: ${line}`);
}
