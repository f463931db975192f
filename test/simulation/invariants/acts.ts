// Limits of each act, judged by the world as it truly is at the moment when the act takes effect.
// rule-1 a standby is stopped for a copy only once that is verified. rule-2 a fence stops no standby that was not told. rule-3 one that was told is
// stopped, or passed over, only for another that is ready. rule-4 who serves is not stopped, nor is anybody promoted beside it.

import type { FenceInput } from '../../../activities/primary/fence';
import type { ObserveInput } from '../../../activities/look/observe';
import type { Facts } from '../../../domain/facts/facts';
import { inForce } from '../../../domain/facts/maintenance';
import type { InputOf } from '../../../workflows/runbooks/ground';
import { isAsSeen, type Run } from '../acts/run';
import { answerOf, isHeardAsPrimary } from '../look';
import { leaves } from '../model/wal';
import {
  isAlive,
  isUp,
  isWriting,
  type ModelNode,
  type ModelPgpool,
  serversOf,
  type World,
  workerHost,
} from '../model/world';
import { violate } from '../simulation';
import { checkReach } from './reach';
import { checkKept, checkShown, checkSynchronous } from './wal';

export { checkReplaced } from './wal';

export function noteLook(run: Run, { only }: ObserveInput, facts: Facts): void {
  const { actor, sim } = run;
  if (only) return;
  actor.lookedAtVersion = sim.world.version;
  actor.lookedAt = sim.clock.now;
  actor.facts = facts;
  for (const { node, sql } of facts.nodes) {
    if (sql !== 'refused' && sql !== 'silent') sim.firstClosed.delete(node);
    else if (!sim.firstClosed.has(node)) sim.firstClosed.set(node, sim.clock.now);
  }
}

export function checkFence(run: Run, input: FenceInput, node: ModelNode): void {
  const { sim, actor } = run;
  const { world } = sim;
  const wasTold = node.toldAt !== null || node.mayBeTold;
  if (!wasTold) checkInHand(run, node.id, 'fenced');
  if (!isAlive(node)) return;
  if (actor.kind === 'decision' && !run.isLate) actor.stopped.push({ node: node.id, version: actor.lookedAtVersion });
  const isStandby = node.process === 'running' && !node.isWritable;
  // A server that carries our own mark may have been the primary when that was written: nobody can tell.
  if (isStandby && !wasTold && node.mark === 'none' && (isAsSeen(run) || run.isLate))
    violate(sim, 'rule-2', `standby node ${node.id}, which was not told, is stopped${lateness(run)}`);
  if (isStandby && node.toldAt !== null && node.toldBy === 'us') checkBelieved(run, node);
  const isOwnWork = node.isWritable && node.branch.openedBy === 'us' && input.mark === 'before-promotion';
  const isNewest = world.branches.every(({ timeline }) => timeline <= node.branch.timeline);
  if (isOwnWork && isNewest && isHeardAsPrimary(world, node) && isAsSeen(run) && wasUp(run, node))
    violate(sim, 'rule-3', `node ${node.id}, which was promoted and answers somebody, is stopped${lateness(run)}`);
  else if (isWriting(world, node) && node.process === 'running' && isAsSeen(run) && wasUp(run, node))
    checkServed(run, node);
}

/** The node refuses only what is older than ten seconds. */
function lateness({ isLate }: Run): string {
  return isLate ? ' by an act that was late' : '';
}

/** Told, not out of recovery: given up only for another one that is ready now and holds no less. */
function checkBelieved({ sim }: Run, node: ModelNode): void {
  const { world } = sim;
  const isReady = (other: ModelNode): boolean =>
    other !== node &&
    !other.isWritable &&
    answerOf(world, other, workerHost) === 'answered' &&
    other.systemId === node.systemId &&
    leaves(other.branch, node.branch) !== null &&
    other.flushed >= node.whole;
  if (!world.nodes.some(isReady))
    violate(sim, 'rule-3', `node ${node.id}, which was told, is stopped, and nobody else is ready`);
  const { kind } = node.trouble;
  const isBusy = (kind === 'replaying' || kind === 'archive') && answerOf(world, node, workerHost) === 'answered';
  if (isBusy) violate(sim, 'rule-3', `node ${node.id}, which was told and is at work (${kind}), is stopped`);
}

/** At the last look, too: a recovery may end while a fence is on its way. */
function wasUp({ actor }: Run, { upAt, closedUntil }: ModelNode): boolean {
  return upAt <= actor.lookedAt && closedUntil <= actor.lookedAt;
}

