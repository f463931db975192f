// The watch's samples of a lost primary: the end of its WAL, its synchronous set, the standbys that streamed from it,
// and its last answer.

import { answeringStandbys, type Facts, isOnlySilent, isShownAsPrimary, type NodeFacts } from '../facts/facts';
import type { WalPosition } from '../facts/wal';
import type { NodeSample } from '../facts/watch';

/** Time within which two samples count as one: the watch looks at all nodes together, and may miss a look. */
const togetherMs = 5000;

/** pgpool is asked about a silent node after ten seconds. */
const momentMs = 60_000;
/** A node that was promoted by mistake and was not heard for longer is gone. */
const recentMs = 600_000;

/** After a longer time without a watch its samples say nothing about now; clocks of workers may differ by seconds. */
const oldMs = 120_000;

function sampleOf({ watch, takenAt }: Facts, node: number | null): NodeSample | undefined {
  const isOld = watch !== null && Date.parse(takenAt) - Date.parse(watch.takenAt) > oldMs;
  return isOld ? undefined : watch?.nodes.find((entry) => entry.node === node);
}

/** The sample of a node that accepted writes when it last answered; null = the watch has no such sample. */
function primarySample(facts: Facts, node: number | null) {
  const sample = sampleOf(facts, node);
  return sample?.said?.isInRecovery === false && sample.answeredAt !== null
    ? { said: sample.said, answeredAt: sample.answeredAt }
    : null;
}

/** The position that the primary had at least reached. */
export function sampledPosition(facts: Facts, primary: number | null): WalPosition | null {
  return primarySample(facts, primary)?.said.position ?? null;
}

/** The primary's system, by its own last word. */
export function sampledSystem(facts: Facts, primary: number | null): string | null {
  return primarySample(facts, primary)?.said.systemIdentifier ?? null;
}

/** synchronous_standby_names in force at the primary's last answer; null = unknown. */
export function sampledSynchronousSet(facts: Facts, primary: number | null): string | null {
  return primarySample(facts, primary)?.said.synchronousStandbyNames ?? null;
}

/** Another node than the lost primary, silent now, that accepted writes when the watch last heard it, and that a pgpool served then. */
export function findServedRival(facts: Facts, lost: number): number | null {
  const { nodes = [], pgpools = [] } = facts.watch ?? {};
  const newest = newestTimeline(facts);
  // A node that is silent since a moment is not asked about: then a pgpool that shows no other primary may serve it.
  const isServed = (node: number): boolean =>
    pgpools.some((pgpool) => {
      const [own, primary] = [pgpool.nodes.find((entry) => entry.node === node), pgpool.nodes.find(isShownAsPrimary)];
      return own ? own === primary : pgpool.nodes.length > 0 && !primary && isHeardWithin(facts, node, momentMs);
    });
  // A former primary is on an older timeline.
  const rival = nodes.find(
    ({ node, said }) =>
      node !== lost &&
      said?.isInRecovery === false &&
      (said.position?.timeline ?? newest) >= newest &&
      isOnlySilent(facts, node) &&
      isServed(node),
  );
  return rival?.node ?? null;
}

/**
 * Beside a node that accepts writes: another one, silent now, that accepted writes on no older timeline and was served by a pgpool when the watch last
 * heard it. A former primary is on an older one.
 */
export function findNewerRival(facts: Facts, { node, position }: NodeFacts): { node: number; timeline: number } | null {
  const rival = findServedRival(facts, node);
  const timeline = primarySample(facts, rival)?.said.position?.timeline ?? 0;
  return rival === null || timeline < (position?.timeline ?? Infinity) ? null : { node: rival, timeline };
}

/**
 * Another node than the lost primary, silent for some minutes at most, that accepted writes on a newer timeline than any standby that answers, and of
 * which no pgpool says anything now: a pgpool may use it.
 */
export function findNewestRival(facts: Facts, lost: number): number | null {
  const newest = newestTimeline(facts);
  const systems = answeringStandbys(facts).map(({ systemIdentifier }) => systemIdentifier);
  const rival = facts.nodes.find(({ node }) => {
    const said = primarySample(facts, node)?.said;
    const isNewer = said !== undefined && (said.position?.timeline ?? 0) > newest;
    const isShown = facts.pgpools.some(({ nodes }) => nodes.some((entry) => entry.node === node));
    const isNear = isHeardWithin(facts, node, recentMs) && !isShown;
    return node !== lost && isNewer && systems.includes(said.systemIdentifier) && isNear && isOnlySilent(facts, node);
  });
  return rival?.node ?? null;
}

/** Of the standbys that answer. */
export function newestTimeline(facts: Facts): number {
  return Math.max(0, ...answeringStandbys(facts).map(({ position }) => position?.timeline ?? 0));
}

function isHeardWithin(facts: Facts, node: number, ms: number): boolean {
  return (lastAnswerAgeMs(facts, node) ?? Infinity) <= ms;
}

/** Did this standby stream when the primary last answered? Null = the watch had not heard both of them. */
export function wasStreaming(facts: Facts, standby: number, primary: number | null): boolean | null {
  const lost = primarySample(facts, primary);
  const sample = sampleOf(facts, standby);
  if (!lost || !sample?.answeredAt) return null;
  const isLater = (at: string): boolean => Date.parse(at) >= Date.parse(lost.answeredAt) - togetherMs;
  // A standby that answered only before that may have begun to stream since.
  if (!isLater(sample.answeredAt)) return null;
  // A receiver that still waits for a dead host, or streams from a stray, has another timeline than the lost primary's.
  const timeline = lost.said.position?.timeline;
  const isOnBranch = !timeline || (sample.said?.receiver?.timeline ?? timeline) === timeline;
  return isOnBranch && sample.streamedAt !== null && isLater(sample.streamedAt);
}

/** Milliseconds from the node's last answer to these facts; null = none, or the watch's clock is ahead. */
export function lastAnswerAgeMs(facts: Facts, node: number): number | null {
  const answeredAt = sampleOf(facts, node)?.answeredAt;
  const ageMs = answeredAt ? Date.parse(facts.takenAt) - Date.parse(answeredAt) : -1;
  return ageMs < 0 ? null : ageMs;
}
