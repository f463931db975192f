// The watch's memory from look to look: which differences stand and since when, which have lasted and are new, and when
// one may be told again.

import type { ClusterConfiguration } from '../facts/cluster';
import type { ClusterEvent } from '../facts/event';
import { inForce } from '../facts/maintenance';
import type { ClusterRecord, Recorded } from '../facts/record';
import {
  type Difference,
  type Look,
  type NodeSample,
  type NodeWords,
  type PgpoolSample,
  silentMisses,
  type Standing,
  type Told,
  type WatchSamples,
  type WatchState,
} from '../facts/watch';
import type { Condition } from './condition';
import { findConditions, findWell } from './differences';

const minuteMs = 60_000;
const longestPauseMs = 15 * minuteMs;

/** Differences that an open incident must hear at once; its own looks find the rest, as a rule. */
const urgent: readonly Difference['kind'][] = ['second-writable', 'answers', 'lost'];
/** An incident may stay open for days, with a pgpool that is dead: what stands for so long it does not mend, or does not know. */
const unmendedMs = 90_000;

/** Differences that are not told for a node in maintenance. */
const leftAlone: readonly Difference['kind'][] = ['answers', 'lost', 'not-streaming', 'detached', 'taken-up'];

/** Differences that are not told for a node that a person has let go: the person knows them. */
const letGo: readonly Difference['kind'][] = ['not-streaming', 'detached'];

export interface Observed {
  readonly state: WatchState;
  /** Differences that have lasted and are new: `tellDue` decides, once it is known whether an incident is open. */
  readonly due: readonly Difference[];
  /** A change that people and decisions should see soon; LSNs alone are no change. */
  readonly isChange: boolean;
}

/** Adds one look to the watch's memory. */
export function observeSample(
  before: WatchState | null,
  look: Look,
  { record, maintenance, left }: Recorded,
  configuration: ClusterConfiguration,
): Observed {
  const samples = takeSamples(before, look, record, configuration);
  const inHand = inForce(maintenance, look.at).map(({ node }) => node);
  const conditions = findConditions(configuration, samples, { record, left }).flatMap((condition) => {
    const { kind, node } = condition;
    const isHeld = node !== null && inHand.includes(node);
    // Said once: the end of the pause, or of the primary's maintenance, decides.
    if (kind === 'given-up' && (isHeld || inHand.includes(null))) return [{ ...condition, isOnce: true }];
    const isLeft = node !== null && left.includes(node);
    return (isHeld && leftAlone.includes(kind)) || (isLeft && letGo.includes(kind)) ? [] : [condition];
  });
  const standing = conditions.map(({ key, seenAt }) => ({
    key,
    since: before?.standing.find((entry) => entry.key === key)?.since ?? seenAt,
  }));
  const told = forgetOld(before?.told ?? [], standing, look.at);
  const due = conditions.flatMap((condition, index) => {
    const { since } = standing[index]!;
    const hasLasted = millisecondsBetween(since, condition.seenAt) >= condition.lastingMs;
    return hasLasted && mayTell(told, condition, since, look.at) ? [differenceOf(condition, since, told)] : [];
  });
  const seen = forgetNews(samples, due, () => findWell(configuration, samples, record));
  const state = { samples: seen, standing, told };
  return { state, due, isChange: before === null || signOf(before) !== signOf(state) };
}

