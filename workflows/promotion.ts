// The acting half of the failover runbook: fence the former primary, plan again on what is left, promote.

import { CancellationScope, isCancellation } from '@temporalio/workflow';
import type { FenceResult } from '../activities/primary/fence';
import type { Observation } from '../activities/look/observe';
import { withRealNames } from '../domain/facts/application-name';
import { planFailover } from '../domain/plans/failover';
import type { FailoverRequest } from '../domain/plans/failover-request';
import { formatSynchronousStandbyNames } from '../domain/plans/synchronous';
import { factsOf } from '../domain/facts/facts';
import { promote } from './activity-options';
import { type Attempt, fenceNode, type Memory, promoted, type Promotion, refuse } from './decision-steps';
import { clearDoubts, clearUp, findRival } from './failed-promotion';
import type { Steps } from './step';

export async function attemptPromotion(
  steps: Steps,
  observation: Observation,
  first: Promotion,
  request: FailoverRequest,
  memory: Memory,
): Promise<Attempt> {
  const former = first.formerPrimary;
  const isAlive = first.state === 'hung' || first.state === 'recovering' || hasOrphans(observation, former);
  const fenced =
    former === null || request.fencedNode === former
      ? null
      : await fenceNode(steps, observation, former, first.line, { isReplaced: !first.needsFence && !isAlive });
  if (fenced?.outcome === 'unconfirmed' && first.needsFence) {
    const line = `node ${String(former)} is silent, the worker may be the one that is cut off, and no fence is proven (${fenced.seen}); nothing is promoted`;
    return refuse(observation, 'cut-off', line);
  }
  if (fenced?.outcome === 'unconfirmed' && isAlive) {
    const line = `node ${String(former)} has processes and could not be stopped (${fenced.seen}): stop it on its host; nothing is promoted`;
    return refuse(observation, 'fence-unconfirmed', line);
  }
  const merged = fenced ? mergeNodes(observation, fenced) : observation;
  const learned: Partial<FailoverRequest> = {
    suspect: former,
    fencedNode: fenced?.outcome === 'confirmed' ? former : request.fencedNode,
    formerSynchronousStandbyNames: fenced?.synchronousStandbyNames ?? request.formerSynchronousStandbyNames,
  };
  // Of an earlier round, only a proven one is remembered.
  const outcome = fenced?.outcome ?? (former !== null && request.fencedNode === former ? 'confirmed' : null);
  const plan = planFailover(merged.configuration, merged.facts, { ...request, ...learned, hasWaited: true });
  if (plan.action !== 'promote') {
    // The next round sees the same, and concludes or waits.
    steps.note('Plan again', plan.line);
    return learned;
  }
  const doubt = await clearDoubts(steps, merged, plan, memory, learned);
  if (doubt) return doubt;
  const isOnly = findRival(merged, plan, { ...request, ...learned }) === null;
  try {
    const timeline = await promoteCandidate(steps, merged, plan, { isFenced: outcome === 'confirmed', isOnly });
    return promoted(merged, plan, timeline, outcome, memory, learned.formerSynchronousStandbyNames ?? null);
  } catch (error) {
    if (isCancellation(error)) throw error;
    // Whoever decides next must find this cleared up.
    return await CancellationScope.nonCancellable(() =>
      clearUp(steps, merged, plan, request, { learned, outcome, memory, error }),
    );
  }
}

async function promoteCandidate(
  steps: Steps,
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
    // A former primary that is not proven to be stopped, and that has given any answer, is asked once more.
    notAsked: isFenced || former?.sql === 'silent' ? plan.formerPrimary : null,
    passedOver: plan.passedOver,
    reserved: plan.reserved,
    mayResume: own.isReplayPaused !== true || own.host?.neededSettings != null,
    isOnlyCandidate: isOnly,
  };
  const summary = `promote node ${plan.candidate}: ${plan.line}`.slice(0, 200);
  const result = await steps.run(
    `Promote node ${plan.candidate}`,
    // Never abandoned half-way: a second candidate beside one that may still be promoting is a split brain.
    () => CancellationScope.nonCancellable(() => promote.executeWithOptions({ summary }, [input])),
    (done) => done.line,
  );
  return result.timeline;
}

/** With whenNone: wait, nobody may commit before a standby streams; else the set is written once the standbys do. */
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
    // The second look is by SQL only, and a node that was stopped says nothing any more.
    const { host, applicationName } = entry;
    return fresh
      ? { ...fresh, host: fresh.host ?? host, applicationName: fresh.applicationName ?? applicationName }
      : entry;
  });
  return { configuration, facts: { ...facts, nodes } };
}
