// Which standby may become the primary: greatest (timeline, LSN), then priority, then lowest id; or why none may.

import { withRealNames } from './application-name';
import { type ClusterConfiguration, getNode } from './cluster';
import type { ReasonCode } from './outcome';
import { hasLastCommit } from './synchronous';
import { comparePosition, lagBytes, type WalPosition } from './wal';
import { answeringStandbys, factsOf, type Facts, type NodeFacts } from './witness';

export interface CandidateRequest {
  readonly formerPrimary: number | null;
  readonly excluded: readonly number[];
  readonly formerSynchronousStandbyNames: string | null;
  /** WAL that failed candidates held. */
  readonly known: readonly WalPosition[];
}

export type CandidateChoice =
  | { readonly candidate: number; readonly lagBytes: number | null; readonly line: string }
  | { readonly refusal: ReasonCode; readonly line: string };

type Positioned = NodeFacts & { readonly position: WalPosition };

/** Evidence rules of docs/failure-modes.md, in order; the first that forbids a promotion is the answer. */
export function chooseCandidate(
  configuration: ClusterConfiguration,
  facts: Facts,
  request: CandidateRequest,
): CandidateChoice {
  const standbys = answeringStandbys(facts).filter(
    (entry): entry is Positioned => entry.position !== null && entry.node !== request.formerPrimary,
  );
  const identifier = systemIdentifierOf(facts, request.formerPrimary, standbys);
  const sameSystem = standbys.filter((entry) => identifier !== null && entry.systemIdentifier === identifier);
  const eligible = sameSystem
    .filter((entry) => !request.excluded.includes(entry.node) && getNode(configuration, entry.node).priority > 0)
    .sort((left, right) => compareCandidates(configuration, left, right));
  const best = eligible[0];
  if (!best) {
    const seen = facts.nodes
      .map((entry) => `node ${String(entry.node)}: ${describeAbsence(configuration, entry, request)}`)
      .join('; ');
    return { refusal: 'no-candidate', line: `no standby can be promoted (${seen}): bring one back` };
  }
  const conflict = findBranchConflict(facts, request.formerPrimary, sameSystem, best);
  if (conflict !== null) return { refusal: 'diverged-branches', line: conflict };
  const lag = measureLag(facts, request, sameSystem, best);
  if (lag !== null && lag > configuration.policy.maximumLagBytes) {
    return {
      refusal: 'lag-exceeded',
      line: `the best candidate, node ${String(best.node)}, lacks ${String(lag)} bytes of WAL that another node holds, more than policy.maximumLagBytes (${String(configuration.policy.maximumLagBytes)})`,
    };
  }
  const missing = hasLastCommit(
    withRealNames(configuration, facts.nodes),
    request.formerSynchronousStandbyNames,
    // A commit that only a node ahead of the candidate confirmed would be lost.
    sameSystem.filter((entry) => comparePosition(entry.position, best.position) <= 0).map((entry) => entry.node),
    request.formerPrimary,
  );
  if (missing !== null) return { refusal: 'synchronous-set-unreachable', line: missing };
  const { position } = best;
  return {
    candidate: best.node,
    lagBytes: lag,
    line: `node ${String(best.node)} has the greatest (timeline, LSN): (${String(position.timeline)}, ${position.lsn}); lag ${lag === null ? 'unknown' : `${String(lag)} bytes`}`,
  };
}

/** Negative when `left` is the better candidate. */
export function compareCandidates(configuration: ClusterConfiguration, left: Positioned, right: Positioned): number {
  return (
    comparePosition(right.position, left.position) ||
    getNode(configuration, right.node).priority - getNode(configuration, left.node).priority ||
    left.node - right.node
  );
}

function isAncestor(timeline: number, of: Positioned): boolean {
  return timeline === of.position.timeline || of.history.some((entry) => entry.timeline === timeline);
}

/** The former primary's own identifier if its control file could be read, else the one that most standbys share; null in a tie. */
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

/**
 * Bytes that the candidate lacks of what is known to exist: other standbys' WAL and the stopped primary's control file.
 * Null (unknown) while nothing at all is known of the primary's own WAL: nobody can say what died with it.
 */
function measureLag(
  facts: Facts,
  { formerPrimary, known }: CandidateRequest,
  standbys: readonly Positioned[],
  best: Positioned,
): number | null {
  const former = formerPrimary === null ? undefined : factsOf(facts, formerPrimary);
  const control = former?.host?.controlFile;
  const seen = control?.checkpoint ?? former?.position;
  // Its last checkpoint may be on an older timeline than its WAL: that says nothing.
  const own = seen && seen.timeline === best.position.timeline ? seen : null;
  const lags = [...standbys.map((entry) => entry.position), ...known, ...(own ? [own] : [])]
    .filter((position) => position.timeline === best.position.timeline)
    .map((position) => lagBytes(position.lsn, best.position.lsn) ?? 0);
  const most = Math.max(0, ...lags);
  // After a crash the checkpoint is only the least that it wrote: "nothing known to be missing" is not "nothing missing".
  const isWholeKnown = own !== null && (!control || control.state.startsWith('shut down'));
  return most > 0 || isWholeKnown ? most : null;
}

/** A timeline outside the candidate's history, of a standby or of the former primary: both branches would number the next one alike. */
function findBranchConflict(
  facts: Facts,
  formerPrimary: number | null,
  standbys: readonly Positioned[],
  best: Positioned,
): string | null {
  const stranger = standbys.find((entry) => !isAncestor(entry.position.timeline, best));
  if (stranger) {
    return `node ${String(stranger.node)} is on timeline ${String(stranger.position.timeline)}, which is not in the history of node ${String(best.node)}: decide which branch is right and stop the other`;
  }
  const former = formerPrimary === null ? undefined : factsOf(facts, formerPrimary)?.host?.controlFile;
  if (!former || isAncestor(former.checkpoint.timeline, best)) return null;
  return `the former primary, node ${String(formerPrimary)}, was on timeline ${String(former.checkpoint.timeline)}, which node ${String(best.node)} has never seen: start it again, or bring a standby of that timeline back`;
}

function describeAbsence(configuration: ClusterConfiguration, entry: NodeFacts, request: CandidateRequest): string {
  if (entry.node === request.formerPrimary) return 'former primary';
  if (request.excluded.includes(entry.node)) return 'tried and failed';
  if (entry.sql !== 'answered') return entry.sqlSeen;
  if (getNode(configuration, entry.node).priority === 0) return 'priority 0';
  return entry.position ? 'another system identifier' : 'position unknown';
}
