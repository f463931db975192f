// The incident: one value, changed by one message at a time. Pure: messages carry the time. incident-rows.ts: the
// nodes.

import { describeEvent } from '../facts/event';
import type { FollowReport, Verdict } from '../facts/outcome';
import { forgetReports } from './failover-memory';
import { type NodeMessage, rows } from './incident-rows';
import type { IncidentState, IncidentTiming, Message, ReceivedEvent, Settlement, Step } from './incident-state';
import {
  answer,
  change,
  changeNode,
  findNodeState,
  nextLookMs,
  nextNumber,
  openWork,
  type Turn,
} from './incident-turn';
import {
  askAboutUndecided,
  confirmPgpools,
  done,
  dropUnknown,
  forgetServed,
  keepUndecided,
  setSynchronous,
  undecided,
} from './incident-work';
import { judgeRun, refuseRejoin, weightier } from './verdict';

/** The state after one message, and the moves that it asks for. */
export function next(state: IncidentState, message: Message, timing: IncidentTiming): Step {
  const turn: Turn = { state, now: message.now, timing, moves: [], told: [] };
  take(turn, message);
  goOn(turn);
  return { state: turn.state, moves: turn.moves, told: turn.told };
}

/** Time of the next alarm, by the incident's clock; null = only another message can change anything. */
export function alarmAt({ decision, settling, look, lingerUntil }: IncidentState): number | null {
  const times = [decision?.preemptAt, settling?.at, look?.at, lingerUntil].filter((time) => typeof time === 'number');
  return times.length > 0 ? Math.min(...times) : null;
}

/** Nothing runs, nothing waits, and late events have had their time. */
export function isOver({ lingerUntil }: IncidentState, now: number): boolean {
  return lingerUntil !== null && now >= lingerUntil;
}

/** No work is open whose end this run must see, so it may continue as new. */
export function isAtRest({ decision, settling, open }: IncidentState): boolean {
  return decision === null && settling === null && open.length === 0;
}

/** The incident's final verdict. */
export function judge({ verdict, nodes, problems }: IncidentState): Verdict {
  const reports = nodes.flatMap(({ report }) => (report ? [report] : []));
  return judgeRun(verdict, reports, Object.values(problems)[0] ?? null);
}

export function reportsOf({ nodes }: IncidentState): FollowReport[] {
  return nodes.flatMap(({ report }) => (report ? [report] : []));
}

/** Ends the incident: every open question is answered. */
export function close(state: IncidentState, now: number, timing: IncidentTiming): IncidentState {
  const turn: Turn = { state, now, timing, moves: [], told: [] };
  const line = 'the incident ended before the node could follow: call rejoin again';
  answer(turn, state.asked, { outcome: 'refused', reason: 'preempted', line });
  change(turn, { asked: [] });
  return turn.state;
}

const mostSeen = 1000;

function take(turn: Turn, message: Message): void {
  const { state, now } = turn;
  switch (message.on) {
    case 'event': {
      // Events are delivered at least once, so drop the second copy.
      if (state.seen.includes(message.event.eventId)) return;
      const seen = [...state.seen, message.event.eventId].slice(-mostSeen);
      const waiting = [...state.waiting, { ...message.event, receivedAt: now }];
      change(turn, { seen, waiting, isFinished: false, lingerUntil: null });
      return;
    }
    case 'decided':
      if (state.decision?.id === message.id) decided(turn, state.decision.events, message.memory, message.settlement);
      return;
    case 'undecided':
      if (state.decision?.id === message.id) undecided(turn, state.decision.events, message.memory, message.verdict);
      return;
    case 'followed': {
      const node = findNodeState(state, message.node);
      if (node.number !== message.number || node.follow === 'none') return;
      // A closing follow was for another primary, so its report does not count.
      const report = node.follow === 'closing' ? null : message.report;
      const seen = report ? `${report.outcome} (${report.reason}): ${report.line}` : 'cancelled: decided again';
      turn.moves.push({ do: 'note', title: `Follow node ${node.id}`, seen });
      tellNode(turn, message.node, { on: 'followed', report });
      return;
    }
    case 'done':
      done(turn, message.id, message.isDone);
      return;
    case 'streams':
      setSynchronous(turn);
      return;
    case 'choice':
      if (state.look?.id !== message.id) return;
      if (message.choice === 'abort') change(turn, { undecided: [], look: null, memory: forgetReports(state.memory) });
      else change(turn, { waiting: [...state.waiting, ...state.undecided], look: null });
      return;
    case 'alarm':
      alarm(turn);
  }
}

