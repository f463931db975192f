// From facts to the decision of an incident: pure, no clock, no I/O. The event's numbers are hints; evidence decides.

import { type ClusterConfiguration, findNode, getNode } from './cluster';
import { type Candidate, chooseCandidate, type NotTold } from './candidate';
import { planWithTwoPrimaries, refuseStalePrimary } from './rival-primaries';
import { planInsteadOfPromotion, refuse } from './lost-primary';
import type { ReasonCode } from './outcome';
import { describeCutOff } from './reach';
import { findAbroad, suspectPrimary } from './suspect';
import type { OpenedTimeline, WalPosition } from './wal';
import { judgePrimary, type PrimaryJudgement, type PrimaryState } from './primary-state';
import { answeringStandbys, factsOf, type Facts, writableNodes } from './witness';

export interface FailoverRequest {
  /** pgpool's %d, or the node that returned. */
  readonly failedNode: number | null;
  /** pgpool's %P. */
  readonly oldPrimary: number | null;
  /** The node that this decision has taken for the primary before; the event's numbers stay what they are. */
  readonly suspect: number | null;
  /** The node that a person wants back: nobody else is stopped for it. */
  readonly rejoin: number | null;
  /** Candidates that were told to promote, failed and are stopped. */
  readonly excluded: readonly number[];
  readonly notTold: readonly NotTold[];
  /** Told to promote and not known to be stopped since: believed before any other. */
  readonly told: readonly number[];
  /** The recovering primary has had crashRecoveryMs already. */
  readonly hasWaited: boolean;
  /** The witnesses contradicted each other in this decision already. */
  readonly hasLookedAgain: boolean;
  /** Of this node the same trouble was seen two seconds ago already. */
  readonly lasted: number | null;
  readonly sinceEventMs: number;
  /** Set after the fence: the set in force on the old primary, read from its files; null when unreadable. */
  readonly formerSynchronousStandbyNames: string | null;
  /** The fence has stopped this node with proof, or tried and recorded "unconfirmed": its state is settled. */
  readonly fencedNode: number | null;
  /** A stop of this false primary was tried in this decision: it is not tried again. */
  readonly fenceTried: number | null;
  /** WAL that failed candidates held. */
  readonly known: readonly WalPosition[];
  readonly opened: readonly OpenedTimeline[];
}

export type FailoverPlan =
  | {
      readonly action: 'promote';
      readonly candidate: number;
      readonly position: WalPosition;
      /** The node to fence first; null when no node was ever known as the primary. */
      readonly formerPrimary: number | null;
      readonly state: PrimaryState;
      /** Without a proven fence nobody may be promoted. */
      readonly needsFence: boolean;
      /** Behind the most that anybody reachable holds; null = unknown. */
      readonly lagBytes: number | null;
      readonly passedOver: Candidate['passedOver'];
      readonly reserved: Candidate['reserved'];
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
  | { readonly action: 'look-again'; readonly node: number; readonly afterMs: number; readonly line: string }
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
  if (writable.length > 1) return planWithTwoPrimaries(configuration, facts, writable, request);
  const [living] = writable;
  if (living) {
    const stale = refuseStalePrimary(configuration, facts, living, request);
    return stale ?? planWithLivingPrimary(facts, living.node, request);
  }
  const suspect = suspectPrimary(configuration, facts, request);
  if (suspect === null) return planWithStandbysOnly(configuration, facts, request);
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

/**
 * Every configured node answers as a standby. If a fence of ours made one so, the failover behind it did not end, and nothing is lost by promoting the one with the
 * most WAL, the former primary included. A cluster that follows another one has no primary of its own.
 */
function planWithStandbysOnly(
  configuration: ClusterConfiguration,
  facts: Facts,
  request: FailoverRequest,
): FailoverPlan {
  const standbys = answeringStandbys(facts);
  const abroad = findAbroad(configuration, facts);
  const fenced = standbys.find(({ fenceMark }) => fenceMark === 'before-promotion' || fenceMark === 'after-return');
  if (standbys.length < configuration.nodes.length || abroad || !fenced) {
    const why = abroad
      ? `node ${abroad.node} follows a host outside the cluster file`
      : 'no evidence names the former primary';
    return refuse('primary-unknown', `no node accepts writes and ${why}: start the right node by hand`);
  }
  const choice = chooseCandidate(configuration, facts, { ...request, formerPrimary: null });
  if ('refusal' in choice) return refuse(choice.refusal, choice.line);
  const line = `every node is a standby and node ${fenced.node} was fenced: ${choice.line}`;
  return { action: 'promote', ...choice, formerPrimary: null, state: 'dead', needsFence: false, line };
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
  const isSilent = judgement.state === 'unreachable' || judgement.state === 'closed';
  const needsFence = !isFenced && isSilent && describeCutOff(configuration, facts, suspect) !== null;
  const state = isFenced ? 'dead' : judgement.state;
  return { action: 'promote', ...choice, formerPrimary: suspect, state, needsFence };
}
