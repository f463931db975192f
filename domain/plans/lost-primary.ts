// Rules for a primary that does not accept writes: its state may forbid a promotion, or ask for another step first.

import type { ClusterConfiguration } from '../facts/cluster';
import { type FailoverPlan, type FailoverRequest, refuse } from './failover-request';
import { chooseCandidate } from './candidate';
import { findNewestRival, findServedRival, newestTimeline, sampledSystem } from './last-sample';
import { describeCutOff } from './reach';
import { findRecord } from './record';
import type { PrimaryJudgement, PrimaryState, Witness } from './primary-state';
import type { WalPosition } from '../facts/wal';
import { factsOf, type Facts, isOnlySilent, isShownAsPrimary, type NodeFacts } from '../facts/facts';

/** The plan for a primary that does not accept writes. A fenced one is dead. */
export function planWithoutPrimary(
  configuration: ClusterConfiguration,
  facts: Facts,
  request: FailoverRequest,
  suspect: number,
  judgement: PrimaryJudgement,
): FailoverPlan {
  const isFenced = request.fencedNode === suspect;
  const instead = isFenced ? null : planInsteadOfPromotion(configuration, facts, request, suspect, judgement);
  if (instead) return instead;
  if (!isFenced && !isGivenUp(configuration, facts, request, suspect)) return refuseUnasked(suspect, judgement);
  const rival = refuseRivalOfLost(configuration, facts, request, suspect);
  if (rival) return rival;
  const choice = chooseCandidate(configuration, facts, { ...request, formerPrimary: suspect });
  if ('refusal' in choice) return refuse(choice.refusal, choice.line);
  const unfit = refuseForeign(facts, suspect, choice.candidate) ?? refuseBehind(configuration, facts, choice);
  if (unfit) return unfit;
  const isSilent = judgement.state === 'unreachable' || judgement.state === 'closed';
  const needsFence = !isFenced && isSilent && describeCutOff(configuration, facts, suspect) !== null;
  const state = isFenced ? 'dead' : judgement.state;
  return { action: 'promote', ...choice, formerPrimary: suspect, state, needsFence };
}

/** Another silent node may be the primary: the watch has heard it as one, or pgpool had it as its own, and no promotion has replaced it since. */
function refuseRivalOfLost(
  configuration: ClusterConfiguration,
  facts: Facts,
  request: FailoverRequest,
  suspect: number,
): FailoverPlan | null {
  const { oldPrimary } = request;
  const isOther = oldPrimary !== null && oldPrimary !== suspect && isOnlySilent(facts, oldPrimary);
  const isNamed = isOther && !isOld(configuration, facts, request, suspect);
  const claims: readonly { readonly node: number | null; readonly seen: string }[] = [
    { node: findHeardRival(facts, suspect), seen: 'is heard as a primary by a pgpool that uses it' },
    {
      node: findServedRival(facts, suspect),
      seen: 'accepted writes and was served by pgpool at the last look of the watch',
    },
    {
      node: findNewestRival(facts, suspect),
      seen: 'accepted writes on a newer timeline at the last look of the watch',
    },
    { node: isNamed ? oldPrimary : null, seen: 'was the primary of pgpool' },
  ];
  const claim = claims.find(({ node }) => node !== null);
  if (!claim) return null;
  const line = `node ${suspect} is lost, but node ${claim.node}, which does not answer, ${claim.seen}: bring it back, or stop it on its host`;
  return refuse('primary-unreachable', line);
}

/** Another silent node that a pgpool may use, and that tells the pgpool now that it accepts writes: the worker's way to it is broken. */
function findHeardRival(facts: Facts, suspect: number): number | null {
  const heard = facts.pgpools
    .flatMap(({ nodes }) => nodes)
    .find(
      ({ node, status, liveStatus, liveRole }) =>
        node !== suspect &&
        status !== 'down' &&
        liveStatus === 'up' &&
        liveRole === 'primary' &&
        isOnlySilent(facts, node),
    );
  return heard?.node ?? null;
}

