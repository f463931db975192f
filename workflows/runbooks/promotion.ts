// The acting half of a failover: fence the former primary, plan again on what is left, promote.

import type { FenceResult } from '../../activities/primary/fence';
import type { Observation } from '../../activities/look/observe';
import { withRealNames } from '../../domain/facts/application-name';
import { factsOf } from '../../domain/facts/facts';
import { planFailover } from '../../domain/plans/failover';
import { noteStopped } from '../../domain/plans/failover-memory';
import type { FailoverRequest } from '../../domain/plans/failover-request';
import { formatSynchronousStandbyNames } from '../../domain/plans/synchronous';
import { type Attempt, type Decision, fenceNode, promoted, type Promotion, refuse } from './decision';
import { clearDoubts, clearUp, findRival } from './failed-promotion';
import { StepFailed } from './ground';

export async function attemptPromotion(
  decision: Decision,
  observation: Observation,
  first: Promotion,
  request: FailoverRequest,
): Promise<Attempt> {
  const { ground } = decision;
  const former = first.formerPrimary;
  const isAlive = first.state === 'hung' || first.state === 'recovering' || hasOrphans(observation, former);
  // Note it before the act: if the worker dies after it, the node is stopped all the same.
  if (isAlive && former !== null) decision.memory = noteStopped(decision.memory, former);
  const fenced =
    former === null || request.fencedNode === former
      ? null
      : await fenceNode(decision, observation, former, first.line, { isReplaced: !first.needsFence && !isAlive });
  const refusal = fenced?.outcome === 'unconfirmed' ? refuseUnfenced(observation, first, fenced, isAlive) : null;
  if (refusal) return refusal;
  const merged = fenced ? mergeNodes(observation, fenced) : observation;
  const learned: Partial<FailoverRequest> = {
    suspect: former,
    fencedNode: fenced?.outcome === 'confirmed' ? former : request.fencedNode,
    formerSynchronousStandbyNames: fenced?.synchronousStandbyNames ?? request.formerSynchronousStandbyNames,
  };
  // From an earlier round, only a proven fence counts.
  const fence = fenced?.outcome ?? (former !== null && request.fencedNode === former ? 'confirmed' : null);
  const known = { fence, names: learned.formerSynchronousStandbyNames ?? null };
  const plan = planFailover(merged.configuration, merged.facts, { ...request, ...learned, hasWaited: true });
  if (plan.action !== 'promote') {
    // The next round sees the same facts, and concludes or waits.
    ground.note('Plan again', plan.line);
    return learned;
  }
  const doubt = await clearDoubts(decision, merged, plan, learned);
  if (doubt) return doubt;
  const isOnly = findRival(merged, plan, { ...request, ...learned }) === null;
  try {
    const timeline = await promoteCandidate(decision, merged, plan, { isFenced: fence === 'confirmed', isOnly });
    return promoted(decision, merged, plan, timeline, known);
  } catch (error) {
    if (!(error instanceof StepFailed)) throw error;
    // Clear up now, because the next decision relies on it.
    return await ground.shielded(() => clearUp(decision, merged, plan, request, { learned, former: known, error }));
  }
}

/** Refuses to replace, without a proven fence, a node that is alive or that only this worker cannot reach. */
function refuseUnfenced(
  observation: Observation,
  { formerPrimary, needsFence }: Promotion,
  { seen }: FenceResult,
  isAlive: boolean,
): Attempt | null {
  const name = `node ${String(formerPrimary)}`;
  if (needsFence) {
    const line = `${name} is silent, the worker may be the one that is cut off, and no fence is proven (${seen}); nothing is promoted`;
    return refuse(observation, 'cut-off', line);
  }
  if (!isAlive) return null;
  const line = `${name} has processes and could not be stopped (${seen}): stop it on its host; nothing is promoted`;
  return refuse(observation, 'fence-unconfirmed', line);
}

async function promoteCandidate(
  { ground }: Decision,
  { configuration, facts }: Observation,
  plan: Promotion,
  { isFenced, isOnly }: { readonly isFenced: boolean; readonly isOnly: boolean },
): Promise<number> {
  const own = factsOf(facts, plan.candidate)!;
  const former = plan.formerPrimary === null ? undefined : factsOf(facts, plan.formerPrimary);
  const input = {
    configuration,
    candidate: plan.candidate,
    position: plan.position,
    systemIdentifier: own.systemIdentifier!,
    synchronousStandbyNames: synchronousNamesAtPromotion({ configuration, facts }, plan.candidate),
    // Ask a former primary once more if it has given any answer and is not proven to be stopped.
    notAsked: isFenced || former?.sql === 'silent' ? plan.formerPrimary : null,
    passedOver: plan.passedOver,
    reserved: plan.reserved,
    mayResume: own.isReplayPaused !== true || own.host?.neededSettings != null,
    isOnlyCandidate: isOnly,
  };
  // Never left half done: a second candidate beside one that may still be promoting is a split brain.
  const { timeline } = await ground.shielded(() => ground.act.promote(input, plan.line));
  return timeline;
}

/**
 * With whenNone: wait, no commit may succeed before a standby streams; else the set is written once standbys stream.
 */
function synchronousNamesAtPromotion({ configuration, facts }: Observation, candidate: number): string {
  if (configuration.policy.synchronous.whenNone === 'degrade') return '';
  const others = configuration.nodes.filter((node) => node.id !== candidate).map((node) => node.id);
  return formatSynchronousStandbyNames(withRealNames(configuration, facts.nodes), others);
}

/** Backends without their postmaster go on committing. */
function hasOrphans({ facts }: Observation, node: number | null): boolean {
  return node !== null && factsOf(facts, node)?.host?.processes === 'orphans';
}

function mergeNodes({ configuration, facts }: Observation, fenced: FenceResult): Observation {
  const nodes = facts.nodes.map((entry) => {
    const fresh = fenced.nodes.find(({ node }) => node === entry.node);
    // Keep the first look's host facts: the second look is by SQL only, and a stopped node no longer answers that.
    const { host, applicationName } = entry;
    return fresh
      ? { ...fresh, host: fresh.host ?? host, applicationName: fresh.applicationName ?? applicationName }
      : entry;
  });
  return { configuration, facts: { ...facts, nodes } };
}
