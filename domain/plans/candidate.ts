// Chooses the standby to promote: greatest (timeline, LSN received), then LSN replayed, then priority, then lowest id;
// or says why none may be.

import { withRealNames } from '../facts/application-name';
import { type Positioned, sortBranches } from './branches';
import { type ClusterConfiguration, getNode } from '../facts/cluster';
import type { ReasonCode } from '../facts/reasons';
import { isInMaintenance } from './maintenance';
import { sampledPosition, sampledSynchronousSet, wasStreaming } from './last-sample';
import { findInsufficientSettings, hasStreamed, isDelayed } from './readiness';
import { hasLastCommit } from './synchronous';
import {
  compareLsn,
  comparePosition,
  lagBytes,
  type OpenedTimeline,
  type TimelineEnd,
  type WalPosition,
} from '../facts/wal';
import { answeringStandbys, factsOf, type Facts, type NodeFacts } from '../facts/facts';

/** A candidate that pg_promote could not be sent to, so it is still a standby. */
export interface NotTold {
  readonly node: number;
  readonly times: number;
  readonly line: string;
}

export interface CandidateRequest {
  readonly formerPrimary: number | null;
  readonly excluded: readonly number[];
  readonly notTold: readonly NotTold[];
  /** Told to promote and not known to be stopped since: preferred to any other candidate. */
  readonly told: readonly number[];
  readonly formerSynchronousStandbyNames: string | null;
  /** Positions of candidates that failed. */
  readonly walOfFailedCandidates: readonly WalPosition[];
  readonly opened: readonly OpenedTimeline[];
}

/**
 * A timeline that a new promotion must not open again, because a branch that the candidate does not know already has
 * it.
 */
export interface ReservedTimeline {
  readonly timeline: number;
  readonly history: readonly TimelineEnd[];
}

export interface Candidate {
  readonly candidate: number;
  readonly position: WalPosition;
  readonly lagBytes: number | null;
  /** Nodes that hold more WAL than the candidate but may not, or cannot, be promoted, as known at this decision. */
  readonly passedOver: readonly number[];
  readonly reserved: readonly ReservedTimeline[];
  readonly line: string;
}

export type CandidateChoice = Candidate | { readonly refusal: ReasonCode; readonly line: string };

/** Failed attempts after which a candidate is put behind the others: one may be chance, a second has a cause. */
const patience = 2;

/** The evidence rules of docs/failure-modes.md, in order; the first that forbids a promotion is the answer. */
export function chooseCandidate(
  configuration: ClusterConfiguration,
  facts: Facts,
  request: CandidateRequest,
): CandidateChoice {
  const { formerPrimary } = request;
  const standbys = answeringStandbys(facts)
    .filter((entry): entry is Positioned => entry.position !== null && entry.node !== formerPrimary)
    .sort((left, right) => left.node - right.node);
  const identifier = systemIdentifierOf(facts, formerPrimary, standbys);
  const sameSystem = standbys.filter((entry) => identifier !== null && entry.systemIdentifier === identifier);
  const { current, own, strays } = sortBranches(configuration, facts, formerPrimary, sameSystem, request.opened);
  const allowed = own.filter(
    ({ node }) =>
      !request.excluded.includes(node) && getNode(configuration, node).priority > 0 && !isInMaintenance(facts, node),
  );
  const fit = allowed.filter((entry) => findInsufficientSettings(entry) === null);
  const [best] = fit.sort((left, right) => compareCandidates(configuration, request, left, right));
  if (!best) return refuseEveryone(configuration, facts, request, { allowed, strays });
  const failed = request.notTold.find(({ node }) => node === best.node);
  // If the best one has failed repeatedly, all the others have too, because those come last.
  if (failed && failed.times >= patience) {
    const causes = request.notTold.map(({ node, line }) => `node ${node}: ${line}`).join('; ');
    return { refusal: 'promotion-failed', line: `no standby could be told to promote (${causes}): correct that` };
  }
  const conflict = findBranchConflict(formerPrimary, own, best, current);
  if (conflict !== null) return { refusal: 'diverged-branches', line: conflict };
  const lag = measureLag(facts, request, own, best);
  const hadStream = (entry: Positioned): boolean =>
    wasStreaming(facts, entry.node, formerPrimary) ?? hasStreamed(entry);
  const tooMuch = findMissingWal(configuration, own.some(hadStream), best, lag);
  if (tooMuch) return tooMuch;
  const missing = findMissingCommit(configuration, facts, request, own, best);
  if (missing !== null) return { refusal: 'synchronous-set-unreachable', line: missing };
  const { position } = best;
  return {
    candidate: best.node,
    position,
    lagBytes: lag.bytes,
    passedOver: sameSystem.filter((entry) => comparePosition(entry.position, position) > 0).map(({ node }) => node),
    reserved: sameSystem
      .filter((entry) => entry.position.timeline > position.timeline)
      .map((entry) => ({ timeline: entry.position.timeline, history: entry.history })),
    line: [
      `node ${best.node} has the greatest (timeline, LSN): (${position.timeline}, ${position.lsn}); lag ${lag.bytes === null ? 'unknown' : `${lag.bytes} bytes${lag.isAtLastLook ? ' at the last look of the watch' : ''}`}`,
      ...strays.map(({ line }) => line),
    ].join('; '),
  };
}