/** The candidate belongs to another system than the lost primary did, by the watch's last look at it, else by the record. */
function refuseForeign(facts: Facts, suspect: number, candidate: number): FailoverPlan | null {
  const system = sampledSystem(facts, suspect) ?? facts.record?.systemIdentifier ?? null;
  const own = factsOf(facts, candidate)?.systemIdentifier ?? null;
  if (system === null || own === null || own === system) return null;
  const line = `node ${candidate} belongs to system ${own}, and node ${suspect}, the lost primary, to ${system}: bring back a node of that system`;
  return refuse('other-system', line);
}

/** The candidate has never seen the timeline on which the record has the primary: whoever holds that has newer commits. */
function refuseBehind(
  configuration: ClusterConfiguration,
  facts: Facts,
  { candidate, position }: { readonly candidate: number; readonly position: WalPosition },
): FailoverPlan | null {
  const record = findRecord(configuration, facts);
  if (!record || position.timeline >= record.timeline) return null;
  const line = `node ${candidate} is on timeline ${position.timeline}, and node ${record.primary} was the primary on timeline ${record.timeline} by the record: start that one, or bring a standby of its timeline back`;
  return refuse('diverged-branches', line);
}

/** pgpool's number is older than the promotion that has made the suspect the primary. */
function isOld(
  configuration: ClusterConfiguration,
  facts: Facts,
  { oldPrimary, opened }: FailoverRequest,
  suspect: number,
): boolean {
  if (oldPrimary === null || oldPrimary === suspect) return false;
  const newest = newestTimeline(facts);
  const isOurs = opened.some(({ node, timeline }) => node === suspect && timeline >= newest);
  return isOurs || findRecord(configuration, facts)?.former?.node === oldPrimary;
}

/** A pgpool has reported the node or its primary, or shows the node as down; or none that answers takes it for the primary. */
function isGivenUp(
  configuration: ClusterConfiguration,
  facts: Facts,
  request: FailoverRequest,
  suspect: number,
): boolean {
  const { pgpools } = facts;
  const isReported = request.isPrimaryReported && !isOld(configuration, facts, request, suspect);
  const views = pgpools
    .map(({ nodes }) => nodes.find(({ node }) => node === suspect))
    .filter((own) => own !== undefined);
  const isDown = views.some(({ status }) => status === 'down');
  const isNobodys = views.length > 0 && !views.some(isShownAsPrimary);
  return isReported || request.givenUp.includes(suspect) || isDown || isNobodys;
}

/** A person may have stopped the primary on purpose, with or after pgpool. */
function refuseUnasked(suspect: number, { state }: PrimaryJudgement): FailoverPlan {
  const line = `node ${suspect} does not work as the primary (${state}), and no pgpool has given it up: nothing is promoted; start it, or tell pgpool (pcp_detach_node ${suspect})`;
  return refuse('primary-unreachable', line);
}

/**
 * The plan instead of a promotion, by the state of a primary that is not fenced; null when the primary must be
 * replaced.
 */
function planInsteadOfPromotion(
  configuration: ClusterConfiguration,
  facts: Facts,
  request: FailoverRequest,
  suspect: number,
  { state, witnesses, failing }: PrimaryJudgement,
): FailoverPlan | null {
  const name = `node ${suspect}`;
  switch (state) {
    case 'working': {
      // A standby's host got an answer and the worker did not, so the worker's own path is at fault.
      const line = `${name} answers queries from another host: it stays the primary`;
      return { action: 'keep', primary: suspect, reason: 'primary-kept', line };
    }
    case 'recovering': {
      if (request.hasWaited) return null;
      const line = `${name} is starting, stopping or in crash recovery: given ${configuration.policy.crashRecoveryMs} ms`;
      return { action: 'wait', node: suspect, line };
    }
    case 'rejecting':
      return refuse(
        'primary-rejects-queries',
        `${name} answers but rejects queries (${factsOf(facts, suspect)?.sqlSeen ?? 'no detail'}): correct that, nothing is promoted`,
      );
    case 'unknown':
      return askAgain(suspect, witnesses, request);
    case 'closed':
    case 'unreachable':
    case 'hung':
    case 'dead': {
      const passing = request.lasted === suspect ? null : findPassing(factsOf(facts, suspect), state, request, name);
      if (passing !== null) return lookLater(suspect, passing);
      if (state === 'hung' || state === 'dead') return null;
      if (state === 'closed' && failing < 2)
        return refuse(
          'primary-unreachable',
          `${name} refuses the worker's connections, its host could not be looked at, and no other node could ask it: check its network`,
        );
      return refuseSilent(configuration, facts, suspect);
    }
  }
}

