// The acting half of the failover runbook: fence the former primary, plan again on what is left, promote, and clear up what failed.

import { CancellationScope, isCancellation } from '@temporalio/workflow';
import type { FenceInput, FenceResult } from '../activities/fence';
import type { Observation } from '../activities/observe';
import { withRealNames } from '../domain/application-name';
import { type FailoverPlan, type FailoverRequest, planFailover } from '../domain/failover-plan';
import type { ReasonCode, Verdict } from '../domain/outcome';
import { formatSynchronousStandbyNames } from '../domain/synchronous';
import type { WalPosition } from '../domain/wal';
import { factsOf } from '../domain/witness';
import { fence, observe, promote } from './activity-options';
import { failureTypeOf, messageOf, type Steps } from './step';

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
  /** Told to promote, neither proven to have done so nor fenced: each may accept writes on the next timeline. */
  readonly doubtful: Set<number>;
  /** WAL that candidates held which do not answer any more: it still counts against the next candidate. */
  readonly known: WalPosition[];
  /** Up and writable beside their successor, and told to stop for that: it is for us to start them again, as standbys. */
  readonly stopped: Set<number>;
}

export type Promotion = Extract<FailoverPlan, { action: 'promote' }>;

/** A verdict, or what the next round has to know. */
export type Attempt = FailoverResult | Partial<FailoverRequest>;

export async function attemptPromotion(
  steps: Steps,
  observation: Observation,
  first: Promotion,
  request: FailoverRequest,
  memory: Memory,
): Promise<Attempt> {
  const { configuration } = observation;
  const former = first.formerPrimary;
  const fenced =
    former === null || request.fencedNode === former ? null : await fenceNode(steps, observation, former, first.line);
  const isAlive = first.state === 'hung' || first.state === 'recovering' || hasOrphans(observation, former);
  if (fenced?.outcome === 'unconfirmed' && isAlive) {
    const line = `node ${String(former)} has processes and could not be stopped (${fenced.seen}): stop it on its host; nothing is promoted`;
    return refuse(observation, 'fence-unconfirmed', line);
  }
  const merged = fenced ? mergeNodes(observation, fenced) : observation;
  const settled: Partial<FailoverRequest> = {
    oldPrimary: former,
    fencedNode: fenced?.outcome === 'confirmed' ? former : request.fencedNode,
    formerSynchronousStandbyNames: fenced?.synchronousStandbyNames ?? request.formerSynchronousStandbyNames,
  };
  // Of an earlier round, only a proven one is remembered.
  const outcome = fenced?.outcome ?? (former !== null && request.fencedNode === former ? 'confirmed' : null);
  const plan = planFailover(configuration, merged.facts, { ...request, ...settled, hasWaited: true });
  if (plan.action !== 'promote') {
    // The next round sees the same and concludes, or waits and fences as this one may not.
    steps.note('Plan again', plan.line);
    return settled;
  }
  const doubt = await clearDoubts(steps, merged, plan.candidate, memory);
  if (doubt) return doubt;
  try {
    const timeline = await promoteCandidate(steps, merged, plan);
    memory.doubtful.delete(plan.candidate);
    return promoted(merged, plan, timeline, outcome);
  } catch (error) {
    if (isCancellation(error)) throw error;
    // Whoever decides next must find this cleared up.
    return await CancellationScope.nonCancellable(() =>
      clearUp(steps, merged, plan, request, { settled, outcome, memory, error }),
    );
  }
}

interface Failed {
  readonly settled: Partial<FailoverRequest>;
  readonly outcome: FenceResult['outcome'] | null;
  readonly memory: Memory;
  readonly error: unknown;
}

