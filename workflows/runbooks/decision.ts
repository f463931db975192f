// The parts of a failover's decision: looks, fences, and possible results.

import type { FenceInput, FenceResult } from '../../activities/primary/fence';
import type { Observation } from '../../activities/look/observe';
import { factsOf } from '../../domain/facts/facts';
import type { Verdict } from '../../domain/facts/outcome';
import type { ReasonCode } from '../../domain/facts/reasons';
import { type FailoverMemory, noteOpened } from '../../domain/plans/failover-memory';
import type { FailoverPlan, FailoverRequest } from '../../domain/plans/failover-request';
import { describeSynchronousChange } from '../../domain/plans/synchronous-change';
import type { Ground } from './ground';

/** A decision in progress; its memory keeps what it learns, even when it is cut off. */
export interface Decision {
  readonly ground: Ground;
  readonly cluster: string;
  memory: FailoverMemory;
}

export interface FailoverResult {
  readonly verdict: Verdict;
  readonly observation: Observation;
  /** The node that accepts writes now; null when none does. */
  readonly primary: number | null;
  /** The primary that this decision has fenced and replaced. */
  readonly formerPrimary: number | null;
  /** The former primary is proven to be stopped. */
  readonly isFenceConfirmed: boolean;
}

export type Promotion = Extract<FailoverPlan, { action: 'promote' }>;

/** A verdict, or facts for the next round. */
export type Attempt = FailoverResult | Partial<FailoverRequest>;

export async function lookAround(
  { ground, cluster }: Decision,
  suspect: number | null,
  isUnreported = false,
): Promise<Observation> {
  return await ground.act.observe({ cluster, suspect, ...(isUnreported && { isUnreported }) });
}

export async function fenceNode(
  { ground }: Decision,
  { configuration, facts }: Observation,
  node: number,
  why: string,
  { mark = 'before-promotion', isReplaced = false }: Partial<Pick<FenceInput, 'mark' | 'isReplaced'>> = {},
): Promise<FenceResult> {
  const host = factsOf(facts, node)?.host ?? null;
  const clockOffsetMs = host?.clockOffsetMs ?? null;
  const input = { configuration, node, mark, isReplaced, clockOffsetMs, isHostSilent: host?.ssh === 'silent' };
  return await ground.act.fence(input, `it must accept no more writes: ${why}`);
}

/** Facts about the former primary when another node accepts writes. */
export interface Former {
  readonly fence: FenceResult['outcome'] | null;
  /** The former primary's synchronous_standby_names in force; null = unknown. */
  readonly names: string | null;
}

/** @param timeline 0 = accepts writes on a newer timeline with an unknown number */
export function promoted(
  decision: Decision,
  observation: Observation,
  plan: Promotion,
  timeline: number,
  { fence, names }: Former,
): FailoverResult {
  const { candidate: primary, formerPrimary, position } = plan;
  decision.memory = noteOpened(decision.memory, {
    node: primary,
    timeline: timeline > 0 ? timeline : position.timeline + 1,
  });
  const fenced = fence ? `, node ${String(formerPrimary)} fenced (${fence})` : '';
  const to = timeline > 0 ? `timeline ${timeline}` : 'a newer timeline';
  const change = describeSynchronousChange(observation.configuration, names);
  const line = [`promoted node ${primary} to ${to}${fenced}`, change, plan.line].filter(Boolean).join('; ');
  const verdict = { outcome: 'completed', reason: 'promoted', line } as const;
  return { verdict, observation, primary, formerPrimary, isFenceConfirmed: fence === 'confirmed' };
}

export function refuse(observation: Observation, reason: ReasonCode, line: string): FailoverResult {
  const nobody = { primary: null, formerPrimary: null, isFenceConfirmed: false };
  return { verdict: { outcome: 'refused', reason, line }, observation, ...nobody };
}