/** The trouble, in words, if it may be over in two seconds; else null. */
function findPassing(
  own: NodeFacts | undefined,
  state: PrimaryState,
  { failedNode }: FailoverRequest,
  name: string,
): string | null {
  if (state === 'closed') return `${name} refuses connections and its host cannot be looked at`;
  if (state === 'dead')
    return own?.host?.controlFile?.state === 'shut down'
      ? `${name} was shut down cleanly, which a restart begins with`
      : null;
  if (own?.sql === 'refused')
    return `${name} refuses connections and its processes run, as at the begin and the end of a restart`;
  // pgpool tries a node for seconds before it reports it as failed; for any other node this look is the first sign.
  return own?.node === failedNode ? null : `${name}, which the event is not about, does not answer`;
}

/** Nothing proves the node dead, and another host may have heard from it. */
function askAgain(suspect: number, witnesses: readonly Witness[], { hasLookedAgain }: FailoverRequest): FailoverPlan {
  const alive = witnesses.filter((witness) => witness.answer === 'alive');
  const heard = alive.map((witness) => `${witness.from} (${witness.seen})`).join(' and ');
  const others = heard ? `but ${heard} heard from it` : 'and no other host could ask';
  const seen = `node ${suspect} does not answer the worker, ${others}`;
  if (heard && !hasLookedAgain)
    return { action: 'look-again', node: suspect, afterMs: 0, line: `${seen}: looked at again at once` };
  return refuse('primary-unreachable', `${seen}, which is no proof that it is dead: check its network`);
}

/**
 * Pause before the second look: longer than a restart keeps the port closed, and than a snapshot stops a virtual
 * machine.
 */
export const laterMs = 2000;

function lookLater(node: number, seen: string): FailoverPlan {
  return { action: 'look-again', node, afterMs: laterMs, line: `${seen}: looked at again in ${laterMs} ms` };
}

/**
 * The refusal for a node that nothing reaches, or whose host cannot be looked at, if its silence must not count as
 * death; else null.
 */
function refuseSilent(configuration: ClusterConfiguration, facts: Facts, suspect: number): FailoverPlan | null {
  const { unreachableHost, minimumIntervalMs, fenceCommand } = configuration.policy;
  const name = `node ${suspect}`;
  if (unreachableHost === 'park') {
    return refuse(
      'primary-unreachable',
      `${name} is unreachable from two hosts and policy.unreachableHost is park: a person decides`,
    );
  }
  const cutOff = describeCutOff(configuration, facts, suspect);
  // A fence command that succeeds is proof; silence is not.
  if (cutOff !== null && fenceCommand.length === 0)
    return refuse('cut-off', `${name} does not answer, but ${cutOff}; nothing is promoted`);
  const ageMs = readTimelineAge(configuration, facts);
  if (ageMs !== null && ageMs < minimumIntervalMs) {
    return refuse(
      'too-soon',
      `${name} is only unreachable, not proven dead, and the last promotion was less than ${minimumIntervalMs} ms ago`,
    );
  }
  return null;
}

/**
 * Milliseconds since the last promotion: by the record, else by the oldest history file of the newest timeline. A
 * rebuilt node has younger files, so if every node was rebuilt, the answer is too small.
 */
function readTimelineAge(configuration: ClusterConfiguration, facts: Facts): number | null {
  const { nodes } = facts;
  const record = findRecord(configuration, facts);
  const timelineOf = (entry: NodeFacts): number => entry.position?.timeline ?? 0;
  const newest = Math.max(...nodes.map(timelineOf));
  if (record?.timeline === newest) return Date.parse(facts.takenAt) - Date.parse(record.since);
  const ages = nodes.flatMap((entry) =>
    timelineOf(entry) === newest && entry.timelineAgeMs !== null ? [entry.timelineAgeMs] : [],
  );
  return ages.length > 0 ? Math.max(...ages) : null;
}
