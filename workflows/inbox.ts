// The events of one incident: received once each, handed out failovers first, answered when settled.

import { ApplicationFailure, condition, log, setHandler } from '@temporalio/workflow';
import { type ClusterEvent, parseEvent } from '../domain/facts/event';
import type { Verdict } from '../domain/facts/outcome';
import { eventSignal, settledUpdate } from './messages';

/** With the time at which it came in, by Temporal's clock. */
export type ReceivedEvent = ClusterEvent & { readonly receivedAt: number };

export class Inbox {
  private readonly waiting: ReceivedEvent[] = [];
  private readonly known = new Set<string>();
  private readonly verdicts = new Map<string, Verdict>();
  private readonly asked: ClusterEvent[] = [];

  /** Must run before the workflow's first await: signals and updates may come in the very first task. */
  listen(): void {
    setHandler(
      eventSignal,
      (value) => {
        const parsed = parseEvent(value);
        if ('error' in parsed) log.warn('event ignored', { error: parsed.error });
        // Delivery is at least once.
        else if (!this.known.has(parsed.event.eventId)) {
          this.known.add(parsed.event.eventId);
          this.waiting.push({ ...parsed.event, receivedAt: Date.now() });
        }
      },
      {
        description:
          'An event from pgpool (failover, follow) or from await (returned). Repeats of one eventId count once.',
      },
    );
    setHandler(
      settledUpdate,
      async (eventId) => {
        await condition(() => this.verdicts.has(eventId));
        return this.verdicts.get(eventId)!;
      },
      {
        description: 'Waits until the event with this eventId is settled; answers {outcome, reason, line}.',
        validator: (eventId: string) => {
          if (!this.known.has(eventId)) {
            throw ApplicationFailure.nonRetryable(`no event ${eventId} in this run`, 'UnknownEvent');
          }
        },
      },
    );
  }

  isEmpty(): boolean {
    return this.waiting.length === 0;
  }

  get hasFailover(): boolean {
    return this.waiting.some((event) => event.kind === 'failover');
  }

  /** All waiting failover events at once, because one look answers them all; else the oldest other event. */
  take(): ReceivedEvent[] {
    const failovers = this.waiting.filter((event) => event.kind === 'failover');
    const taken = failovers.length > 0 ? failovers : this.waiting.slice(0, 1);
    for (const event of taken) this.waiting.splice(this.waiting.indexOf(event), 1);
    return taken;
  }

  /** Puts events back that are to be decided again. */
  putBack(events: readonly ReceivedEvent[]): void {
    this.waiting.push(...events);
  }

  /** A person asked for this node: answered by settleAsked, once its follow has ended. */
  keepAsked(event: ClusterEvent): void {
    this.asked.push(event);
  }

  settleAsked(node: number | null, verdict: Verdict): void {
    const answered = this.asked.filter((event) => event.node === node);
    for (const event of answered) this.asked.splice(this.asked.indexOf(event), 1);
    this.settle(answered, verdict);
  }

  /** The run ends: nothing more will become of what was asked for. */
  settleRest(): void {
    const line = 'the incident ended before the node could follow: call it again';
    for (const { node } of [...this.asked]) this.settleAsked(node, { outcome: 'refused', reason: 'preempted', line });
  }

  settle(events: readonly ClusterEvent[], verdict: Verdict): void {
    // The hook prints the line alone: with these two words it is found in docs/failure-modes.md.
    const told = { ...verdict, line: `refused (${verdict.reason}): ${verdict.line}` };
    for (const { eventId, kind } of events)
      this.verdicts.set(eventId, verdict.outcome === 'refused' && kind !== 'rejoin' ? told : verdict);
  }

  report(): (Verdict & { eventId: string })[] {
    return [...this.verdicts].map(([eventId, verdict]) => ({ eventId, ...verdict }));
  }
}