/** Negative when `left` is the better candidate. */
function compareCandidates(
  configuration: ClusterConfiguration,
  { notTold, told }: CandidateRequest,
  left: Positioned,
  right: Positioned,
): number {
  const rank = (entry: Positioned): number => {
    const hasFailed = notTold.some(({ node, times }) => node === entry.node && times >= patience);
    if (told.includes(entry.node)) return 0;
    return hasFailed ? 3 : isDelayed(entry) ? 2 : 1;
  };
  return (
    rank(left) - rank(right) ||
    comparePosition(right.position, left.position) ||
    compareLsn(right.replayedLsn ?? '0/0', left.replayedLsn ?? '0/0') ||
    getNode(configuration, right.node).priority - getNode(configuration, left.node).priority ||
    left.node - right.node
  );
}

function refuseEveryone(
  configuration: ClusterConfiguration,
  facts: Facts,
  request: CandidateRequest,
  {
    allowed,
    strays,
  }: { readonly allowed: readonly Positioned[]; readonly strays: readonly { readonly line: string }[] },
): CandidateChoice {
  const unfit = allowed.map((entry) => findInsufficientSettings(entry)).filter((line) => line !== null);
  if (unfit.length > 0) return { refusal: 'insufficient-settings', line: unfit.join('; ') };
  if (strays.length > 0) {
    const seen = strays.map(({ line }) => line).join('; ');
    return { refusal: 'diverged-branches', line: `${seen}: decide which branch is right and stop the other` };
  }
  const seen = facts.nodes.map((entry) => `node ${entry.node}: ${describeAbsence(configuration, entry, request)}`);
  return { refusal: 'no-candidate', line: `no standby can be promoted (${seen.join('; ')}): bring one back` };
}

function isAncestor(timeline: number, of: Positioned): boolean {
  return timeline === of.position.timeline || of.history.some((entry) => entry.timeline === timeline);
}

/**
 * The former primary's own identifier if its control file could be read, else the one of most standbys; null in a tie.
 */
function systemIdentifierOf(
  facts: Facts,
  formerPrimary: number | null,
  standbys: readonly Positioned[],
): string | null {
  const former = formerPrimary === null ? undefined : factsOf(facts, formerPrimary);
  const known = former?.host?.controlFile?.systemIdentifier ?? former?.systemIdentifier;
  if (known) return known;
  const counts = new Map<string, number>();
  for (const { systemIdentifier } of standbys) {
    if (systemIdentifier) counts.set(systemIdentifier, (counts.get(systemIdentifier) ?? 0) + 1);
  }
  const [most, next] = [...counts].sort((left, right) => right[1] - left[1]);
  return most && most[1] !== next?.[1] ? most[0] : null;
}

interface Lag {
  /** Bytes of known WAL that the candidate lacks; null while nothing is known of the primary's own WAL. */
  readonly bytes: number | null;
  /** The end of the primary's WAL is known: no primary was lost, or it was shut down cleanly. */
  readonly isEndKnown: boolean;
  /** The candidate has all that the watch saw; the primary may have written more after that look. */
  readonly isAtLastLook: boolean;
}

/**
 * Compares the candidate with other standbys' WAL, failed candidates' WAL, the stopped primary's control file and the
 * watch's last look at the primary.
 */
