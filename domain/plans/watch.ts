// The watch's memory from look to look: what stands and since when, what has lasted and is new, and when what was told may be told again.

import type { ClusterConfiguration } from '../facts/cluster';
import type { ClusterEvent } from '../facts/event';
import { inForce } from '../facts/maintenance';
import type { ClusterRecord, Recorded } from '../facts/record';
import type { Difference, Look, NodeSample, Standing, Told, WatchSamples, WatchState } from '../facts/watch';
import { type Condition, findConditions } from './differences';

const minuteMs = 60_000;
const longestPauseMs = 15 * minuteMs;
/** One miss may be a busy moment. */
const silentMisses = 2;

/** What an open incident must hear at once; the rest it mends by its own looks, as a rule. */
const urgent: readonly Difference['kind'][] = ['second-writable', 'answers', 'lost'];
/** An incident may stay open for days, with a pgpool that is dead: what stands for so long it does not mend, or does not know. */
const unmendedMs = 90_000;

/** What nobody is told of a node that a person has in hand. */
const leftAlone: readonly Difference['kind'][] = ['answers', 'lost', 'not-streaming', 'detached'];

export interface Observed {
  readonly state: WatchState;
  /** What has lasted and is new: `tellDue` decides, once it is known whether an incident is open. */
  readonly due: readonly Difference[];
  /** Something that people and decisions should see soon; LSNs alone are no change. */
  readonly isChange: boolean;
}

/** What one more look means, beside the looks before it. */
export function observeSample(
  before: WatchState | null,
  look: Look,
  { record, maintenance }: Recorded,
  configuration: ClusterConfiguration,
): Observed {
  const samples = takeSamples(before?.samples ?? null, look, record, configuration);
  const inHand = inForce(maintenance, look.at).map(({ node }) => node);
  const conditions = findConditions(configuration, samples, record).filter(
    ({ kind, node }) => node === null || !inHand.includes(node) || !leftAlone.includes(kind),
  );
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
  const state = { samples, standing, told };
  return { state, due, isChange: before === null || signOf(before) !== signOf(state) };
}

/** Chooses what is told of what is due, and notes it as told. */
export function tellDue(
  state: WatchState,
  due: readonly Difference[],
  isIncidentOpen: boolean,
): { readonly state: WatchState; readonly told: readonly Difference[] } {
  const chosen = due.filter(({ kind, key, since }) => {
    if (!isIncidentOpen) return kind !== 'lost';
    if (!urgent.includes(kind)) return millisecondsBetween(since, state.samples.takenAt) >= unmendedMs;
    // The incident knows it already, and looks again by itself.
    return !state.told.some((entry) => entry.key === key && entry.since === since);
  });
  const { takenAt } = state.samples;
  const told = chosen.reduce((list, difference) => noteTold(list, difference, takenAt), state.told);
  const isAnswered = ({ node }: NodeSample): boolean =>
    chosen.some((difference) => difference.kind === 'answers' && difference.node === node);
  const nodes = state.samples.nodes.map((entry) => (isAnswered(entry) ? { ...entry, isNews: false } : entry));
  // That a node accepts writes says more than that it answers.
  const isSaid = ({ kind, node }: Difference): boolean =>
    kind === 'answers' && chosen.some((other) => other.kind === 'second-writable' && other.node === node);
  return {
    state: { ...state, told, samples: { ...state.samples, nodes } },
    told: chosen.filter((difference) => !isSaid(difference)),
  };
}

/** What the incident is told; null = a warning, or nothing that it must decide about. */
export function eventOf({ kind, node, eventId, line }: Difference, at: string): ClusterEvent | null {
  const event = { eventId, node, mainNode: null, oldPrimary: null, at, seen: line };
  switch (kind) {
    case 'given-up':
      return { ...event, kind: 'failover', oldPrimary: node };
    case 'detached':
      // Attached also where a person brings nodes back: this one has never been away.
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
      return null;
  }
}

function takeSamples(
  before: WatchSamples | null,
  { at, nodes, pgpools }: Look,
  record: ClusterRecord | null,
  configuration: ClusterConfiguration,
): WatchSamples {
  const samples = configuration.nodes.map(({ id: node }): NodeSample => {
    const earlier = before?.nodes.find((entry) => entry.node === node);
    const { said, seen } = nodes.find((entry) => entry.node === node) ?? { said: null, seen: 'not asked' };
    const wasSilent = earlier ? earlier.misses >= silentMisses : (record?.away.includes(node) ?? false);
    if (said) {
      const streamedAt = said.receiver ? at : (earlier?.streamedAt ?? null);
      return {
        node,
        misses: 0,
        seen,
        answeredAt: at,
        said,
        streamedAt,
        isNews: wasSilent || (earlier?.isNews ?? false),
      };
    }
    const { answeredAt, said: last, streamedAt } = earlier ?? { answeredAt: null, said: null, streamedAt: null };
    const misses = (earlier?.misses ?? 0) + 1;
    const isNews = misses < silentMisses && (earlier?.isNews ?? false);
    return { node, misses, seen, answeredAt, said: last, streamedAt, isNews };
  });
  return { takenAt: at, nodes: samples, pgpools };
}

function differenceOf({ kind, node, key, line }: Condition, since: string, told: readonly Told[]): Difference {
  const earlier = told.find((entry) => entry.key === key && entry.since === since)?.times ?? 0;
  // Told again it is another event, which an open incident does not take for the first.
  const again = earlier === 0 ? '' : `-${earlier}`;
  // An event's id holds nothing but these characters.
  const eventId = `watch-${key}-${Date.parse(since)}${again}`.replaceAll(/[^A-Za-z0-9._-]/g, '-').slice(-128);
  return { kind, node, key, since, eventId, line };
}

/** After 1, 2, 4 … 15 minutes while it stands; a minute after it was told, where it was gone meanwhile. */
function mayTell(told: readonly Told[], { key, isOnce }: Condition, since: string, now: string): boolean {
  const entry = told.find((one) => one.key === key);
  if (!entry) return true;
  if (isOnce && entry.since === since) return false;
  return millisecondsBetween(entry.at, now) >= Math.min(longestPauseMs, minuteMs * 2 ** (entry.times - 1));
}

/** What is gone is kept for a minute, so that what comes and goes is told once in it. */
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

/** All but what grows with every look. */
function signOf({ samples, standing, told }: WatchState): string {
  const nodes = samples.nodes.map(({ node, misses, said, isNews }) => {
    const { isInRecovery, position, receiver, synchronousStandbyNames, followers } = said ?? {};
    const roles = [isInRecovery, position?.timeline, receiver, synchronousStandbyNames, followers];
    return [node, Math.min(misses, silentMisses), isNews, ...roles];
  });
  const pgpools = samples.pgpools.map(({ pgpool, isReached, nodes: shown }) => [pgpool, isReached, shown]);
  return JSON.stringify([nodes, pgpools, standing.map(({ key }) => key), told]);
}
