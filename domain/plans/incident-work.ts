// The smaller ledgers of an incident: refused events, pgpools that are being told of the primary, the synchronous set,
// and other work in the background.

import { findNode } from '../facts/cluster';
import type { ReasonCode } from '../facts/reasons';
import type { Verdict } from '../facts/outcome';
import type { IncidentState, ReceivedEvent, Settlement } from './incident-state';
import {
  answer,
  cancelFollow,
  change,
  changeNode,
  isSameNews,
  nextLookMs,
  nextNumber,
  openWork,
  type Turn,
} from './incident-turn';
import { weightier } from './verdict';

/**
 * Forgets the follows and confirmations for the last primary; a node that could not follow that one may be able to
 * follow the next.
 */
export function forgetServed(turn: Turn): void {
  const given = turn.state.open.filter(({ what }) => what !== 'record');
  const record = turn.state.open.filter(({ what }) => what === 'record');
  if (given.length > 0) turn.moves.push({ do: 'cancel-work', ids: given.map(({ id }) => id) });
  change(turn, { open: record, problems: {}, confirming: [], synchronous: 'idle' });
  for (const node of turn.state.nodes) {
    const isFree = node.until !== 'answers' || node.is === 'primary';
    const forgotten = { report: null, isDoubted: false, ...(isFree && { is: 'unseen' as const, until: null }) };
    changeNode(turn, node.id, { ...forgotten, ...cancelFollow(turn, node) });
  }
}

/** Makes every pgpool use the primary, after any event: a pgpool may have given the primary up. */
export function confirmPgpools(turn: Turn): void {
  const { configuration, served } = turn.state;
  for (const { name: pgpool } of configuration!.pgpool) {
    if (turn.state.confirming.includes(pgpool)) continue;
    change(turn, { confirming: [...turn.state.confirming, pgpool] });
    turn.moves.push({ do: 'confirm', id: openWork(turn, `pgpool ${pgpool}`), pgpool, primary: served! });
  }
}

/** Makes commits wait for the standbys that stream, by policy; a failed one must not be waited for. */
export function setSynchronous(turn: Turn): void {
  const { configuration, served, primary, synchronous } = turn.state;
  if (primary === null || served === null || (configuration?.policy.synchronous.standbys ?? 0) === 0) return;
  if (synchronous !== 'idle') {
    change(turn, { synchronous: 'again' });
    return;
  }
  change(turn, { synchronous: 'writing' });
  turn.moves.push({ do: 'set-synchronous', id: openWork(turn, 'synchronous'), primary: served });
}

/** @param isDone false = a person let it go; null = it was cancelled */
export function done(turn: Turn, id: number, isDone: boolean | null): void {
  const work = turn.state.open.find((entry) => entry.id === id);
  // The work was for a primary that is gone.
  if (!work) return;
  change(turn, { open: turn.state.open.filter((entry) => entry.id !== id) });
  const { what } = work;
  if (what.startsWith('pgpool ')) {
    change(turn, { confirming: turn.state.confirming.filter((pgpool) => what !== `pgpool ${pgpool}`) });
    judgeWork(turn, what, isDone, 'pgpool-unconfirmed');
  } else if (what === 'synchronous') {
    const isAgain = turn.state.synchronous === 'again';
    change(turn, { synchronous: 'idle' });
    judgeWork(turn, what, isDone, 'step-failed');
    // After a person gave the write up, only a later change is a reason to try again.
    if (isAgain && isDone !== false) setSynchronous(turn);
  } else if (what.includes('.confirm.')) judgeWork(turn, what, isDone, 'pgpool-unconfirmed');
}

function judgeWork(turn: Turn, what: string, isDone: boolean | null, reason: ReasonCode): void {
  if (isDone === null) return;
  const others = Object.entries(turn.state.problems).filter(([key]) => key !== what);
  change(turn, { problems: Object.fromEntries(isDone ? others : [...others, [what, reason]]) });
}

/** No decision was made. A newer failover event comes first; all other events are decided again after it. */
export function undecided(
  turn: Turn,
  events: readonly ReceivedEvent[],
  memory: IncidentState['memory'],
  verdict: Verdict,
): void {
  change(turn, { decision: null, memory, verdict: weightier(turn.state.verdict, verdict) });
  if (verdict.reason !== 'preempted') {
    answer(turn, events, verdict);
    if (events[0]!.kind !== 'rejoin') keepUndecided(turn, events, verdict);
    return;
  }
  const isAnswered = ({ kind }: ReceivedEvent): boolean => kind === 'failover';
  answer(turn, events.filter(isAnswered), verdict);
  change(turn, { waiting: [...turn.state.waiting, ...events.filter((event) => !isAnswered(event))] });
}

/** Keeps refused events, the newest last: a returned node knows less of the primary than pgpool does. */
export function keepUndecided(turn: Turn, events: readonly ReceivedEvent[], { outcome, reason, line }: Verdict): void {
  // An event with a number that nobody has says nothing.
  if (reason === 'node-not-configured') return;
  const added = events.filter((event) => !turn.state.undecided.some((known) => isSameNews(known, event)));
  if (added.length > 0) change(turn, { looksLeft: turn.timing.looks });
  change(turn, { undecided: outcome === 'refused' ? [...turn.state.undecided, ...added] : [], refusal: line });
}

/** Answers the events whose numbers the cluster file does not have; the others wait for a decision of their own. @returns whether there are any */
export function dropUnknown(
  turn: Turn,
  events: readonly ReceivedEvent[],
  { configuration, verdict }: Pick<Settlement, 'configuration' | 'verdict'>,
): boolean {
  const isKnown = ({ node, oldPrimary }: ReceivedEvent): boolean =>
    [node, oldPrimary].every((id) => id === null || findNode(configuration, id));
  const known = events.filter(isKnown);
  if (known.length === 0) return false;
  answer(
    turn,
    events.filter((event) => !isKnown(event)),
    verdict,
  );
  change(turn, { waiting: [...turn.state.waiting, ...known] });
  return true;
}

export function askAboutUndecided(turn: Turn): void {
  const at = turn.now + nextLookMs(turn)!;
  const id = nextNumber(turn);
  change(turn, { look: { id, at }, looksLeft: turn.state.looksLeft - 1 });
  turn.moves.push({ do: 'ask', id, problem: turn.state.refusal });
}
