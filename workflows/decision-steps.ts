// What a failover's decision is made of: looks, fences, and the results that it may have.

import type { FenceInput, FenceResult } from '../activities/primary/fence';
import type { Observation } from '../activities/look/observe';
import type { FailoverPlan, FailoverRequest } from '../domain/plans/failover-request';
import type { Verdict } from '../domain/facts/outcome';
import type { ReasonCode } from '../domain/facts/reasons';
import type { OpenedTimeline, WalPosition } from '../domain/facts/wal';
import { describeSynchronousChange } from '../domain/plans/synchronous-change';
import { factsOf } from '../domain/facts/facts';
import { fence, observe } from './activity-options';
import type { Steps } from './step';

export interface FailoverResult {
  readonly verdict: Verdict;
  readonly observation: Observation;
  /** The node that accepts writes now; null when none does. */
  readonly primary: number | null;
  /** Fenced in this run, and replaced. */
  readonly formerPrimary: number | null;
}

/** What later looks of the same incident must not forget. */
export interface Memory {
  /** Told to promote, neither proven to have done so nor stopped, with the WAL that each held: each may accept writes on the next timeline. */
  readonly told: Map<number, WalPosition>;
  /** WAL that candidates held which do not answer any more: it still counts against the next candidate. */
  readonly walOfFailedCandidates: WalPosition[];
  /** Up and writable beside their successor, and told to stop for that: it is for us to start them again, as standbys. */
  readonly fencedOnReturn: Set<number>;
  readonly opened: OpenedTimeline[];
  /** The node that is to be looked at again, and when it was first seen so, by Temporal's clock. */
  trouble: { readonly node: number; readonly sinceMs: number } | null;
}

export type Promotion = Extract<FailoverPlan, { action: 'promote' }>;

/** A verdict, or what the next round has to know. */
export type Attempt = FailoverResult | Partial<FailoverRequest>;

export async function lookAround(steps: Steps, cluster: string, suspect: number | null): Promise<Observation> {
  return await steps.run(
    'Observe every node',
    () => observe.executeWithOptions({ summary: 'measure every node and pgpool' }, [{ cluster, suspect }]),
    ({ facts }) => facts.nodes.map((entry) => `node ${entry.node}: ${entry.sqlSeen}`).join('; '),
  );
}

export async function fenceNode(
  steps: Steps,
  { configuration, facts }: Observation,
  node: number,
  why: string,
  { mark = 'before-promotion', isReplaced = false }: Partial<Pick<FenceInput, 'mark' | 'isReplaced'>> = {},
): Promise<FenceResult> {
  const host = factsOf(facts, node)?.host ?? null;
  return await steps.run(
    `Fence node ${node}`,
    () =>
      fence.executeWithOptions({ summary: `node ${node} must accept no more writes: ${why}`.slice(0, 200) }, [
        {
          configuration,
          node,
          mark,
          isReplaced,
          clockOffsetMs: host?.clockOffsetMs ?? null,
          isHostSilent: host?.ssh === 'silent',
        },
      ]),
    (result) => `${result.outcome}: ${result.seen}`,
  );
}

export function promoted(
  observation: Observation,
  plan: Promotion,
  timeline: number,
  outcome: FenceResult['outcome'] | null,
  memory: Memory,
  formerNames: string | null,
): FailoverResult {
  const former = plan.formerPrimary;
  memory.told.delete(plan.candidate);
  memory.opened.push({ node: plan.candidate, timeline: timeline > 0 ? timeline : plan.position.timeline + 1 });
  const fence = outcome ? `, node ${String(former)} fenced (${outcome})` : '';
  const to = timeline > 0 ? `timeline ${timeline}` : 'a newer timeline';
  const change = describeSynchronousChange(observation.configuration, formerNames);
  const line = [`promoted node ${plan.candidate} to ${to}${fence}`, change, plan.line].filter(Boolean).join('; ');
  return {
    verdict: { outcome: 'completed', reason: 'promoted', line },
    observation,
    primary: plan.candidate,
    formerPrimary: former,
  };
}

export function refuse(observation: Observation, reason: ReasonCode, line: string): FailoverResult {
  return {
    verdict: { outcome: 'refused', reason, line },
    observation,
    primary: null,
    formerPrimary: null,
  };
}
