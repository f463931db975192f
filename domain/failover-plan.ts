// From facts to the decision of an incident: pure, no clock, no I/O. The event's numbers are hints; evidence decides.

import { type ClusterConfiguration, findNode, getNode } from './cluster';
import { chooseCandidate } from './candidate';
import { type ReasonCode } from './outcome';
import { planWithTwoPrimaries, refuseStalePrimary } from './rival-primaries';
import { suspectPrimary } from './suspect';
import type { WalPosition } from './wal';
import { factsOf, type Facts, judgePrimary, type PrimaryJudgement, type PrimaryState, writableNodes } from './witness';

export interface FailoverRequest {
  /** pgpool's %d, or the node that returned. */
  readonly failedNode: number | null;
  /** pgpool's %P. */
  readonly oldPrimary: number | null;
  /** Candidates that were tried and fenced in this incident. */
  readonly excluded: readonly number[];
  /** The recovering primary has had crashRecoveryMs already. */
  readonly hasWaited: boolean;
  /** The witnesses contradicted each other in this decision already. */
  readonly hasLookedAgain: boolean;
  readonly sinceEventMs: number;
  /** Set after the fence: the set in force on the old primary, read from its files; null when unreadable. */
  readonly formerSynchronousStandbyNames: string | null;
  /** The fence has stopped this node with proof, or tried and recorded "unconfirmed": its state is settled. */
  readonly fencedNode: number | null;
  /** A stop of this false primary was tried in this decision: it is not tried again. */
  readonly fenceTried: number | null;
  /** WAL that failed candidates held. */
  readonly known: readonly WalPosition[];
}

export type FailoverPlan =
  | {
      readonly action: 'promote';
      readonly candidate: number;
      /** The node to fence first; null when no node was ever known as the primary. */
      readonly formerPrimary: number | null;
      readonly state: PrimaryState;
      /** Behind the most that anybody reachable holds; null = unknown. */
      readonly lagBytes: number | null;
      readonly line: string;
    }
  | {
      /** The primary works: attach it wherever pgpool has cut it off. */
      readonly action: 'keep';
      readonly primary: number;
      readonly reason: 'primary-kept' | 'standby-failed' | 'already-failed-over' | 'primary-working';
      readonly line: string;
    }
  | { readonly action: 'wait'; readonly node: number; readonly line: string }
  /** One look lasts up to two seconds, in which a frozen node may thaw or a network heal: the next look is of one mind. */
  | { readonly action: 'look-again'; readonly node: number; readonly line: string }
  /** A former primary that came back writable beside its successor: every write that it takes will be lost. */
  | { readonly action: 'fence'; readonly node: number; readonly line: string }
  | { readonly action: 'refuse'; readonly reason: ReasonCode; readonly line: string };

/** What to do about the primary. The same function plans before and after the fence. */
export function planFailover(
  configuration: ClusterConfiguration,
  facts: Facts,
  request: FailoverRequest,
): FailoverPlan {
  for (const hint of [request.failedNode, request.oldPrimary, request.fencedNode]) {
    if (hint !== null && !findNode(configuration, hint)) {
      return refuse(
        'node-not-configured',
        `node ${String(hint)} is not in the cluster file of ${configuration.cluster}: the node numbers of pgpool.conf and the cluster file must agree`,
      );
    }
  }
  const writable = writableNodes(facts);
  if (writable.length > 1) return planWithTwoPrimaries(writable, request);
  const [living] = writable;
  if (living) return refuseStalePrimary(facts, living, request) ?? planWithLivingPrimary(facts, living.node, request);

  const suspect = suspectPrimary(configuration, facts, request);
  if (suspect === null) {
    return refuse(
      'primary-unknown',
      'no node accepts writes and no evidence names the former primary: start the right node by hand',
    );
  }
  const { host, port } = getNode(configuration, suspect);
  const judgement = judgePrimary(facts, suspect, { host, port }, request.sinceEventMs);
  return planWithoutPrimary(configuration, facts, request, suspect, judgement);
}

