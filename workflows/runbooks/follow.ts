// The follow runbook for one standby: observe → plan → repoint, start or rebuild, until it streams → attach → save its
// configuration.
// A failed step is planned again from fresh facts, and parks if it is still needed.

import type { FollowReport, Outcome } from '../../domain/facts/outcome';
import type { ReasonCode } from '../../domain/facts/reasons';
import { factsOf } from '../../domain/facts/facts';
import { type FollowPlan, type FollowRequest, type OwnWal, planFollow } from '../../domain/plans/follow';
import { Aborted, askOrAbort, nextPauseMs } from './asking';
import { attachEverywhere, clearUp, leaveDetached } from './attach';
import { configurationOf, type Following, type FollowInput, look, releaseSlots } from './following';
import { type Ground, StepFailed } from './ground';
import { describeDiscarded, type Done, newRebuilding, rebuild, saveUnarchivedWal } from './rebuild';

/** An early end of a follow, incomplete. */
class Stopped extends Error {
  constructor(
    readonly reason: ReasonCode,
    message: string,
  ) {
    super(message);
  }
}

type Refusal = Extract<FollowPlan, { rung: 'refuse' }>;
type Settled = Exclude<FollowPlan, { rung: 'compare' }>;

/**
 * Looks for a primary that is slow to answer just after its promotion, 1 minute in all; a new primary cancels this
 * follow.
 */
const mostLooksForPrimary = 5;
const mostEarlyMs = 10_000;

/** @param tellStreaming called when the node streams, so commits may wait for it; pgpool may not use it yet */
export async function follow(
  ground: Ground,
  input: FollowInput,
  tellStreaming: () => Promise<void>,
): Promise<Omit<FollowReport, 'ms'>> {
  const { node, primary } = input;
  const following: Following = {
    ...{ ground, input, rebuilding: newRebuilding(ground, node, primary), rung: 'none', reason: 'already-following' },
    ...{ observation: null, hasStarted: false, hasLostWal: false, isRebuildWanted: false },
    ...{ looksForPrimary: 0, pauses: 0 },
  };
  const finish = (outcome: Outcome, reason: ReasonCode, line: string): Omit<FollowReport, 'ms'> => {
    ground.note(outcome, line);
    return { node, rung: following.rung, outcome, reason, line };
  };
  try {
    let line = await bringUp(following);
    if (configurationOf(following).policy.synchronous.standbys > 0) await tellStreaming();
    if (await leaveDetached(following)) line = await bringUp(following);
    // Bounded, because a workflow's time comes from the server, and several servers' clocks may differ.
    const earlyMs = Math.min(input.attachNotBefore - ground.now(), mostEarlyMs);
    if (earlyMs > 0) await ground.sleep(earlyMs, 'pgpool ends its own failover first');
    const missing = await attachEverywhere(following);
    await clearUp(following);
    const discarded = describeDiscarded(following.rebuilding);
    return missing === null
      ? finish('completed', following.reason, `${line}${discarded}`)
      : finish('incomplete', 'attach-unconfirmed', `${missing}${discarded}`);
  } catch (error) {
    await giveUp(following);
    if (error instanceof Stopped) return finish('incomplete', error.reason, error.message);
    if (error instanceof Aborted)
      return finish('incomplete', 'decided-by-person', `${error.message}; left by decision`);
    throw error;
  }
}

/**
 * Works until the node streams. After a failure it looks again before it asks a person: the node may be away, or well
 * by now.
 */
async function bringUp(following: Following): Promise<string> {
  for (let failed: StepFailed | null = null; ;) {
    const plan = await planAnew(following);
    if (plan.rung === 'none') return plan.line;
    if (failed && (plan.rung !== 'refuse' || failed.verb === 'start')) {
      await ask(following, failed);
      failed = null;
    } else if (plan.rung === 'refuse') await endOrWait(following, plan);
    else {
      const result = await attempt(following, plan);
      if (result && 'line' in result) return result.line;
      failed = result;
    }
  }
}

/** Asks a person about a failed step; a node that does not come up may be rebuilt. */
async function ask(following: Following, { verb, message }: StepFailed): Promise<void> {
  const { ground, input, rebuilding } = following;
  // The answer may take long: until then a slot would fill the primary's disk.
  await giveUp(following);
  const againMs = rebuilding.plan ? null : nextPauseMs(following.pauses++);
  const isStart = verb === 'start';
  const step = verb.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  const question = {
    stepId: `node${input.node}.${step}`,
    title: `${step.charAt(0).toUpperCase()}${step.slice(1).replaceAll('-', ' ')}, node ${input.node}`,
    choices: isStart ? (['retry', 'rebuild', 'abort'] as const) : (['retry', 'abort'] as const),
    problem: isStart
      ? `${message}. retry: wait again; rebuild: replace its data by a copy; abort: leave it as it is`
      : message,
  };
  following.isRebuildWanted = (await askOrAbort(ground, question, againMs, message)) === 'rebuild';
}

/**
 * Releases the slots of a rebuild that has stopped, also when this follow is cancelled, so that the primary keeps no
 * WAL for it.
 */
