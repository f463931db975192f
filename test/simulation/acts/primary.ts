// The verbs about the primary on the model: observe, awaitRecovery, fence, promote, setSynchronousStandbys.

import { Failure } from '../../../activities/io/failures';
import type { FenceResult } from '../../../activities/primary/fence';
import type { PromoteFailure } from '../../../activities/primary/promote';
import { comparePosition } from '../../../domain/facts/wal';
import type { NodeFacts } from '../../../domain/facts/facts';
import { formatSynchronousStandbyNames } from '../../../domain/plans/synchronous';
import type { InputOf } from '../../../workflows/runbooks/ground';
import { checkFence, checkPromotion, noteLook } from '../invariants/acts';
import { lookAtHost, lookAtNode } from '../look';
import { degenerate } from '../model/pgpool';
import { crash, endTrouble, shutDown, tellToPromote } from '../model/processes';
import { acknowledge, isConfirming, isListed } from '../model/physics';
import { leaveBehind } from '../model/wal';
import { canReach, isAlive, isUp, type ModelNode, nodeOf, type World, workerHost } from '../model/world';
import { observeWorld } from '../observe';
import { tellStory, worldNow } from '../simulation';
import { acted, done, fail, hasHost, pause, type Run, type VerbBodies, work } from './run';

/** activities/primary/set-synchronous-standbys.ts waits so long for who is listed and says nothing. */
const confirmMs = 1200;

type PrimaryVerb = 'observe' | 'awaitRecovery' | 'fence' | 'promote' | 'setSynchronousStandbys';

export const primaryVerbs: Pick<VerbBodies, PrimaryVerb> = {
  observe: async (run, input) => {
    worldNow(run.sim);
    const { observation, ms } = observeWorld(run.sim, input, run.blind);
    noteLook(run, input, observation.facts);
    await pause(run, ms);
    return observation;
  },
  awaitRecovery: async (run, { configuration, node }) => {
    const startedAt = run.sim.clock.now;
    for (;;) {
      const { sql, sqlSeen } = lookAtNode(worldNow(run.sim), node);
      const ms = run.sim.clock.now - startedAt;
      const isSettled = sql === 'answered' || sql === 'rejected';
      if (isSettled || ms >= configuration.policy.crashRecoveryMs) return { line: `node ${node}: ${sqlSeen}` };
      await pause(run, sql === 'silent' ? 500 : 100);
    }
  },
  fence,
  promote,
  setSynchronousStandbys: async (run, { configuration, primary }) => {
    const node = nodeOf(run.sim.world, primary);
    const { standbys, whenNone } = configuration.policy.synchronous;
    const others = run.sim.world.nodes.filter((other) => other !== node);
    const isSilent = (other: ModelNode): boolean =>
      isListed(run.sim.world, other, primary) && !isConfirming(run.sim.world, other, node);
    await work(run, 100);
    if (whenNone === 'degrade' && others.some(isSilent)) await work(run, confirmMs);
    const { world } = run.sim;
    const own = lookAtNode(world, primary);
    if (own.sql !== 'answered') throw fail('unreachable', `node ${primary}: ${own.sqlSeen}`);
    const named = others.filter((other) => whenNone === 'wait' || isConfirming(world, other, node));
    const ids = standbys === 0 ? [] : named.map(({ id }) => id);
    const value = formatSynchronousStandbyNames(configuration, ids);
    const changed = node.syncNames !== value;
    node.syncNames = value;
    acknowledge(world, node);
    if (changed) acted(run, `node ${primary}: synchronous_standby_names = '${value}'`);
    return done(`commits wait for '${value}'`, changed);
  },
};

async function fence(run: Run, input: InputOf<'fence'>): Promise<FenceResult> {
  const { sim } = run;
  const node = nodeOf(sim.world, input.node);
  await work(run, 30);
  const wasAlive = isAlive(node);
  let isStopped = false;
  // A host that refuses us says so at once.
  if (sim.world.sshBroken.has(node.host)) await work(run, 50);
  else if (!hasHost(sim.world, node)) await work(run, input.isHostSilent ? 500 : 2000);
  else {
    await work(run, node.isHung ? 4000 : 250);
    // The way to it may break while the script runs.
    if (hasHost(sim.world, node)) {
      stopAndMark(run, input, node);
      // One that dies by itself while it is being stopped is ours all the same.
      if (wasAlive) node.downBy = 'us';
      isStopped = true;
    }
  }
  const world = worldNow(sim);
  const nodes: NodeFacts[] = world.nodes.filter(({ id }) => id !== node.id).map(({ id }) => lookAtNode(world, id));
  if (isStopped) nodes.push({ ...lookAtNode(world, node.id), sqlSeen: 'fenced', host: lookAtHost(world, node.id) });
  else if (input.isReplaced) detachEverywhere(world, node);
  tellStory(sim, `${run.actor.name}: fence node ${node.id}: ${isStopped ? 'confirmed' : 'unconfirmed'}`);
  return {
    outcome: isStopped ? 'confirmed' : 'unconfirmed',
    seen: isStopped ? 'no process left, standby.signal written' : 'its host does not answer',
    nodes,
    synchronousStandbyNames: isStopped ? node.syncNames : null,
  };
}

