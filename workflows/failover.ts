// The failover runbook: observe → plan → fence → plan again → promote. Runs inline in the incident, because seconds count.

import type { Observation } from '../activities/look/observe';
import type { ClusterConfiguration } from '../domain/facts/cluster';
import { planFailover } from '../domain/plans/failover';
import type { FailoverPlan, FailoverRequest } from '../domain/plans/failover-request';
import { laterMs } from '../domain/plans/lost-primary';
import { sleep } from '@temporalio/workflow';
import { awaitRecovery } from './activity-options';
import { fenceNode, type FailoverResult, lookAround, type Memory, refuse } from './decision-steps';
import { attemptPromotion } from './promotion';
import type { Steps } from './step';

export interface FailoverInput {
  readonly cluster: string;
  readonly failedNode: number | null;
  readonly oldPrimary: number | null;
  /** The node that a person wants back. */
  readonly rejoin: number | null;
  /** When the oldest event that is being settled came in, by Temporal's clock: the sender's may be wrong. */
  readonly receivedAt: number;
  readonly memory: Memory;
}

const mostRounds = 8;

/** An older first sight says nothing of what was between. */
const longestTroubleMs = 30_000;

/** Each round starts from fresh facts; a round ends in a verdict, waits, or excludes one candidate. */
export async function failover(steps: Steps, input: FailoverInput): Promise<FailoverResult> {
  let request = newRequest(input);
  for (let round = 1; ; round += 1) {
    // Taken before the look: a message that is older than this came before the event.
    request = {
      ...request,
      sinceEventMs: Math.max(0, Date.now() - input.receivedAt),
      lasted: findLasted(input.memory),
    };
    const observation = await lookAround(
      steps,
      input.cluster,
      request.suspect ?? request.oldPrimary ?? request.failedNode,
    );
    const { configuration, facts } = observation;
    const plan = planFailover(configuration, facts, request);
    steps.note('Plan', plan.line);
    switch (plan.action) {
      case 'keep':
        return keep(observation, plan, input.memory);
      case 'refuse':
        return refuse(observation, plan.reason, plan.line);
      case 'wait':
        await giveTimeToRecover(steps, configuration, plan);
        request = { ...request, hasWaited: true, suspect: plan.node };
        break;
      case 'look-again':
        if (plan.afterMs > 0) await lookLater(input.memory, plan);
        request = { ...request, suspect: plan.node, hasLookedAgain: request.hasLookedAgain || plan.afterMs === 0 };
        break;
      case 'fence':
        input.memory.fencedOnReturn.add(plan.node);
        await fenceNode(steps, observation, plan.node, plan.line, { mark: 'after-return', isReplaced: true });
        request = { ...request, fenceTried: plan.node };
        break;
      case 'promote': {
        const attempt = await attemptPromotion(steps, observation, plan, request, input.memory);
        if ('verdict' in attempt) return attempt;
        request = { ...request, ...attempt };
      }
    }
    if (round >= mostRounds) {
      const line = `the nodes changed under every one of ${mostRounds} attempts: see the steps, then call failover again`;
      return refuse(observation, 'world-changed', line);
    }
  }
}

function keep(
  observation: Observation,
  { primary, reason, line }: Extract<FailoverPlan, { action: 'keep' }>,
  memory: Memory,
): FailoverResult {
  // One that was told is the primary by now.
  memory.told.delete(primary);
  memory.trouble = null;
  return { verdict: { outcome: 'completed', reason, line }, observation, primary, formerPrimary: null };
}

/** Also across decisions: a newer event that takes over must not begin to wait anew. */
async function lookLater(
  memory: Memory,
  { node, afterMs, line }: Extract<FailoverPlan, { action: 'look-again' }>,
): Promise<void> {
  const { trouble } = memory;
  const isKnown = trouble?.node === node && Date.now() - trouble.sinceMs < longestTroubleMs;
  if (!isKnown) memory.trouble = { node, sinceMs: Date.now() };
  await sleep(Math.max(1, memory.trouble!.sinceMs + afterMs - Date.now()), { summary: line });
}

function findLasted({ trouble }: Memory): number | null {
  const ms = trouble === null ? 0 : Date.now() - trouble.sinceMs;
  return ms >= laterMs && ms < longestTroubleMs ? trouble!.node : null;
}

async function giveTimeToRecover(
  steps: Steps,
  configuration: ClusterConfiguration,
  { node, line }: Extract<FailoverPlan, { action: 'wait' }>,
): Promise<void> {
  const startToCloseTimeout = configuration.policy.crashRecoveryMs + 5000;
  await steps.run(
    `Wait for node ${node}`,
    () => awaitRecovery.executeWithOptions({ summary: line, startToCloseTimeout }, [{ configuration, node }]),
    (seen) => seen.line,
  );
}

function newRequest({ failedNode, oldPrimary, rejoin, memory }: FailoverInput): FailoverRequest {
  return {
    failedNode,
    oldPrimary,
    suspect: null,
    rejoin,
    excluded: [],
    notTold: [],
    told: [...memory.told.keys()],
    hasWaited: false,
    hasLookedAgain: false,
    lasted: null,
    sinceEventMs: 0,
    formerSynchronousStandbyNames: null,
    fencedNode: null,
    fenceTried: null,
    walOfFailedCandidates: memory.walOfFailedCandidates,
    opened: memory.opened,
  };
}
