// One turn of an incident: the value while a message changes it, and the small steps that the page and the ledgers
// share. No step waits or acts.

import type { FollowReport, Verdict } from '../facts/outcome';
import type { IncidentState, IncidentTiming, Move, NodeState, ReceivedEvent, Told, Until } from './incident-state';

export interface Turn {
  state: IncidentState;
  readonly now: number;
  readonly timing: IncidentTiming;
  readonly moves: Move[];
  readonly told: Told[];
}

export function change(turn: Turn, changed: Partial<IncidentState>): void {
  turn.state = { ...turn.state, ...changed };
}

/** The number of the next move that reports its end. */
export function nextNumber(turn: Turn): number {
  const counter = turn.state.counter + 1;
  change(turn, { counter });
  return counter;
}

/** A node that nothing is known of yet. */
export function newNode(id: number): NodeState {
  return {
    ...{ id, is: 'unseen', until: null, follow: 'none', number: 0, mayStart: false, isPatient: false, wants: false },
    ...{ isDoubted: false, report: null },
  };
}

export function findNodeState(state: IncidentState, id: number): NodeState {
  return state.nodes.find((node) => node.id === id) ?? newNode(id);
}

/** Changes a node; a new node is added. */
export function changeNode(turn: Turn, id: number, changed: Partial<NodeState>): void {
  const before = findNodeState(turn.state, id);
  const others = turn.state.nodes.filter((node) => node.id !== id);
  const nodes = [...others, { ...before, ...changed }].sort((left, right) => left.id - right.id);
  change(turn, { nodes });
}

/** Work in the background begins; its end is a message with this number. */
export function openWork(turn: Turn, what: string): number {
  const id = nextNumber(turn);
  change(turn, { open: [...turn.state.open, { id, what }] });
  return id;
}

const mostVerdicts = 1000;

/** Answers these events. The hook prints only the line; the two words in front of it lead to docs/failure-modes.md. */
export function answer(turn: Turn, events: readonly ReceivedEvent[], verdict: Verdict): void {
  const refused = { ...verdict, line: `refused (${verdict.reason}): ${verdict.line}` };
  const answers = events.map(({ eventId, kind }): [string, Verdict] => [
    eventId,
    verdict.outcome === 'refused' && kind !== 'rejoin' ? refused : verdict,
  ]);
  const all = [
    ...Object.entries(turn.state.verdicts).filter(([id]) => answers.every(([other]) => other !== id)),
    ...answers,
  ];
  change(turn, { verdicts: Object.fromEntries(all.slice(-mostVerdicts)) });
}

/** Answers the people who asked for this node. */
export function answerAsked(turn: Turn, node: number, { outcome, reason, line }: Verdict): void {
  const answered = turn.state.asked.filter((event) => event.node === node);
  if (answered.length === 0) return;
  change(turn, { asked: turn.state.asked.filter((event) => event.node !== node) });
  answer(turn, answered, { outcome, reason, line });
}

/** The node is silent, so nothing can be done for it. */
export function isSilent({ is, until }: NodeState): boolean {
  return is === 'away' && until === 'answers';
}

/**
 * Starts a follow. A node has one at a time: a running one makes another look at its end, a closing one is waited for.
 */
export function follow(turn: Turn, node: NodeState, mayStart: boolean, isPatient = false): Partial<NodeState> {
  // The cancelled follow may have stopped the node.
  if (node.follow === 'closing') return { wants: true };
  if (node.follow === 'running') {
    // A person's follow must not wait for the pause of a patient one.
    if (mayStart && node.isPatient) return { ...cancelFollow(turn, node), wants: true };
    // A detached standby that somebody wants so is the watch's to tell of, after policy.reattachMs.
    return { isDoubted: !isPatient, wants: node.wants || (mayStart && !node.mayStart) };
  }
  const { served, attachNotBefore } = turn.state;
  const number = nextNumber(turn);
  const move = { node: node.id, number, primary: served!, isStartAllowed: mayStart, attachNotBefore };
  turn.moves.push({ do: 'follow', ...move, isDetached: isPatient });
  return { follow: 'running', number, mayStart, isPatient, wants: false };
}

export function cancelFollow(turn: Turn, { id, number, follow: state }: NodeState): Partial<NodeState> {
  if (state !== 'running') return {};
  turn.moves.push({ do: 'cancel-follow', node: id, number });
  return { follow: 'closing', isDoubted: false };
}

/** The node's state while it is away: the watch tells when `until` is true. */
export function away(until: Until): Partial<NodeState> {
  return { is: 'away', until };
}

/** The earlier report if the later follow found nothing to do. */
export function reportOf(node: NodeState, report: FollowReport): FollowReport {
  const isNews = report.reason !== 'already-following' || node.report?.outcome !== 'completed';
  return isNews ? report : node.report;
}

/** Events that the watch repeats for the same node are no reason to look more often. */
export function isSameNews(known: ReceivedEvent, event: ReceivedEvent): boolean {
  const isTold = known.seen !== undefined && event.seen !== undefined;
  return known.eventId === event.eventId || (isTold && known.kind === event.kind && known.node === event.node);
}

const firstLookMs = 1000;
const longestLookMs = 300_000;

/** Soon at first, while pgpool still searches for a primary, then every 10 s, then every 1 to 5 minutes for as long as it takes; null = not again. */
export function nextLookMs({ state: { looksLeft }, timing }: Turn): number | null {
  if (looksLeft > 0) return Math.min(timing.lookAgainMs, firstLookMs * 2 ** (timing.looks - looksLeft));
  return timing.slowLookMs === null ? null : Math.min(timing.slowLookMs * 2 ** -looksLeft, longestLookMs);
}