/** Looks before it stops anything: a promotion whose proof was late has made a primary that clients already write to. */
async function clearUp(
  steps: Steps,
  planned: Observation,
  plan: Promotion,
  request: FailoverRequest,
  failed: Failed,
): Promise<Attempt> {
  const { candidate } = plan;
  const { settled, memory } = failed;
  const look = await lookAround(steps, planned.configuration.cluster, candidate);
  const own = factsOf(look.facts, candidate);
  const before = factsOf(planned.facts, candidate)!.position!;
  if (
    own?.sql === 'answered' &&
    own.isInRecovery === false &&
    own.position &&
    own.position.timeline > before.timeline
  ) {
    return promoted(look, plan, own.position.timeline, failed.outcome);
  }
  if (failureTypeOf(failed.error) === 'WorldChanged') return settled;
  memory.doubtful.add(candidate);
  if (own?.sql === 'rejected') {
    const line = `node ${String(candidate)} was told to promote and now rejects queries (${own.sqlSeen}): mend that, nothing is stopped`;
    return refuse(look, 'primary-rejects-queries', line);
  }
  const result = await fenceNode(steps, look, candidate, `it failed to promote: ${messageOf(failed.error)}`);
  if (result.outcome === 'unconfirmed') return refuse(look, 'fence-unconfirmed', doubtfulLine(candidate, result));
  memory.doubtful.delete(candidate);
  memory.known.push(before);
  return { ...settled, excluded: [...request.excluded, candidate], known: memory.known };
}

/** Before somebody else is promoted, every node that may have been must be a standby again, or fenced with proof. */
async function clearDoubts(
  steps: Steps,
  observation: Observation,
  candidate: number,
  memory: Memory,
): Promise<FailoverResult | null> {
  for (const node of [...memory.doubtful]) {
    if (node === candidate) continue;
    const own = factsOf(observation.facts, node);
    const isStandby = own?.sql === 'answered' && own.isInRecovery === true;
    const result = isStandby ? null : await fenceNode(steps, observation, node, 'it may have been promoted');
    if (result?.outcome === 'unconfirmed') return refuse(observation, 'fence-unconfirmed', doubtfulLine(node, result));
    memory.doubtful.delete(node);
  }
  return null;
}

function doubtfulLine(node: number, { seen }: FenceResult): string {
  return `node ${String(node)} was told to promote, is not proven to have done so, and could not be stopped (${seen}): stop it, or bring it back`;
}

export async function lookAround(steps: Steps, cluster: string, suspect: number | null): Promise<Observation> {
  return await steps.run(
    'Observe every node',
    () => observe.executeWithOptions({ summary: 'measure every node and pgpool' }, [{ cluster, suspect }]),
    ({ facts }) => facts.nodes.map((entry) => `node ${String(entry.node)}: ${entry.sqlSeen}`).join('; '),
  );
}

export async function fenceNode(
  steps: Steps,
  { configuration, facts }: Observation,
  node: number,
  why: string,
  mark: FenceInput['mark'] = 'before-promotion',
): Promise<FenceResult> {
  const host = factsOf(facts, node)?.host ?? null;
  return await steps.run(
    `Fence node ${String(node)}`,
    () =>
      fence.executeWithOptions({ summary: `node ${String(node)} must accept no more writes: ${why}`.slice(0, 200) }, [
        { configuration, node, mark, clockOffsetMs: host?.clockOffsetMs ?? null, isHostSilent: host?.ssh === 'silent' },
      ]),
    (result) => `${result.outcome}: ${result.seen}`,
  );
}

async function promoteCandidate(steps: Steps, { configuration, facts }: Observation, plan: Promotion): Promise<number> {
  const own = factsOf(facts, plan.candidate);
  const input = {
    configuration,
    candidate: plan.candidate,
    position: own!.position!,
    systemIdentifier: own!.systemIdentifier!,
    synchronousStandbyNames: synchronousNamesAtPromotion({ configuration, facts }, plan.candidate),
    formerPrimary: plan.formerPrimary,
  };
  const summary = `promote node ${String(plan.candidate)}: ${plan.line}`.slice(0, 200);
  const result = await steps.run(
    `Promote node ${String(plan.candidate)}`,
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

function promoted(
  observation: Observation,
  plan: Promotion,
  timeline: number,
  outcome: FenceResult['outcome'] | null,
): FailoverResult {
  const former = plan.formerPrimary;
  const fence = outcome ? `, node ${String(former)} fenced (${outcome})` : '';
  const line = `promoted node ${String(plan.candidate)} to timeline ${String(timeline)}${fence}; ${plan.line}`;
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

/** Backends without their postmaster go on committing. */
function hasOrphans({ facts }: Observation, node: number | null): boolean {
  return node !== null && factsOf(facts, node)?.host?.processes === 'orphans';
}

function mergeNodes({ configuration, facts }: Observation, fenced: FenceResult): Observation {
  const nodes = facts.nodes.map((entry) => fenced.nodes.find((fresh) => fresh.node === entry.node) ?? entry);
  return { configuration, facts: { ...facts, nodes } };
}