async function giveUp(following: Following): Promise<void> {
  if (following.rebuilding.plan) await following.ground.shielded(() => releaseSlots(following));
}

/**
 * Returns to look again if the primary missed one look, or if this follow has stopped the node and must not leave it
 * so. @throws Stopped otherwise
 */
async function endOrWait(following: Following, { reason, line }: Refusal): Promise<void> {
  const { ground, input, rebuilding } = following;
  if (reason === 'primary-missing' && following.looksForPrimary < mostLooksForPrimary) {
    following.looksForPrimary += 1;
    await ground.sleep(1000 * 2 ** following.looksForPrimary, `${line}: look again`);
    return;
  }
  const isOurs = rebuilding.hasStopped && (reason === 'node-unreachable' || reason === 'primary-missing');
  if (!isOurs) throw new Stopped(reason, line);
  const title = `Rebuild node ${input.node}`;
  const question = { stepId: `node${input.node}.rebuild`, title, problem: line, choices: ['retry', 'abort'] as const };
  await askOrAbort(ground, question, nextPauseMs(following.pauses++));
}

async function planAnew(following: Following): Promise<Settled> {
  const { ground, input, rebuilding, hasLostWal, isRebuildWanted } = following;
  const { node, primary } = input;
  // A node that this follow stopped may be started again.
  const isStartAllowed = input.isStartAllowed || rebuilding.hasStopped;
  const request = { node, primary, isStartAllowed, hasLostWal, isRebuildWanted };
  await look(following);
  let plan = await planNow(following, request);
  if (plan.rung === 'rebuild') {
    // Data is replaced only while no node but the primary accepts writes, so look at all nodes.
    await look(following, null);
    plan = await planNow(following, request);
  }
  ground.note('Plan', plan.line);
  const { policy } = configurationOf(following);
  if (plan.rung !== 'rebuild' || isStartAllowed || policy.rejoin === 'automatic') return plan;
  const line = `${plan.line}; policy.rejoin is manual: pgpool-runbook rejoin ${node}`;
  return { rung: 'refuse', reason: 'rejoin-manual', line };
}

/** Plans from the last look, and where that is not enough also from the node's pg_wal. */
async function planNow(following: Following, request: FollowRequest): Promise<Settled> {
  const { configuration, facts } = following.observation!;
  const plan = planFollow(configuration, facts, request);
  if (plan.rung !== 'compare') return plan;
  following.ground.note('Plan', plan.line);
  const ownWal = await lookPastFork(following);
  const settled = planFollow(configuration, facts, { ...request, ownWal });
  return settled.rung === 'compare' ? { ...settled, rung: 'refuse', reason: 'node-unreachable' } : settled;
}

/** Does the node hold whole WAL records past the fork? Where that cannot be read, the plan must do without. */
async function lookPastFork({ ground, input, observation }: Following): Promise<OwnWal> {
  const { configuration, facts } = observation!;
  const { position, history } = factsOf(facts, input.primary)!;
  const fork = { primaryTimeline: position!.timeline, primaryHistory: history };
  try {
    return (await ground.act.findOwnWal({ configuration, node: input.node, ...fork })).ownWal;
  } catch (error) {
    if (!(error instanceof StepFailed)) throw error;
    // The table of steps shows the error.
    return 'unknown';
  }
}

/** Null when the node must be planned again: it was started, cannot be repointed, or a person chose retry. */
async function attempt(following: Following, plan: Exclude<Settled, Refusal>): Promise<Done | StepFailed | null> {
  try {
    if (plan.rung === 'repoint') return await repoint(following);
    if (plan.rung === 'start' || plan.rung === 'wait') {
      await start(following, plan.rung === 'start');
      return null;
    }
    [following.rung, following.reason] = ['rebuild', 'rebuilt'];
    const proven = await rebuild(following.rebuilding, following.observation!, following.hasLostWal);
    if (proven) [following.hasLostWal, following.isRebuildWanted] = [false, false];
    return proven;
  } catch (error) {
    if (!(error instanceof StepFailed)) throw error;
    // Do not rebuild a second time without asking.
    if (error.type !== 'WalMissing' || plan.rung !== 'repoint') return error;
    following.hasLostWal = true;
    return null;
  }
}

async function repoint(following: Following): Promise<Done> {
  const { ground, input } = following;
  const { node, primary } = input;
  const { configuration, facts } = following.observation!;
  const { timeline } = factsOf(facts, primary)!.position!;
  if (following.rung === 'none') [following.rung, following.reason] = ['repoint', 'repointed'];
  return await ground.act.repoint({ configuration, node, primary, timeline }, `it streams from node ${primary}`);
}

/** Starts a stopped standby. Its settings are written first, because it must never follow a former primary. */
async function start(following: Following, isStopped: boolean): Promise<void> {
  const { ground, input, rebuilding } = following;
  const { node, primary } = input;
  const configuration = configurationOf(following);
  [following.reason, following.hasStarted] = ['restarted', true];
  if (isStopped) {
    await saveUnarchivedWal(rebuilding, configuration);
    await ground.act.configureStandby({ configuration, node, primary }, `it is to stream from node ${primary}`);
  }
  await ground.act.start({ configuration, node });
}
