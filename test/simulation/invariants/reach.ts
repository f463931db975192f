// rule-5: while a primary that is not proven to be stopped may be alive, somebody else is promoted only from the side where most hosts are, never
// while a witness reaches it, and a port that refuses must have refused for two seconds.

import { inForce } from '../../../domain/facts/maintenance';
import { hasHost, isAsSeen, type Run } from '../acts/run';
import { answerOf, isHeardAsPrimary } from '../look';
import { canReach, isAlive, type ModelNode, serversOf, type World, workerHost } from '../model/world';
import { violate } from '../simulation';

const lastingMs = 1900;

export function checkReach(run: Run, candidate: ModelNode): void {
  const { sim, actor } = run;
  const { world } = sim;
  if (!isAsSeen(run)) return;
  // A node that a person has promoted and no client uses is a mistake, which is stopped, or rebuilt, some day.
  const isUsed = (node: ModelNode): boolean => node.branch.openedBy !== 'person' || serversOf(world, node).length > 0;
  const isSuspect = (node: ModelNode): boolean =>
    node !== candidate && node.isWritable && isAlive(node) && isUsed(node);
  // An older one was left behind by an earlier failover.
  const [former] = world.nodes.filter(isSuspect).sort((left, right) => right.branch.timeline - left.branch.timeline);
  if (former && former.branch.timeline >= candidate.branch.timeline && !actor.fenced.has(former.id)) {
    const by = former.branch.openedBy === 'person' ? ', which a person has promoted,' : '';
    const name = `node ${candidate.id} is promoted, and node ${former.id}${by}`;
    if (isHeardAsPrimary(world, former)) violate(sim, 'rule-5', `${name} answers somebody as the primary`);
    if (former.isHung && hasHost(world, former)) violate(sim, 'rule-5', `${name} has processes and is not stopped`);
    const first = sim.firstClosed.get(former.id);
    const isClosed = former.closedUntil > world.now && answerOf(world, former, workerHost) === 'refused';
    if (isClosed && (first === undefined || sim.clock.now - first < lastingMs))
      violate(sim, 'rule-5', `${name} has refused connections for less than 2 s`);
    const cutOff = describeCutOff(world, former);
    if (cutOff !== null) violate(sim, 'rule-5', `${name} is alive, and ${cutOff}`);
  }
}

/** By the world itself: hosts of nodes that were not away before, and of pgpools. */
function describeCutOff(world: World, former: ModelNode): string | null {
  const away = world.record?.away ?? [];
  const known = inForce(world.maintenance, new Date(world.now).toISOString());
  const isExpected = ({ id, host }: ModelNode): boolean =>
    canReach(world, workerHost, host) ||
    host === former.host ||
    (!away.includes(id) && !known.some(({ node }) => node === id));
  const hosts = new Set([
    ...world.nodes.filter(isExpected).map(({ host }) => host),
    ...world.pgpools.map(({ host }) => host),
  ]);
  const reached = [...hosts].filter((host) => host !== former.host && canReach(world, workerHost, host)).length;
  if (hosts.size - reached <= 1 || reached * 2 > hosts.size) return null;
  return `the worker reaches ${reached} of ${hosts.size} hosts`;
}
