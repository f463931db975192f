// Handles a candidate whose promotion is not proven: leaves it alone, waits for it, or stops it for a better one.

import type { FenceResult } from '../../activities/primary/fence';
import type { Observation } from '../../activities/look/observe';
import type { PromoteFailure } from '../../activities/primary/promote';
import { chooseCandidate } from '../../domain/plans/candidate';
import type { FailoverRequest } from '../../domain/plans/failover-request';
import { comparePosition, type WalPosition } from '../../domain/facts/wal';
import { factsOf, writableNodes } from '../../domain/facts/facts';
import { pauseInstead } from '../../domain/plans/pause';
import { forgetTold, noteStopped, noteTold } from '../../domain/plans/failover-memory';
import {
  type Attempt,
  type Decision,
  type FailoverResult,
  fenceNode,
  type Former,
  lookAround,
  promoted,
  type Promotion,
  refuse,
} from './decision';
import type { StepFailed } from './ground';

interface Failed {
  readonly learned: Partial<FailoverRequest>;
  readonly former: Former;
  readonly error: StepFailed;
}

/**
 * A candidate that was not told is still a standby and is left alone. A candidate that was told is waited for; it is
 * given up only for another that is ready and holds no less WAL.
 */
export async function clearUp(
  decision: Decision,
  planned: Observation,
  plan: Promotion,
  request: FailoverRequest,
  failed: Failed,
): Promise<Attempt> {
  const { candidate } = plan;
  const { learned, former, error } = failed;
  const { isTold, holdUp } = promoteFailureOf(error);
  const before = factsOf(planned.facts, candidate)!.position!;
  if (!isTold && !decision.memory.told.some(({ node }) => node === candidate)) {
    if (error.type === 'WorldChanged') return learned;
    return { ...learned, notTold: countNotTold(request.notTold, candidate, error.message) };
  }
  decision.memory = noteTold(decision.memory, { node: candidate, position: before });
  const look = await lookAround(decision, candidate);
  const timeline = findNewTimeline(look, candidate, before);
  if (timeline !== null) return promoted(decision, look, plan, timeline, former);
  if (error.type === 'WorldChanged') return learned;
  const own = factsOf(look.facts, candidate);
  if (own?.sql === 'rejected') {
    const line = `node ${candidate} was told to promote and now rejects queries (${own.sqlSeen}): correct that, nothing is stopped`;
    return refuse(look, 'primary-rejects-queries', line);
  }
  const isDead = own?.host?.processes === 'none';
  const isPerhapsPromoted = hasPromotedFiles(look, candidate, before);
  const isBusy = holdUp === 'replaying' || holdUp === 'archive' || isPerhapsPromoted;
  const rival = findRival(look, plan, { ...request, ...learned });
  if (!isDead && (isBusy || rival === null)) {
    const why = isPerhapsPromoted
      ? 'its files say that it has been promoted'
      : isBusy
        ? 'it is at work'
        : 'no other standby is ready and holds as much WAL';
    const line = `node ${candidate} was told to promote and is not out of recovery yet (${error.message}): it is waited for, because ${why}`;
    return refuse(look, 'promotion-unproven', line);
  }
  const why = rival === null ? 'it has ended' : `node ${rival} is ready and holds as much WAL`;
  const refusal = await stopTold(decision, look, candidate, `it failed to promote (${error.message}); ${why}`);
  if (refusal) return refusal;
  if (!isDead) decision.memory = noteStopped(decision.memory, candidate);
  const walOfFailedCandidates = [...decision.memory.walOfFailedCandidates, before];
  decision.memory = { ...forgetTold(decision.memory, candidate), walOfFailedCandidates };
  const told = decision.memory.told.map(({ node }) => node);
  return { ...learned, told, excluded: [...request.excluded, candidate], walOfFailedCandidates };
}

function countNotTold(earlier: FailoverRequest['notTold'], node: number, line: string): FailoverRequest['notTold'] {
  const times = (earlier.find((entry) => entry.node === node)?.times ?? 0) + 1;
  return [...earlier.filter((entry) => entry.node !== node), { node, times, line }];
}

/** The failure's details. Without details the worker died or timed out, and the candidate counts as told. */
function promoteFailureOf({ details }: StepFailed): PromoteFailure {
  return (details as PromoteFailure | null) ?? { isTold: true, holdUp: null };
}

/**
 * The newer timeline on which the candidate accepts writes, by its own answer or another node's; 0 = accepts writes,
 * timeline unknown. Null = no node says so.
 */