/** Chooses the due differences to tell, and notes them as told. */
export function tellDue(
  state: WatchState,
  due: readonly Difference[],
  isIncidentOpen: boolean,
): { readonly state: WatchState; readonly told: readonly Difference[] } {
  const chosen = due.filter(({ kind, key, since }) => {
    if (!isIncidentOpen) return kind !== 'lost';
    if (millisecondsBetween(since, state.samples.takenAt) >= unmendedMs) return true;
    // The open incident already knows this difference, and looks again itself.
    const isKnown = state.told.some((entry) => entry.key === key && entry.since === since);
    return urgent.includes(kind) && !isKnown;
  });
  const { takenAt } = state.samples;
  const told = chosen.reduce((list, difference) => noteTold(list, difference, takenAt), state.told);
  const isAnswered = ({ node }: NodeSample): boolean =>
    chosen.some((difference) => difference.kind === 'answers' && difference.node === node);
  const nodes = state.samples.nodes.map((entry) => (isAnswered(entry) ? { ...entry, isNews: false } : entry));
  // "Accepts writes" includes "answers", so only the former is told.
  const isSaid = ({ kind, node }: Difference): boolean =>
    kind === 'answers' && chosen.some((other) => other.kind === 'second-writable' && other.node === node);
  return {
    state: { ...state, told, samples: { ...state.samples, nodes } },
    told: chosen.filter((difference) => !isSaid(difference)),
  };
}

/** The event for the incident; null = a warning, or nothing that an incident decides. */
export function eventOf({ kind, node, eventId, line, since: at }: Difference): ClusterEvent | null {
  const event = { eventId, node, mainNode: null, oldPrimary: null, at, seen: line };
  switch (kind) {
    case 'given-up':
      return { ...event, kind: 'failover', oldPrimary: node };
    case 'detached':
      // The node was never away: pgpool alone does not use it.
      return { ...event, kind: 'follow' };
    case 'second-writable':
    case 'other-primary':
    case 'not-shown':
    case 'answers':
    case 'not-streaming':
    case 'synchronous':
      return { ...event, kind: 'returned' };
    case 'lost':
    case 'primary-silent':
    case 'no-record':
    case 'taken-up':
      return null;
  }
}

/** Drops the news of a node that is well by the time when it could be told. */
function forgetNews(samples: WatchSamples, due: readonly Difference[], well: () => readonly number[]): WatchSamples {
  const isLate = ({ node, misses, isNews }: NodeSample): boolean =>
    isNews && misses === 0 && !due.some((difference) => difference.kind === 'answers' && difference.node === node);
  const late = samples.nodes.filter(isLate).map(({ node }) => node);
  const over = late.length > 0 ? well().filter((node) => late.includes(node)) : [];
  const nodes = samples.nodes.map((entry) => (over.includes(entry.node) ? { ...entry, isNews: false } : entry));
  return { ...samples, nodes };
}

function takeSamples(
  before: WatchState | null,
  { at, nodes, pgpools }: Look,
  record: ClusterRecord | null,
  configuration: ClusterConfiguration,
): WatchSamples {
  const samples = configuration.nodes.map(({ id: node }): NodeSample => {
    const earlier = before?.samples.nodes.find((entry) => entry.node === node);
    const { said, seen } = nodes.find((entry) => entry.node === node) ?? { said: null, seen: 'not asked' };
    if (said) {
      const streamedAt = isFed(said, nodes) ? at : (earlier?.streamedAt ?? null);
      const isNews = isBack(before, { node, earlier, said }, record);
      return { node, misses: 0, seen, answeredAt: at, said, streamedAt, isNews };
    }
    const { answeredAt, said: last, streamedAt } = earlier ?? { answeredAt: null, said: null, streamedAt: null };
    const misses = (earlier?.misses ?? 0) + 1;
    const isNews = misses < silentMisses && (earlier?.isNews ?? false);
    return { node, misses, seen, answeredAt, said: last, streamedAt, isNews };
  });
  return { takenAt: at, nodes: samples, pgpools: [...pgpools, ...findNotYetSeen(before, at, pgpools, configuration)] };
}

/** A watch that has just begun goes on with what the one before it saw of a pgpool, until it has looked itself. */
function findNotYetSeen(
  before: WatchState | null,
  now: string,
  seen: readonly PgpoolSample[],
  configuration: ClusterConfiguration,
): PgpoolSample[] {
  return (before?.samples.pgpools ?? []).filter(
    ({ pgpool, at }) =>
      !seen.some((sample) => sample.pgpool === pgpool) &&
      configuration.pgpool.some(({ name }) => name === pgpool) &&
      millisecondsBetween(at, now) < minuteMs,
  );
}