function planWithLivingPrimary(facts: Facts, primary: number, request: FailoverRequest): FailoverPlan {
  const failed = request.failedNode;
  if (failed === primary) {
    return {
      action: 'keep',
      primary,
      reason: 'primary-kept',
      line: `node ${String(primary)} answers queries as the primary, whatever pgpool saw: kept`,
    };
  }
  if (failed !== null && failed === request.oldPrimary) {
    return {
      action: 'keep',
      primary,
      reason: 'already-failed-over',
      line: `node ${String(primary)} is the primary already; node ${String(failed)} no longer is`,
    };
  }
  if (failed !== null && factsOf(facts, failed)?.sql !== 'answered') {
    return {
      action: 'keep',
      primary,
      reason: 'standby-failed',
      line: `standby node ${String(failed)} failed; the primary, node ${String(primary)}, works`,
    };
  }
  return { action: 'keep', primary, reason: 'primary-working', line: `node ${String(primary)} works as the primary` };
}

function planWithoutPrimary(
  configuration: ClusterConfiguration,
  facts: Facts,
  request: FailoverRequest,
  suspect: number,
  judgement: PrimaryJudgement,
): FailoverPlan {
  const isFenced = request.fencedNode === suspect;
  const instead = isFenced ? null : planInsteadOfPromotion(configuration, facts, request, suspect, judgement);
  if (instead) return instead;
  const choice = chooseCandidate(configuration, facts, { ...request, formerPrimary: suspect });
  if ('refusal' in choice) return refuse(choice.refusal, choice.line);
  return {
    action: 'promote',
    candidate: choice.candidate,
    formerPrimary: suspect,
    state: isFenced ? 'dead' : judgement.state,
    lagBytes: choice.lagBytes,
    line: choice.line,
  };
}

/** What the state of a primary that is not fenced forbids, or asks for first; null when it must be replaced. */
function planInsteadOfPromotion(
  configuration: ClusterConfiguration,
  facts: Facts,
  request: FailoverRequest,
  suspect: number,
  { state, witnesses }: PrimaryJudgement,
): FailoverPlan | null {
  const name = `node ${String(suspect)}`;
  switch (state) {
    case 'working': {
      // A probe from a standby's host got an answer that the worker did not: our own path is at fault.
      const line = `${name} answers queries from another host: kept`;
      return { action: 'keep', primary: suspect, reason: 'primary-kept', line };
    }
    case 'recovering': {
      if (request.hasWaited) return null;
      const line = `${name} is starting, stopping or in crash recovery: given ${String(configuration.policy.crashRecoveryMs)} ms`;
      return { action: 'wait', node: suspect, line };
    }
    case 'rejecting':
      return refuse(
        'primary-rejects-queries',
        `${name} answers but rejects queries (${factsOf(facts, suspect)?.sqlSeen ?? 'no detail'}): mend that, nothing is promoted`,
      );
    case 'unknown': {
      const alive = witnesses.filter((witness) => witness.answer === 'alive');
      const heard = alive.map((witness) => `${witness.from} (${witness.seen})`).join(' and ');
      const others = heard ? `but ${heard} heard from it` : 'and nobody else could ask';
      const seen = `${name} does not answer the worker, ${others}`;
      if (heard && !request.hasLookedAgain)
        return { action: 'look-again', node: suspect, line: `${seen}: looked at again at once` };
      return refuse('primary-unreachable', `${seen}, which is no proof that it is dead: check its network`);
    }
    case 'unreachable':
      return refuseUnreachable(configuration, facts, name);
    case 'hung':
    case 'dead':
      return null;
  }
}

function refuseUnreachable(configuration: ClusterConfiguration, facts: Facts, name: string): FailoverPlan | null {
  if (configuration.policy.unreachableHost === 'park') {
    return refuse(
      'primary-unreachable',
      `${name} is unreachable from two hosts and policy.unreachableHost is park: a person decides`,
    );
  }
  if (isTooSoon(configuration, facts)) {
    return refuse(
      'too-soon',
      `${name} is only unreachable, not proven dead, and the last promotion was less than ${String(configuration.policy.minimumIntervalMs)} ms ago`,
    );
  }
  return null;
}

function isTooSoon(configuration: ClusterConfiguration, facts: Facts): boolean {
  return facts.nodes.some(
    (entry) => entry.timelineAgeMs !== null && entry.timelineAgeMs < configuration.policy.minimumIntervalMs,
  );
}

function refuse(reason: ReasonCode, line: string): FailoverPlan {
  return { action: 'refuse', reason, line };
}