function alarm(turn: Turn): void {
  const { state, now } = turn;
  const { decision, settling, look } = state;
  if (decision?.preemptAt != null && decision.preemptAt <= now) {
    turn.moves.push({ do: 'preempt', id: decision.id });
    change(turn, { decision: { ...decision, preemptAt: null, isToldToGiveWay: true } });
  }
  if (settling && settling.at <= now) {
    change(turn, { settling: null });
    converge(turn, settling.events, settling.settlement);
  }
  if (look?.at != null && look.at <= now) change(turn, { waiting: [...state.waiting, ...state.undecided], look: null });
}

/** In this order: decide waiting events, then refused ones again; background work; a last look; late events. */
function goOn(turn: Turn): void {
  for (;;) {
    const { state } = turn;
    if (state.decision) {
      const { preemptAt, isToldToGiveWay } = state.decision;
      // An event of the watch takes over nothing: a decision about the same thing would begin anew again and again.
      const hasNewer = state.waiting.some(({ kind, seen }) => kind === 'failover' && seen === undefined);
      if (hasNewer && preemptAt === null && !isToldToGiveWay)
        change(turn, { decision: { ...state.decision, preemptAt: turn.now + turn.timing.preemptMs } });
      return;
    }
    if (state.settling) return;
    if (state.waiting.length > 0) {
      beginNext(turn);
      continue;
    }
    if (state.undecided.length > 0 && (state.look !== null || nextLookMs(turn) !== null)) {
      if (state.look === null) askAboutUndecided(turn);
      return;
    }
    if (state.open.length > 0 || state.nodes.some((node) => node.follow !== 'none')) return;
    if (!state.isFinished) {
      change(turn, { isFinished: true });
      finish(turn);
      continue;
    }
    if (state.lingerUntil === null) change(turn, { lingerUntil: turn.now + turn.timing.lingerMs });
    return;
  }
}

/** One look answers all waiting events but rejoins, of which each has its own answer. Failovers come first. */
function beginNext(turn: Turn): void {
  const { waiting } = turn.state;
  const failovers = waiting.filter(({ kind }) => kind === 'failover');
  const others = waiting.filter(
    (event) => event.kind === 'returned' || (event.kind === 'follow' && !isHint(turn, event)),
  );
  const [first] = failovers.length > 0 ? failovers : waiting;
  const isAlone = first!.kind === 'rejoin' || isHint(turn, first!);
  const events = isAlone ? [first!] : [...failovers, ...others];
  change(turn, {
    waiting: waiting.filter((one) => !events.includes(one)),
    look: null,
    isFinished: false,
    lingerUntil: null,
  });
  turn.moves.push({ do: 'note', title: 'Event', seen: [...new Set(events.map(describeEvent))].join('; ') });
  if (isHint(turn, first!)) {
    followNow(turn, first!);
    return;
  }
  for (const { kind, node } of events)
    if (kind === 'returned' && node !== null) tellNode(turn, node, { on: 'returned' });
  const id = nextNumber(turn);
  const { memory } = turn.state;
  change(turn, { decision: { id, events, preemptAt: null, isToldToGiveWay: false } });
  turn.moves.push({ do: 'decide', id, events, memory });
}

/** pgpool calls follow for every node that it marked down itself; this incident's follows do the same. */
function isHint({ state: { primary } }: Turn, { kind, node }: ReceivedEvent): boolean {
  return kind === 'follow' && primary !== null && node !== null && node !== primary;
}

