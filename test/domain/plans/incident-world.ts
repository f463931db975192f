// A world for the page's search: it performs the page's moves in an order and with ends that a schedule draws, and checks the page after every message.

import type { ClusterEvent } from '../../../domain/facts/event';
import type { FollowReport, Verdict } from '../../../domain/facts/outcome';
import type { ReasonCode } from '../../../domain/facts/reasons';
import { alarmAt, close, isOver, next } from '../../../domain/plans/incident';
import {
  defaultTiming,
  type IncidentState,
  type Message,
  type Move,
  opening,
  type Settlement,
} from '../../../domain/plans/incident-state';
import { makeConfiguration } from '../builders';

export type Turner = typeof next;

export const nodes = [0, 1, 2, 3];
const configuration = makeConfiguration(
  { policy: { synchronous: { standbys: 1, whenNone: 'degrade' } } },
  nodes.length,
);
const manual = makeConfiguration({ policy: { rejoin: 'manual' } }, nodes.length);

/** An entry of a schedule: an event arrives, work ends in one of its ways, or time passes. */
export type Entry =
  | { readonly kind: 'event'; readonly event: ClusterEvent['kind']; readonly node: number; readonly old: number }
  | { readonly kind: 'end'; readonly which: number; readonly way: number }
  | { readonly kind: 'pass' }
  | { readonly kind: 'person'; readonly choice: 'retry' | 'abort' };

interface Running {
  readonly move: Move;
  isCancelled: boolean;
}

type Ending = Message extends infer One ? (One extends Message ? Omit<One, 'now'> : never) : never;

const followReasons: readonly [FollowReport['outcome'], ReasonCode][] = [
  ['completed', 'repointed'],
  ['completed', 'already-following'],
  ['incomplete', 'node-unreachable'],
  ['incomplete', 'decided-by-person'],
  ['incomplete', 'in-maintenance'],
  ['incomplete', 'not-streaming'],
  ['incomplete', 'node-not-configured'],
];

/** Plays a schedule, then lets everything end well. What is wrong is a sentence that begins with the invariant's name. */
export class IncidentWorld {
  readonly rows = new Set<number>();
  readonly problems: string[] = [];
  private now = 0;
  private counter = 0;
  private state: IncidentState = opening('shop', { ...defaultTiming, looks: 3, slowLookMs: null });
  private readonly timing = { ...defaultTiming, looks: 3, slowLookMs: null };
  private running: Running[] = [];
  /** Follows that run, by node: by what the world does, not by what the page believes. */
  private readonly follows = new Map<number, number[]>();
  private readonly sent: { readonly id: string; readonly kind: ClusterEvent['kind'] }[] = [];
  private isDraining = false;

  constructor(
    private readonly turn: Turner = next,
    private readonly isManual = false,
  ) {}

  play(schedule: readonly Entry[]): string[] {
    // As the workflow does when an invalid signal has opened it.
    this.say({ on: 'alarm' });
    for (const entry of schedule) this.enter(entry);
    this.drain();
    return this.problems;
  }

  private enter(entry: Entry): void {
    this.now += 50;
    if (entry.kind === 'event') this.send(entry);
    else if (entry.kind === 'end') this.end(entry.which, entry.way);
    else if (entry.kind === 'person') this.decide(entry.choice);
    else this.pass();
  }

  private send({ event: kind, node, old }: Extract<Entry, { kind: 'event' }>): void {
    const eventId = `e${String((this.counter += 1))}`;
    this.sent.push({ id: eventId, kind });
    const event = {
      eventId,
      kind,
      node,
      mainNode: 1,
      oldPrimary: kind === 'failover' ? old : null,
      at: '2026-01-01T00:00:00Z',
    };
    this.say({ on: 'event', event });
  }

  private decide(choice: 'retry' | 'abort'): void {
    const { look } = this.state;
    if (look) this.say({ on: 'choice', id: look.id, choice });
  }

  private pass(): void {
    const at = alarmAt(this.state);
    if (at === null || isOver(this.state, this.now)) return;
    this.now = Math.max(this.now, at);
    if (!isOver(this.state, this.now)) this.say({ on: 'alarm' });
  }

  private end(which: number, way: number): void {
    const chosen = this.running[which % Math.max(1, this.running.length)];
    if (!chosen) return;
    this.running = this.running.filter((one) => one !== chosen);
    this.say(this.endingOf(chosen, way));
  }

  private endingOf({ move, isCancelled }: Running, way: number): Ending {
    if (move.do === 'decide') return this.decisionOf(move, isCancelled, way);
    if (move.do === 'follow') {
      const left = (this.follows.get(move.node) ?? []).filter((number) => number !== move.number);
      this.follows.set(move.node, left);
      const [outcome, reason] = followReasons[this.isDraining ? 0 : way % followReasons.length]!;
      const report = { node: move.node, rung: 'none' as const, outcome, reason, line: '', ms: 0 };
      return {
        on: 'followed',
        node: move.node,
        number: move.number,
        report: isCancelled && way % 2 === 0 ? null : report,
      };
    }
    const { id } = move as { readonly id: number };
    return { on: 'done', id, isDone: isCancelled ? null : this.isDraining || way % 3 !== 0 };
  }

