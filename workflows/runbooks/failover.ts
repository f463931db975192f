// The failover runbook: observe → plan → fence → plan again → promote. Each round starts from fresh facts; a round ends in a verdict, waits,
// or excludes one candidate.

import type { Observation } from '../../activities/look/observe';
import { type FailoverMemory, forgetGivenUp, forgetTold, noteStopped } from '../../domain/plans/failover-memory';
import { planFailover } from '../../domain/plans/failover';
import type { FailoverPlan, FailoverRequest } from '../../domain/plans/failover-request';
import { laterMs } from '../../domain/plans/lost-primary';
import { type Decision, fenceNode, type FailoverResult, lookAround, refuse } from './decision';
import { type Ground, sentenceOf, StepFailed } from './ground';
import { attemptPromotion } from './promotion';

export interface FailoverInput {
  readonly cluster: string;
  readonly failedNode: number | null;
  readonly oldPrimary: number | null;
  /** The node that a person wants back. */
  readonly rejoin: number | null;
  /** Arrival of the oldest event of this decision by the ground's clock, because the sender's clock may be wrong. */
  readonly receivedAt: number;
  readonly memory: FailoverMemory;
}

/** The result or the error of a decision, each with all that the decision learned. */
export type FailoverEnd = { readonly memory: FailoverMemory } & (
  { readonly result: FailoverResult } | { readonly error: unknown }
);

/** Rounds that may time out: for want of a worker, or because the worker stood still for some seconds. */
const mostTimeouts = 3;
const mostRounds = 8;
/** Greatest age of a first sight that still counts: nothing is known of the time in between. */
const longestTroubleMs = 30_000;

/**
 * Never rejects. A step that has timed out says nothing about the nodes, so the decision starts again from fresh facts.
 */
export async function failover(ground: Ground, input: FailoverInput): Promise<FailoverEnd> {
  const decision: Decision = { ground, cluster: input.cluster, memory: input.memory };
  for (let timeouts = 1; ; timeouts += 1) {
    try {
      const result = await decide(decision, input);
      return { result, memory: decision.memory };
    } catch (error) {
      const isTimeout = error instanceof StepFailed && error.isTimeout;
      if (!isTimeout || timeouts > mostTimeouts) return { error, memory: decision.memory };
      ground.note('Decide again', `${error.verb} gave no answer (${sentenceOf(error)}): from fresh facts`);
    }
  }
}

async function decide(decision: Decision, input: FailoverInput): Promise<FailoverResult> {
  const { ground } = decision;
  let request = newRequest(decision, input);
  for (let round = 1; ; round += 1) {
    // Measured before the look, so that any older WAL message came before the event.
    const sinceEventMs = Math.max(0, ground.now() - input.receivedAt);
    request = { ...request, sinceEventMs, lasted: findLasted(decision) };
    const opened = request.opened.at(-1)?.node ?? null;
    const hint = request.suspect ?? opened ?? request.oldPrimary ?? request.failedNode;
    const observation = await lookAround(decision, hint, !request.isPrimaryReported);
    const plan = planFailover(observation.configuration, observation.facts, request);
    ground.note('Plan', plan.line);
    const next = await follow(decision, observation, plan, request);
    if ('verdict' in next) return next;
    request = { ...request, ...next };
    if (round >= mostRounds) {
      const line = `the nodes changed under every one of ${mostRounds} attempts: see the steps, then call failover again`;
      return refuse(observation, 'world-changed', line);
    }
  }
}

/** Does what the plan says; returns a result, or facts for the next round. */
async function follow(
  decision: Decision,
  observation: Observation,
  plan: FailoverPlan,
  request: FailoverRequest,
): Promise<FailoverResult | Partial<FailoverRequest>> {
  const { configuration } = observation;
  switch (plan.action) {
    case 'keep':
      return keep(decision, observation, plan);
    case 'refuse':
      return refuse(observation, plan.reason, plan.line);
    case 'wait':
      await decision.ground.act.awaitRecovery({ configuration, node: plan.node }, plan.line);
      return { hasWaited: true, suspect: plan.node };
    case 'look-again':
      if (plan.afterMs > 0) await lookLater(decision, plan);
      return { suspect: plan.node, hasLookedAgain: request.hasLookedAgain || plan.afterMs === 0 };
    case 'fence': {
      decision.memory = noteStopped(decision.memory, plan.node);
      await fenceNode(decision, observation, plan.node, plan.line, { mark: 'after-return', isReplaced: true });
      return { fenceTried: plan.node };
    }
    case 'promote':
      return await attemptPromotion(decision, observation, plan, request);
  }
}

function keep(
  decision: Decision,
  observation: Observation,
  { primary, reason, line }: Extract<FailoverPlan, { action: 'keep' }>,
): FailoverResult {
  // A node that was told to promote has become the primary.
  decision.memory = { ...forgetGivenUp(forgetTold(decision.memory, primary), primary), trouble: null };
  const verdict = { outcome: 'completed', reason, line } as const;
  return { verdict, observation, primary, formerPrimary: null, isFenceConfirmed: false };
}

/**
 * Waits before another look. The first sight counts across decisions, so that a newer event does not start the wait
 * again.
 */
async function lookLater(
  decision: Decision,
  { node, afterMs, line }: Extract<FailoverPlan, { action: 'look-again' }>,
): Promise<void> {
  const { ground, memory } = decision;
  const isKnown = memory.trouble?.node === node && ground.now() - memory.trouble.sinceMs < longestTroubleMs;
  const trouble = isKnown ? memory.trouble : { node, sinceMs: ground.now() };
  decision.memory = { ...memory, trouble };
  await ground.sleep(Math.max(1, trouble.sinceMs + afterMs - ground.now()), line);
}

function findLasted({ ground, memory: { trouble } }: Decision): number | null {
  const ms = trouble === null ? 0 : ground.now() - trouble.sinceMs;
  return ms >= laterMs && ms < longestTroubleMs ? trouble!.node : null;
}

function newRequest({ memory }: Decision, input: FailoverInput): FailoverRequest {
  const { failedNode, oldPrimary, rejoin } = input;
  return {
    failedNode,
    oldPrimary,
    isPrimaryReported: memory.isPrimaryReported,
    suspect: null,
    rejoin,
    excluded: [],
    notTold: [],
    told: memory.told.map(({ node }) => node),
    givenUp: memory.givenUp,
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