/** The node accepts writes and answers. */
function checkServed(run: Run, node: ModelNode): void {
  const { sim } = run;
  const { world } = sim;
  const isReached = answerOf(world, node, workerHost) === 'answered';
  const rivals = world.nodes.filter((other) => other !== node && other.isWritable && isUp(world, other));
  const heirs = rivals.filter(({ branch }) => (leaves(branch, node.branch) ?? Infinity) < Infinity);
  const [heir] = heirs;
  const isUsed =
    serversOf(world, node).length > 0 ||
    node.clients > 0 ||
    world.nodes.some(({ receiver }) => receiver?.from === node.id && receiver.lastAt === world.now);
  const isOurs = (other: ModelNode): boolean => {
    for (let { branch } = other; branch !== node.branch && branch.parent; branch = branch.parent)
      if (branch.openedBy === 'us') return true;
    return false;
  };
  if (heirs.some(isOurs)) return;
  if (!isUsed && heirs.some((one) => serversOf(world, one).length > 0)) return;
  const descends = world.nodes.some(
    (other) => other !== node && (leaves(other.branch, node.branch) ?? Infinity) < Infinity && isOurs(other),
  );
  if (!heir && !isUsed && descends) return;
  if (!heir && !isReached) return;
  const who = isUsed ? 'which is used' : 'which accepts writes';
  const twin = hasTwin(world, node) ? ' (its branch has a twin)' : '';
  violate(
    sim,
    'rule-4',
    `node ${node.id}, ${who}, is stopped${heir ? ` for node ${heir.id}` : ''}${lateness(run)}${twin}`,
  );
}

/** Two promotions at the same place make the same history. */
function hasTwin({ branches }: World, { branch: own }: ModelNode): boolean {
  return branches.some(
    (other) =>
      other !== own && other.timeline === own.timeline && other.fork === own.fork && other.parent === own.parent,
  );
}

export function checkPromotion(run: Run, { candidate }: InputOf<'promote'>, node: ModelNode): void {
  const { sim } = run;
  const { world } = sim;
  const before = sim.violations.length;
  checkInHand(run, candidate, 'promoted');
  for (const other of world.nodes) {
    if (other === node) continue;
    if (other.toldAt !== null && other.toldBy === 'us' && !other.isWritable && isAlive(other))
      violate(sim, 'rule-3', `node ${candidate} is promoted beside node ${other.id}, which was told and not stopped`);
    if (other.isWritable && isUp(world, other) && answerOf(world, other, workerHost) === 'answered' && isAsSeen(run))
      violate(sim, 'rule-4', `node ${candidate} is promoted beside node ${other.id}, which answers as the primary`);
  }
  checkReach(run, node);
  checkKept(run, node);
  checkSynchronous(run, node);
  checkShown(run, node);
  for (const own of sim.violations.splice(before)) sim.violations.push({ ...own, line: `${own.line}${lateness(run)}` });
}

export function checkStop(run: Run, node: ModelNode): void {
  const { sim } = run;
  checkInHand(run, node.id, 'stopped');
  if (node.isWritable && isUp(sim.world, node))
    violate(sim, 'rule-4', `node ${node.id} accepts writes and is stopped for a copy`);
  const isFirst = sim.world.configuration.policy.replacedData === 'removeFirst';
  const isReady = isFirst || node.copy?.isVerified === true || node.placed !== null;
  if (isAlive(node) && !isReady) violate(sim, 'rule-1', `node ${node.id} is stopped before its copy is verified`);
}

/** A dead node is its owner's. */
export function checkStart(run: Run, node: ModelNode): void {
  checkInHand(run, node.id, 'started');
  const isCopy = node.placed !== null && node.isPlacedForLiving;
  if (node.downBy === 'us' || node.downBy === null || node.isAsked || isCopy) return;
  const how = run.actor.mayStart ? ' by a follow that took over from another' : '';
  violate(run.sim, 'rule-8', `node ${node.id} was dead (${node.downBy}), nobody asked for it, and it is started${how}`);
}

export function checkStandbyAct(run: Run, node: ModelNode, what: string): void {
  checkInHand(run, node.id, what);
}

/** A maintenance of the node, or for failovers a pause, that the actor could see when it looked last. */
function checkInHand(run: Run, id: number, what: string): void {
  const { sim, actor, isLate } = run;
  // A late act was issued before, and is on its way.
  if (isLate) return;
  const at = new Date(sim.clock.now).toISOString();
  const seen = inForce(sim.world.maintenance, at).filter(({ since }) => Date.parse(since) < actor.lookedAt);
  const own = seen.find(({ node }) => node === id || (node === null && actor.kind === 'decision'));
  const during = own?.node === null ? 'pause' : 'maintenance';
  if (own) violate(sim, 'rule-10', `node ${id} is ${what} during a ${during}${lateness(run)}`);
}

/** The hook of a detach has not reached anybody yet. */
const hookMs = 100;

/** A standby that a person detached, and of which nothing else was heard since. */
export function checkAttach(run: Run, pgpool: ModelPgpool, id: number): void {
  const { sim } = run;
  const { world } = sim;
  const own = world.nodes[id]!;
  const detached = sim.detached.get(`${pgpool.name} ${id}`);
  if (detached?.version !== world.version || pgpool.detachedAt[id] === null) return;
  if (detached.at >= run.actor.startedAt || sim.clock.now - detached.at < hookMs) return;
  const { reattachMs } = world.configuration.policy;
  const how = run.actor.kind === 'work' ? ' by the last look at a doubted node' : '';
  // The watch looks at pgpool every ten seconds: it may take an earlier detach for this one.
  const isEarly = sim.clock.now - detached.at < reattachMs - 10_000;
  if (!own.isWritable && isEarly && !own.isAsked)
    violate(
      sim,
      'rule-10',
      `node ${id} was detached on purpose and is attached after ${sim.clock.now - detached.at} ms${how}`,
    );
}