function followNow(turn: Turn, event: ReceivedEvent): void {
  const { primary, configuration } = turn.state;
  tellNode(turn, event.node!, { on: 'hint' });
  // With another main node pgpool takes that for the primary, and has marked the standbys of this one down.
  if (event.mainNode !== primary && configuration) confirmPgpools(turn);
  const line = `node ${event.node} is made to follow node ${primary}`;
  answer(turn, [event], { outcome: 'completed', reason: 'primary-working', line });
}

function decided(
  turn: Turn,
  events: readonly ReceivedEvent[],
  memory: IncidentState['memory'],
  settlement: Settlement,
): void {
  const { verdict } = settlement;
  const [event] = events as [ReceivedEvent, ...ReceivedEvent[]];
  change(turn, { decision: null, memory });
  if (verdict.reason === 'node-not-configured' && dropUnknown(turn, events, settlement)) return;
  const isAsked = event.kind === 'rejoin';
  const reply = isAsked ? refuseRejoin(event, settlement.configuration, settlement) : verdict;
  if (reply) answer(turn, events, reply);
  else change(turn, { asked: [...turn.state.asked, event] });
  change(turn, { verdict: weightier(turn.state.verdict, verdict) });
  const isPromoted = verdict.reason === 'promoted';
  // Answer first, because pgpool restarts its children now.
  if (isPromoted) change(turn, { settling: { at: turn.now + turn.timing.quietMs, events, settlement } });
  else converge(turn, events, settlement);
  if (!isAsked && !isPromoted) keepUndecided(turn, events, verdict);
}

function converge(turn: Turn, events: readonly ReceivedEvent[], settlement: Settlement): void {
  const { primary, verdict, configuration, conclusion } = settlement;
  change(turn, { configuration });
  if (primary === null) {
    // An event without a configured node says nothing of the primary; any other refusal means that none is known.
    if (verdict.reason !== 'node-not-configured') change(turn, { primary: null });
    for (const node of settlement.silent) tellNode(turn, node, { on: 'refused', settlement });
    return;
  }
  const before = turn.state;
  const isOther = before.served !== primary;
  const isNews =
    (isOther && before.served !== null) ||
    before.undecided.length > 0 ||
    verdict.reason === 'promoted' ||
    verdict.reason === 'primary-kept';
  const attachAt = verdict.reason === 'promoted' ? turn.now + turn.timing.attachMs : 0;
  if (isOther) forgetServed(turn);
  change(turn, {
    primary,
    served: primary,
    attachNotBefore: isOther ? attachAt : Math.max(before.attachNotBefore, attachAt),
  });
  if (verdict.reason === 'promoted') keepUndecided(turn, events, verdict);
  setSynchronous(turn);
  confirmPgpools(turn);
  const fenced = turn.state.memory.fencedOnReturn;
  change(turn, { memory: { ...turn.state.memory, fencedOnReturn: [] } });
  const named = events.map(({ node }) => node).filter((node) => node !== null);
  const configured = isNews ? configuration.nodes.map(({ id }) => id) : [];
  for (const node of new Set([primary, ...named, ...fenced, ...configured])) {
    const own = events.filter((event) => event.node === node);
    // A rejoin of an unknown node is answered already.
    if (node !== primary && own.some((event) => refuseRejoin(event, configuration, settlement))) continue;
    tellNode(turn, node, {
      on: 'primary',
      settlement: { ...settlement, primary },
      events: own,
      isNews,
      isFenced: fenced.includes(node),
    });
  }
  if (conclusion) turn.moves.push({ do: 'conclude', id: openWork(turn, 'record'), conclusion });
}

/** After all else: a last look that every pgpool uses every standby. */
function finish(turn: Turn): void {
  if (turn.state.primary === null || turn.state.configuration === null) return;
  for (const { id } of turn.state.nodes) tellNode(turn, id, { on: 'quiet' });
}

/** The first row that fits. */
function tellNode(turn: Turn, id: number, message: NodeMessage): void {
  const node = findNodeState(turn.state, id);
  const fit = rows.find((row) => row.on === message.on && row.fits(node, message, turn));
  if (!fit) return;
  const changed = fit.does(node, message, turn);
  changeNode(turn, id, changed);
  if (message.on !== 'quiet' || fit.number !== 18) turn.told.push({ row: fit.number, node: id });
}
