// The failover runbook: observe → plan → fence → plan again → promote. Runs inline in the incident, because seconds count.

import type { ClusterConfiguration } from '../domain/cluster';
import { type FailoverPlan, type FailoverRequest, planFailover } from '../domain/failover-plan';
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

/** Why it is looked at again: once for each reason. */
const [lasted, contradicted] = [{ hasLasted: true }, { hasLookedAgain: true }];

/** Each round starts from fresh facts; a round ends in a verdict, waits, or excludes one candidate. */
export async function failover(steps: Steps, input: FailoverInput): Promise<FailoverResult> {
  let request = newRequest(input);
  for (let round = 1; ; round += 1) {
    // Taken before the look: a message that is older than this came before the event.
    request = { ...request, sinceEventMs: Math.max(0, Date.now() - input.receivedAt) };
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
        return {
          verdict: { outcome: 'completed', reason: plan.reason, line: plan.line },
          observation,
          primary: plan.primary,
          formerPrimary: null,
        };
      case 'refuse':
        return refuse(observation, plan.reason, plan.line);
      case 'wait':
        await giveTimeToRecover(steps, configuration, plan);
        request = { ...request, hasWaited: true, suspect: plan.node };
        break;
      case 'look-again':
        if (plan.afterMs > 0) await sleep(plan.afterMs, { summary: plan.line });
        request = { ...request, suspect: plan.node, ...(plan.afterMs > 0 ? lasted : contradicted) };
        break;
      case 'fence':
        input.memory.stopped.add(plan.node);
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
      const line = `the nodes changed under every one of ${String(mostRounds)} attempts: see the steps, then call failover again`;
      return refuse(observation, 'world-changed', line);
    }
  }
}

async function giveTimeToRecover(
  steps: Steps,
  configuration: ClusterConfiguration,
  { node, line }: Extract<FailoverPlan, { action: 'wait' }>,
): Promise<void> {
  const startToCloseTimeout = configuration.policy.crashRecoveryMs + 5000;
  await steps.run(
    `Wait for node ${String(node)}`,
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
    hasLasted: false,
    sinceEventMs: 0,
    formerSynchronousStandbyNames: null,
    fencedNode: null,
    fenceTried: null,
    known: memory.known,
    opened: memory.opened,
  };
}