function measureLag(
  facts: Facts,
  { formerPrimary, walOfFailedCandidates }: CandidateRequest,
  standbys: readonly Positioned[],
  best: Positioned,
): Lag {
  const former = formerPrimary === null ? undefined : factsOf(facts, formerPrimary);
  const control = former?.host?.controlFile;
  const seen = control?.checkpoint ?? former?.position;
  // A last checkpoint on an older timeline than the primary's WAL says nothing about that WAL.
  const own = seen && seen.timeline === best.position.timeline ? seen : null;
  const sampled = sampledPosition(facts, formerPrimary);
  const known = [own, sampled].filter((position) => position !== null);
  const lags = [...standbys.map((entry) => entry.position), ...walOfFailedCandidates, ...known]
    .filter((position) => position.timeline === best.position.timeline)
    .map((position) => lagBytes(position.lsn, best.position.lsn) ?? 0);
  const most = Math.max(0, ...lags);
  // After a crash the primary wrote at least up to its checkpoint, so "nothing known to be missing" is not "nothing
  // missing".
  const isWholeKnown = own !== null && (!control || control.state === 'shut down');
  const isSampled = sampled?.timeline === best.position.timeline;
  return {
    bytes: most > 0 || isWholeKnown || isSampled ? most : null,
    isEndKnown: isWholeKnown || formerPrimary === null,
    isAtLastLook: most === 0 && !isWholeKnown && isSampled,
  };
}

function findMissingWal(
  { policy: { maximumLagBytes } }: ClusterConfiguration,
  hasAnyStreamed: boolean,
  best: Positioned,
  { bytes, isEndKnown }: Lag,
): CandidateChoice | null {
  if (bytes !== null && bytes > maximumLagBytes) {
    const line = `the best candidate, node ${best.node}, lacks ${bytes} bytes of WAL that another node holds or held, more than policy.maximumLagBytes (${maximumLagBytes})`;
    return { refusal: 'lag-exceeded', line };
  }
  // One standby that streamed is enough to show how far the primary came.
  if (isEndKnown || hasAnyStreamed) return null;
  const line = `node ${best.node} did not stream when the former primary was lost, or has received nothing since it was started, so it is unknown how much of the former primary's WAL it lacks: bring the former primary or another standby back`;
  return { refusal: 'lag-unknown', line };
}

/**
 * Uses the former primary's own set if it could be read; else the set that the watch last saw there; else the strictest
 * of the policy and the standbys' copies, which may be old.
 */
function findMissingCommit(
  configuration: ClusterConfiguration,
  facts: Facts,
  { formerPrimary, formerSynchronousStandbyNames }: CandidateRequest,
  standbys: readonly Positioned[],
  best: Positioned,
): string | null {
  const former = formerPrimary === null ? undefined : factsOf(facts, formerPrimary);
  const inForce =
    formerSynchronousStandbyNames ??
    former?.synchronousStandbyNames ??
    former?.host?.synchronousStandbyNames ??
    sampledSynchronousSet(facts, formerPrimary);
  const copies = standbys.flatMap(({ node, synchronousStandbyNames }) =>
    synchronousStandbyNames ? [{ node, names: synchronousStandbyNames }] : [],
  );
  // A commit confirmed only by a node ahead of the candidate would be lost.
  const reachable = standbys.filter((entry) => comparePosition(entry.position, best.position) <= 0);
  return hasLastCommit(withRealNames(configuration, facts.nodes), {
    inForce,
    copies,
    reachable: reachable.map(({ node }) => node),
    formerPrimary,
  });
}

/**
 * A timeline of a standby or of the former primary that is not in the candidate's history: the promotion would give its
 * new timeline the same number.
 */
function findBranchConflict(
  formerPrimary: number | null,
  standbys: readonly Positioned[],
  best: Positioned,
  current: number | null,
): string | null {
  const stranger = standbys.find((entry) => !isAncestor(entry.position.timeline, best));
  if (stranger) {
    return `node ${stranger.node} is on timeline ${stranger.position.timeline}, which is not in the history of node ${best.node}: decide which branch is right and stop the other`;
  }
  if (current === null || isAncestor(current, best)) return null;
  return `the former primary, node ${String(formerPrimary)}, was on timeline ${current}, which node ${best.node} has never seen: start it again, or bring a standby of that timeline back`;
}

function describeAbsence(configuration: ClusterConfiguration, entry: NodeFacts, request: CandidateRequest): string {
  if (entry.node === request.formerPrimary) return 'former primary';
  if (request.excluded.includes(entry.node)) return 'tried and failed';
  if (entry.sql !== 'answered') return entry.sqlSeen;
  if (getNode(configuration, entry.node).priority === 0) return 'priority 0';
  return entry.position ? 'another system identifier' : 'position unknown';
}