function findNewTimeline({ facts }: Observation, candidate: number, before: WalPosition): number | null {
  const own = factsOf(facts, candidate);
  if (own?.sql === 'answered') {
    const timeline = own.isInRecovery === false ? (own.position?.timeline ?? 0) : 0;
    return timeline > before.timeline ? timeline : null;
  }
  return facts.probes.some((probe) => probe.about === candidate && probe.isInRecovery === false) ? 0 : null;
}

/**
 * PostgreSQL removes standby.signal when it ends recovery, and writes WAL of the new timeline: the files show a
 * promotion even when the node does not answer.
 */
function hasPromotedFiles({ facts }: Observation, node: number, before: WalPosition): boolean {
  const own = factsOf(facts, node);
  return (
    own?.sql !== 'answered' &&
    (own?.host?.hasStandbySignal === false || (own?.host?.walTimeline ?? 0) > before.timeline)
  );
}

/** Another standby that could be promoted now and holds no less WAL than the candidate. */
export function findRival(
  { configuration, facts }: Observation,
  plan: Promotion,
  request: FailoverRequest,
): number | null {
  const { candidate } = plan;
  const others = { ...facts, nodes: facts.nodes.filter((entry) => entry.node !== candidate) };
  const choice = chooseCandidate(configuration, others, {
    ...request,
    formerPrimary: plan.formerPrimary,
    excluded: [...request.excluded, candidate],
  });
  if ('refusal' in choice) return null;
  const [rival, own] = [
    factsOf(facts, choice.candidate)!.position!,
    factsOf(facts, candidate)?.position ?? plan.position,
  ];
  // A standby on a newer timeline already follows the candidate.
  return comparePosition(rival, own) >= 0 && rival.timeline <= plan.position.timeline ? choice.candidate : null;
}

/**
 * Before another node is promoted, stops every node that was told to promote, with proof, and waits for one that holds
 * more WAL. All witnesses are asked first, because only the worker's way to the node may be broken.
 * @returns null once no other node can have been promoted
 */
export async function clearDoubts(
  decision: Decision,
  observation: Observation,
  plan: Promotion,
  learned: Partial<FailoverRequest>,
): Promise<Attempt | null> {
  const { candidate, position } = plan;
  // The proven fence shows that this node is stopped.
  if (learned.fencedNode != null) decision.memory = forgetTold(decision.memory, learned.fencedNode);
  for (const { node, position: held } of decision.memory.told) {
    if (node === candidate) continue;
    if (comparePosition(position, held) < 0) {
      const line = `node ${node} was told to promote and holds more WAL (${held.lsn}) than node ${candidate} (${position.lsn}): bring node ${node} back`;
      return refuse(observation, 'promotion-unproven', line);
    }
    const look = await lookAround(decision, node);
    const timeline = findNewTimeline(look, node, held);
    if (timeline !== null) {
      const line = `node ${node} was told to promote, and accepts writes`;
      const names = learned.formerSynchronousStandbyNames ?? null;
      return promoted(decision, look, { ...plan, candidate: node, position: held, line }, timeline, {
        fence: null,
        names,
      });
    }
    const own = factsOf(look.facts, node);
    // The facts no longer match the plan.
    if (own?.sql === 'answered' || writableNodes(look.facts).length > 0) return learned;
    if (own?.sql === 'recovering') {
      const line = `node ${node} was told to promote and is starting (${own.sqlSeen}): it is waited for`;
      return refuse(look, 'promotion-unproven', line);
    }
    if (own?.host?.processes !== 'none' && hasPromotedFiles(look, node, held)) {
      const line = `node ${node} was told to promote and its files say that it has been promoted: it is waited for; make it reachable, or stop it`;
      return refuse(look, 'promotion-unproven', line);
    }
    const why = `it was told to promote, and node ${candidate} takes its place`;
    const refusal = await stopTold(decision, look, node, why);
    if (refusal) return refusal;
    const isAlive = own?.host?.processes !== 'none';
    decision.memory = forgetTold(isAlive ? noteStopped(decision.memory, node) : decision.memory, node);
  }
  return null;
}

/** Null = proven to be stopped. A pause that began while this decision ran forbids the promotion that the stop is for. */
async function stopTold(
  decision: Decision,
  look: Observation,
  node: number,
  why: string,
): Promise<FailoverResult | null> {
  const line = `node ${node} is stopped: ${why}`;
  const paused = pauseInstead(look.facts, { action: 'fence', node, line });
  if (paused) return refuse(look, 'paused', paused.line);
  const result = await fenceNode(decision, look, node, why);
  return result.outcome === 'unconfirmed' ? refuse(look, 'fence-unconfirmed', doubtfulLine(node, result)) : null;
}

function doubtfulLine(node: number, { seen }: FenceResult): string {
  return `node ${node} was told to promote, is not proven to have done so, and could not be stopped (${seen}): stop it, or bring it back`;
}