/** A node of this look accepts writes on the timeline that this one receives. A receiver outlives its sender by wal_receiver_timeout. */
function isFed({ receiver }: NodeWords, nodes: Look['nodes']): boolean {
  return nodes.some(
    ({ said }) =>
      said?.isInRecovery === false && said.position !== null && said.position.timeline === receiver?.timeline,
  );
}

interface Heard {
  readonly node: number;
  readonly earlier: NodeSample | undefined;
  readonly said: NodeWords;
}

/** The node answers or streams again, and that is news. */
function isBack(before: WatchState | null, { node, earlier, said }: Heard, record: ClusterRecord | null): boolean {
  if (!earlier) return record?.away.includes(node) ?? false;
  const wasSilent = earlier.misses >= silentMisses;
  const key = `not-streaming.${node}`;
  const wasTold =
    before!.standing.some((entry) => entry.key === key) && before!.told.some((entry) => entry.key === key);
  // A former primary that restarts at once was silent for too short a time.
  const isFormer =
    record?.former?.node === node && said.receiver === null && isBefore(earlier.answeredAt, record.since);
  return (
    wasSilent || earlier.isNews || (wasTold && said.receiver !== null && earlier.said?.receiver === null) || isFormer
  );
}

function isBefore(at: string | null, other: string): boolean {
  return at === null || Date.parse(at) < Date.parse(other);
}

function differenceOf({ kind, node, key, line }: Condition, since: string, told: readonly Told[]): Difference {
  const earlier = told.find((entry) => entry.key === key && entry.since === since)?.times ?? 0;
  // Told again it is another event, which an open incident does not take for the first.
  const again = earlier === 0 ? '' : `-${earlier}`;
  // Event ids hold only these characters.
  const eventId = `watch-${key}-${Date.parse(since)}${again}`.replaceAll(/[^A-Za-z0-9._-]/g, '-').slice(-128);
  return { kind, node, key, since, eventId, line };
}

/**
 * While a difference stands, it is told again after 1, 2, 4 … 15 minutes; if it was gone in between, a minute after it
 * was told.
 */
function mayTell(told: readonly Told[], { key, isOnce }: Condition, since: string, now: string): boolean {
  const entry = told.find((one) => one.key === key);
  if (!entry) return true;
  if (isOnce && entry.since === since) return false;
  return millisecondsBetween(entry.at, now) >= Math.min(longestPauseMs, minuteMs * 2 ** (entry.times - 1));
}

/** Keeps a difference that is gone for a minute, so that one that comes and goes is told once a minute. */
function forgetOld(told: readonly Told[], standing: readonly Standing[], now: string): Told[] {
  return told.flatMap((entry) => {
    if (standing.some(({ key }) => key === entry.key)) return [entry];
    return millisecondsBetween(entry.at, now) < minuteMs ? [{ ...entry, times: 1 }] : [];
  });
}

function noteTold(told: readonly Told[], { key, since }: Difference, at: string): Told[] {
  const earlier = told.find((entry) => entry.key === key);
  const others = told.filter((entry) => entry.key !== key);
  return [...others, { key, since, at, times: (earlier?.times ?? 0) + 1 }];
}

function millisecondsBetween(from: string, to: string): number {
  return Date.parse(to) - Date.parse(from);
}

/** The part of a state that does not change with every look. */
function signOf({ samples, standing, told }: WatchState): string {
  const nodes = samples.nodes.map(({ node, misses, said, isNews }) => {
    const { isInRecovery, position, receiver, synchronousStandbyNames, followers } = said ?? {};
    const roles = [isInRecovery, position?.timeline, receiver, synchronousStandbyNames, followers];
    return [node, Math.min(misses, silentMisses), isNews, ...roles];
  });
  const pgpools = samples.pgpools.map(({ pgpool, isReached, nodes: shown }) => [pgpool, isReached, shown]);
  return JSON.stringify([nodes, pgpools, standing.map(({ key }) => key), told]);
}
