// The failover runbook: observe → plan → fence → plan again → promote. Runs inline in the incident, because seconds count.

import { CancellationScope, isCancellation } from '@temporalio/workflow';
import type { FenceResult } from '../activities/fence';
import type { Observation } from '../activities/observe';
import { planFailover, type FailoverPlan, type FailoverRequest } from '../domain/failover-plan';
import type { Verdict } from '../domain/outcome';
import { formatSynchronousStandbyNames } from '../domain/synchronous';
import { factsOf } from '../domain/witness';
import { awaitRecovery, fence, observe, promote } from './activity-options';
import type { Steps } from './step';

export interface FailoverResult {
  readonly verdict: Verdict;
  readonly observation: Observation;
  /** The node that accepts writes now; null when none does. */
  readonly primary: number | null;
  /** Fenced in this run. */
  readonly formerPrimary: number | null;
  readonly timeline: number | null;
}

export interface FailoverInput {
  readonly cluster: string;
  readonly failedNode: number | null;
  readonly oldPrimary: number | null;
  /** When the oldest event that is being settled came in, by Temporal's clock: the sender's may be wrong. */
  readonly receivedAt: number;
}

type Promotion = Extract<FailoverPlan, { action: 'promote' }>;

const mostRounds = 8;

/** Each round starts from fresh facts; a round ends in a verdict, waits, or excludes one candidate. */
export async function failover(steps: Steps, input: FailoverInput): Promise<FailoverResult> {
  let request = newRequest(input);
  for (let round = 1; ; round += 1) {
    // Taken before the look: a message that is older than this came before the event.
    request = { ...request, sinceEventMs: Math.max(0, Date.now() - input.receivedAt) };
    const observation = await lookAround(steps, input);
    const plan = planFailover(observation.configuration, observation.facts, request);
    steps.note('Plan', plan.line);
    if (round > mostRounds && plan.action !== 'keep') {
      const line = `the nodes changed under every one of ${String(mostRounds)} attempts: see the steps, then call failover again`;
      return conclude(observation, { action: 'refuse', reason: 'world-changed', line });
    }
    if (plan.action === 'wait') {
      const { configuration } = observation;
      await steps.run(
        `Wait for node ${String(plan.node)}`,
        () =>
          awaitRecovery.executeWithOptions(
            { summary: plan.line, startToCloseTimeout: configuration.policy.crashRecoveryMs + 5000 },
            [{ configuration, node: plan.node }],
          ),
        (seen) => seen.line,
      );
      request = { ...request, hasWaited: true, oldPrimary: plan.node };
    } else if (plan.action === 'fence') {
      await fenceNode(steps, observation, plan.node, plan.line);
      request = { ...request, fencedNode: plan.node };
    } else if (plan.action === 'promote') {
      const attempt = await attemptPromotion(steps, observation, plan, request);
      if ('verdict' in attempt) return attempt;
      request = { ...request, ...attempt };
    } else {
      return conclude(observation, plan);
    }
  }
}

/** Fence, plan again on what is left, promote. A candidate that fails is fenced, excluded, and the round begins anew. */
async function attemptPromotion(
  steps: Steps,
  observation: Observation,
  first: Promotion,
  request: FailoverRequest,
): Promise<FailoverResult | Partial<FailoverRequest>> {
  const { configuration } = observation;
  const former = first.formerPrimary;
  const fenced =
    former === null || request.fencedNode === former ? null : await fenceNode(steps, observation, former, first.line);
  const isStillRunning = fenced?.outcome === 'unconfirmed' && (first.state === 'hung' || first.state === 'recovering');
  if (isStillRunning) {
    const line = `node ${String(former)} runs, does not answer and could not be stopped (${fenced.seen}): stop it on its host; nothing is promoted`;
    return conclude(observation, { action: 'refuse', reason: 'fence-unconfirmed', line });
  }
  const facts = fenced ? mergeNodes(observation, fenced) : observation.facts;
  const settled: Partial<FailoverRequest> = {
    oldPrimary: former,
    fencedNode: fenced?.outcome === 'confirmed' ? former : request.fencedNode,
    formerSynchronousStandbyNames: fenced?.synchronousStandbyNames ?? request.formerSynchronousStandbyNames,
  };
  const plan = planFailover(configuration, facts, { ...request, ...settled, hasWaited: true });
  if (plan.action !== 'promote') {
    steps.note('Plan again', plan.line);
    return plan.action === 'wait' || plan.action === 'fence' ? settled : conclude({ configuration, facts }, plan);
  }
  try {
    const timeline = await promoteCandidate(steps, { configuration, facts }, plan);
    const fence = fenced ? `, node ${String(former)} fenced (${fenced.outcome})` : '';
    const line = `promoted node ${String(plan.candidate)} to timeline ${String(timeline)}${fence}; ${plan.line}`;
    return {
      verdict: { outcome: 'completed', reason: 'promoted', line },
      observation: { configuration, facts },
      primary: plan.candidate,
      formerPrimary: former,
      timeline,
    };
  } catch (error) {
    if (isCancellation(error)) throw error;
    if (isWorldChanged(error)) return settled;
    // It may have been promoted half-way: it must not accept writes beside the next candidate, whoever decides on that one.
    const why = `node ${String(plan.candidate)} failed to promote`;
    await CancellationScope.nonCancellable(() => fenceNode(steps, { configuration, facts }, plan.candidate, why));
    return { ...settled, excluded: [...request.excluded, plan.candidate] };
  }
}