function stopAndMark(run: Run, input: InputOf<'fence'>, node: ModelNode): void {
  const world = worldNow(run.sim);
  checkFence(run, input, node);
  const seen = run.actor.facts?.nodes.find((entry) => entry.node === node.id)?.host;
  node.wasSeenDead = seen?.processes === 'none' || seen?.processes === 'unknown' || seen?.ssh !== 'answered';
  node.wasLate = run.isLate;
  if (isAlive(node)) {
    if (isUp(world, node)) shutDown(world, node, 'us');
    else crash(node, 'us');
  }
  node.mark = node.hasStandbySignal && node.mark === 'after-return' ? 'after-return' : input.mark;
  node.hasStandbySignal = true;
  run.actor.fenced.add(node.id);
}

function detachEverywhere(world: World, node: ModelNode): void {
  for (const pgpool of world.pgpools)
    if (pgpool.isRunning && canReach(world, workerHost, pgpool.host)) degenerate(world, pgpool, node.id);
}

interface Order {
  isTold: boolean;
  holdUp: PromoteFailure['holdUp'];
}

async function promote(run: Run, input: InputOf<'promote'>) {
  const order: Order = { isTold: run.isRepeated, holdUp: null };
  try {
    return await promoteNow(run, input, order);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    const details = { ...order } satisfies PromoteFailure;
    throw new Failure(error.type, error.message, { details, isFinal: error.isFinal || !order.isTold });
  }
}

async function promoteNow(run: Run, input: InputOf<'promote'>, order: Order) {
  const { candidate } = input;
  const world = await work(run, 40);
  const node = nodeOf(world, candidate);
  const own = lookAtNode(world, candidate);
  if (own.sql !== 'answered' || !own.position) throw fail('unreachable', `candidate node ${candidate}: ${own.sqlSeen}`);
  refuseChangedWorld(world, input, own);
  if (node.isWritable) {
    const { timeline } = node.branch;
    return { ...done(`node ${candidate} was promoted already`, false), timeline };
  }
  prepare(world, input, node);
  order.isTold = true;
  checkPromotion(run, input, node);
  tellToPromote(world, node, 'us');
  acted(run, `tells node ${candidate} to promote`);
  await confirm(run, input, node, order);
  // The WAL that this failover knowingly leaves behind was weighed before.
  leaveBehind(node.branch, worldNow(run.sim).branches);
  const { timeline } = node.branch;
  acted(run, `node ${candidate} accepts writes on timeline ${timeline}`);
  return { ...done(`node ${candidate} accepts writes`), timeline };
}

function refuseChangedWorld(world: World, input: InputOf<'promote'>, own: NodeFacts): void {
  const name = `node ${input.candidate}`;
  if (own.systemIdentifier !== input.systemIdentifier) throw fail('worldChanged', `${name} has another identifier`);
  for (const { id } of world.nodes) {
    const other = lookAtNode(world, id);
    if (id === input.candidate || id === input.notAsked || other.sql !== 'answered') continue;
    if (other.isInRecovery === false) throw fail('worldChanged', `node ${id} accepts writes`);
    const hasMore =
      own.isInRecovery && !input.passedOver.includes(id) && other.systemIdentifier === own.systemIdentifier;
    if (hasMore && comparePosition(other.position!, own.position!) > 0)
      throw fail('worldChanged', `node ${id} holds more WAL than ${name}`);
  }
  if (own.isInRecovery === false && own.position!.timeline <= input.position.timeline)
    throw fail('worldChanged', `${name} is out of recovery but not on a newer timeline`);
}

function prepare(world: World, input: InputOf<'promote'>, node: ModelNode): void {
  if (node.isReplayPaused && !input.mayResume) throw fail('unreachable', `replay of node ${node.id} is paused`);
  if (node.isReplayPaused) {
    if (node.isUnfit) crash(node, 'us');
    node.isReplayPaused = false;
    if (!isUp(world, node)) throw fail('unreachable', `node ${node.id} has ended`);
  }
  for (const { timeline, history } of input.reserved) if (history.length > 0) node.reserved.push(timeline);
  node.syncNames = input.synchronousStandbyNames;
}

const promotionMs = 20_000;
const silenceMs = 3000;
const cancelAfterMs = 2000;

async function confirm(run: Run, input: InputOf<'promote'>, node: ModelNode, order: Order): Promise<void> {
  const { clock } = run.sim;
  const toldAt = clock.now;
  const [times, isFree] = [{ answered: toldAt, giveUp: toldAt + promotionMs }, input.isOnlyCandidate];
  while (clock.now < times.giveUp && clock.now - times.answered < silenceMs) {
    const world = await work(run, clock.now - toldAt < 1000 ? 50 : 500);
    if (lookAtNode(world, node.id).sql !== 'answered') continue;
    times.answered = clock.now;
    if (node.isWritable) return;
    const { kind } = node.trouble;
    if (clock.now - toldAt < 500) continue;
    order.holdUp = kind;
    const isEndless = kind === 'conflict' && !isFree;
    if (kind !== null && kind !== 'paused' && !isEndless)
      times.giveUp = Math.max(times.giveUp, clock.now + promotionMs);
    if (kind === 'conflict' && isFree && clock.now - toldAt > cancelAfterMs) endTrouble(world, node, 'us');
  }
  throw fail('unproven', `node ${node.id} was told to promote but is not proven to accept writes`);
}