  private decisionOf({ id, memory }: Extract<Move, { do: 'decide' }>, isCancelled: boolean, way: number): Ending {
    const kind = isCancelled ? 'preempted' : way % 7 === 6 && !this.isDraining ? 'step-failed' : null;
    if (kind) return { on: 'undecided', id, memory, verdict: { outcome: 'refused', reason: kind, line: '' } };
    const primary = way % 5 === 4 && !this.isDraining ? null : way % nodes.length;
    const reasons = ['promoted', 'primary-kept', 'standby-failed', 'primary-working'] as const;
    const verdict: Verdict =
      primary === null
        ? { outcome: 'refused', reason: 'no-candidate', line: '' }
        : { outcome: 'completed', reason: reasons[way % reasons.length]!, line: '' };
    const isPromoted = verdict.reason === 'promoted';
    const former = isPromoted ? (primary! + 1) % nodes.length : null;
    const fencedOnReturn = way % 11 === 10 ? [(way + 2) % nodes.length] : [];
    const settlement: Settlement = {
      ...{
        verdict,
        configuration: this.isManual ? manual : configuration,
        primary,
        former,
        isFormerAway: way % 2 === 0,
      },
      ...{ silent: primary === null ? [way % nodes.length] : [], conclusion: null },
    };
    return { on: 'decided', id, memory: { ...memory, fencedOnReturn }, settlement };
  }

  private say(message: Ending): void {
    const before = this.state;
    const step = this.turn(before, { ...message, now: this.now }, this.timing);
    this.state = step.state;
    for (const { row } of step.told) this.rows.add(row);
    for (const move of step.moves) this.perform(move);
    this.check(before);
  }

  private perform(move: Move): void {
    const { primary, served } = this.state;
    if (move.do === 'cancel-follow' || move.do === 'preempt' || move.do === 'cancel-work') this.cancel(move);
    if (move.do === 'follow') {
      const own = this.follows.get(move.node) ?? [];
      if (own.length > 0) this.problems.push(`one-follow: node ${move.node} has a follow already`);
      if (move.node === served && primary !== null) this.problems.push(`no-follow-of-primary: node ${move.node}`);
      if (move.primary !== served) this.problems.push(`follow-served: node ${move.primary}, not ${String(served)}`);
      this.follows.set(move.node, [...own, move.number]);
    }
    if (move.do === 'decide') {
      if (this.running.some((one) => one.move.do === 'decide')) this.problems.push('one-decision: two at a time');
      const kinds = move.events.map(({ kind }) => kind);
      const isOrdered = kinds.lastIndexOf('failover') < kinds.filter((kind) => kind === 'failover').length;
      const isWaiting = this.state.waiting.some(({ kind }) => kind === 'failover');
      if (isWaiting || !isOrdered) this.problems.push('failovers-first: not all at once');
      if (kinds.includes('rejoin') && kinds.length > 1) this.problems.push('rejoin-alone: it has an answer of its own');
    }
    const hasEnd = !['note', 'ask', 'leave', 'cancel-follow', 'preempt', 'cancel-work'].includes(move.do);
    if (hasEnd) this.running.push({ move, isCancelled: false });
  }

  private cancel(move: Extract<Move, { do: 'cancel-follow' | 'preempt' | 'cancel-work' }>): void {
    const ids = move.do === 'cancel-work' ? move.ids : move.do === 'preempt' ? [move.id] : [move.number];
    for (const one of this.running) {
      const own = one.move.do === 'follow' ? one.move.number : (one.move as { id?: number }).id;
      if (own !== undefined && ids.includes(own)) one.isCancelled = true;
    }
  }

  private check(before: IncidentState): void {
    if (JSON.stringify(JSON.parse(JSON.stringify(this.state))) !== JSON.stringify(this.state))
      this.problems.push('plain: not JSON');
    if (isOver(this.state, this.now) && this.running.length > 0) this.problems.push('over: something runs');
    const isSame = before.served === this.state.served;
    if (isSame && this.state.attachNotBefore < before.attachNotBefore)
      this.problems.push('attach: earlier than it was');
    for (const id of Object.keys(before.verdicts))
      if (!(id in this.state.verdicts)) this.problems.push(`answered: ${id} is forgotten`);
    const lost = before.undecided.filter(({ eventId }) => !(eventId in this.state.verdicts));
    if (lost.length > 0) this.problems.push(`undecided: ${lost[0]!.eventId} has no answer`);
  }

  /** Everything that runs ends well, alarms ring: the incident must come to its end, and everybody have an answer. */
  private drain(): void {
    this.isDraining = true;
    for (let steps = 0; steps < 400 && !isOver(this.state, this.now); steps += 1) {
      if (this.running.length > 0) this.end(0, 1);
      else if (alarmAt(this.state) !== null) this.pass();
      else break;
    }
    if (!isOver(this.state, this.now)) this.problems.push('ends: the incident waits for ever');
    const { verdicts } = close(this.state, this.now, this.timing);
    for (const { id, kind } of this.sent)
      if (!(id in verdicts)) this.problems.push(`answered: ${kind} ${id} has no answer`);
  }
}