async function lookAround(steps: Steps, input: FailoverInput): Promise<Observation> {
  const suspect = input.oldPrimary ?? input.failedNode;
  return await steps.run(
    'Observe every node',
    () =>
      observe.executeWithOptions({ summary: 'measure every node and pgpool' }, [{ cluster: input.cluster, suspect }]),
    ({ facts }) => facts.nodes.map((entry) => `node ${String(entry.node)}: ${entry.sqlSeen}`).join('; '),
  );
}

async function fenceNode(
  steps: Steps,
  { configuration, facts }: Observation,
  node: number,
  why: string,
): Promise<FenceResult> {
  const host = factsOf(facts, node)?.host ?? null;
  return await steps.run(
    `Fence node ${String(node)}`,
    () =>
      fence.executeWithOptions({ summary: `node ${String(node)} must accept no more writes: ${why}`.slice(0, 200) }, [
        { configuration, node, clockOffsetMs: host?.clockOffsetMs ?? null, isHostSilent: host?.ssh === 'silent' },
      ]),
    (result) => `${result.outcome}: ${result.seen}`,
  );
}

async function promoteCandidate(steps: Steps, { configuration, facts }: Observation, plan: Promotion): Promise<number> {
  const own = factsOf(facts, plan.candidate);
  const result = await steps.run(
    `Promote node ${String(plan.candidate)}`,
    // Never abandoned half-way: a second candidate beside one that may still be promoting is a split brain.
    () =>
      CancellationScope.nonCancellable(() =>
        promote.executeWithOptions({ summary: `promote node ${String(plan.candidate)}: ${plan.line}`.slice(0, 200) }, [
          {
            configuration,
            candidate: plan.candidate,
            position: own!.position!,
            systemIdentifier: own!.systemIdentifier!,
            synchronousStandbyNames: synchronousNamesAtPromotion({ configuration, facts }, plan.candidate),
            formerPrimary: plan.formerPrimary,
          },
        ]),
      ),
    (done) => done.line,
  );
  return result.timeline;
}

/** With whenNone: wait, nobody may commit before a standby streams; else the set is written once the standbys do. */
function synchronousNamesAtPromotion({ configuration }: Observation, candidate: number): string {
  if (configuration.policy.synchronous.whenNone === 'degrade') return '';
  const others = configuration.nodes.filter((node) => node.id !== candidate).map((node) => node.id);
  return formatSynchronousStandbyNames(configuration, others);
}

function conclude(
  observation: Observation,
  plan: Exclude<FailoverPlan, { action: 'promote' | 'wait' | 'fence' }>,
): FailoverResult {
  const isKept = plan.action === 'keep';
  const verdict: Verdict = { outcome: isKept ? 'completed' : 'refused', reason: plan.reason, line: plan.line };
  return { verdict, observation, primary: isKept ? plan.primary : null, formerPrimary: null, timeline: null };
}

function newRequest(input: FailoverInput): FailoverRequest {
  return {
    failedNode: input.failedNode,
    oldPrimary: input.oldPrimary,
    excluded: [],
    hasWaited: false,
    sinceEventMs: 0,
    formerSynchronousStandbyNames: null,
    fencedNode: null,
  };
}

function mergeNodes({ facts }: Observation, fenced: FenceResult): Observation['facts'] {
  return {
    ...facts,
    nodes: facts.nodes.map((entry) => fenced.nodes.find((fresh) => fresh.node === entry.node) ?? entry),
  };
}

function isWorldChanged(error: unknown): boolean {
  const cause = (error as { cause?: { type?: string } }).cause;
  return cause?.type === 'WorldChanged';
}
