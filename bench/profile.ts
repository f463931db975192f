// The stages of a failover on one clock, from pgpool's log, the incident's history, and the clients.

import type { temporal } from '@temporalio/proto';
import { defaultPayloadConverter } from '@temporalio/client';
import type { ClusterEvent } from '../domain/facts/event';
import { incidentWorkflowId } from '../domain/facts/names';
import type { Bed } from './bed';
import { summarize } from './figures';
import { type FailoverRound, runFailoverRound } from './failover-round';
import { ours } from './rivals';

type HistoryEvent = temporal.api.history.v1.IHistoryEvent;

/** A stage; the next one follows directly. */
export interface Stage {
  readonly name: string;
  readonly ms: number;
}

interface Moment {
  /** The name of the moment that ends the stage. */
  readonly name: string;
  readonly at: number;
}

/** Measures one failover after an immediate stop, by stages in order of time. */
export async function runProfileRound(bed: Bed): Promise<Stage[]> {
  const round = await runFailoverRound(bed, {
    ...{ side: ours, data: 'small', fault: 'stop-immediate', node: 0, windowMs: 5000 },
  });
  const handle = bed.temporal.workflow.getHandle(incidentWorkflowId(bed.lab.configuration.cluster));
  const { events } = await handle.fetchHistory();
  return findStages(round, events ?? []);
}

/** From the fault to the first write afterwards, by pgpool's log and the incident's history. */
export function findStages(
  round: Pick<FailoverRound, 'faultAt' | 'servedAt' | 'pgpool'>,
  events: readonly HistoryEvent[],
): Stage[] {
  const moments = [...momentsOfPgpool(round), ...momentsOfIncident(events)];
  return toStages(
    round.faultAt,
    moments.filter(({ at }) => at <= round.servedAt),
  );
}

/** Each stage's median over the rounds; a stage that a round lacks counts as nothing there. */
export function medianStages(rounds: readonly (readonly Stage[])[]): Stage[] {
  const ends = new Map<string, number[]>();
  for (const stages of rounds) {
    let at = 0;
    for (const { name, ms } of stages) ends.set(name, [...(ends.get(name) ?? []), (at += ms)]);
  }
  const middle = (values: readonly number[]): number => summarize(values).median;
  return [...ends]
    .sort(([, left], [, right]) => middle(left) - middle(right))
    .map(([name]) => ({
      name,
      ms: middle(rounds.map((stages) => stages.find((stage) => stage.name === name)?.ms ?? 0)),
    }));
}

export function totalOf(stages: readonly Stage[]): number {
  return stages.reduce((sum, { ms }) => sum + ms, 0);
}

/** A bar for each stage, beginning where the one before ends. */
export function drawStages(stages: readonly Stage[], width = 60): string[] {
  const total = totalOf(stages);
  const longestName = Math.max(...stages.map(({ name }) => name.length));
  let from = 0;
  const lines = stages.map(({ name, ms }) => {
    const [left, right] = [from, (from += ms)].map((at) => Math.max(Math.round((at / total) * width), 0)) as [
      number,
      number,
    ];
    const bar = `${' '.repeat(left)}${'█'.repeat(Math.max(right - left, 0)) || '▏'}`;
    return `${name.padEnd(longestName)} ${ms.toFixed(0).padStart(5)}  ${bar}`;
  });
  return [...lines, `${'all'.padEnd(longestName)} ${total.toFixed(0).padStart(5)} ms`];
}

function momentsOfPgpool({ pgpool, servedAt }: Pick<FailoverRound, 'pgpool' | 'servedAt'>): Moment[] {
  const { calledAt, returnedAt, doneAt } = pgpool;
  const moments = [
    { name: 'pgpool notices and calls the hook', at: calledAt },
    { name: 'update answered, hook ends', at: returnedAt },
    { name: "pgpool's own part", at: doneAt },
    { name: 'clients come back', at: servedAt },
  ];
  return moments.flatMap(({ name, at }) => (at === null ? [] : [{ name, at }]));
}

/** Moments up to the answer that the hook waits for: later ones keep no client waiting. */
function momentsOfIncident(events: readonly HistoryEvent[]): Moment[] {
  const moments: Moment[] = [];
  const names = new Map<string, string>();
  for (const event of events) {
    const at = timeOf(event);
    const signal = event.workflowExecutionSignaledEventAttributes;
    // The hook's own time, taken when it has read its configuration.
    if (signal && moments.length === 1) {
      const told = defaultPayloadConverter.fromPayload<ClusterEvent>(signal.input!.payloads![0]!);
      moments.unshift({ name: 'hook starts', at: Date.parse(told.at) });
    }
    if (event.workflowExecutionStartedEventAttributes) moments.push({ name: 'event durable', at });
    const scheduled = event.activityTaskScheduledEventAttributes;
    if (scheduled) {
      const name = scheduled.activityType?.name ?? 'activity';
      names.set(String(event.eventId), name);
      moments.push({ name: `workflow task, schedules ${name}`, at });
    }
    const nameOf = (id: unknown): string => names.get(String(id)) ?? 'activity';
    const started = event.activityTaskStartedEventAttributes;
    if (started) moments.push({ name: `worker takes ${nameOf(started.scheduledEventId)}`, at });
    const ended = event.activityTaskCompletedEventAttributes ?? event.activityTaskFailedEventAttributes;
    if (ended) moments.push({ name: nameOf(ended.scheduledEventId), at });
    if (event.workflowExecutionUpdateCompletedEventAttributes) {
      moments.push({ name: 'workflow task, settles the event', at });
      break;
    }
  }
  return moments;
}

/** Stages in order of time; a repeated name is numbered. */
function toStages(from: number, moments: readonly Moment[]): Stage[] {
  const seen = new Map<string, number>();
  let before = from;
  return [...moments]
    .sort((left, right) => left.at - right.at)
    .map(({ name, at }) => {
      const count = (seen.get(name) ?? 0) + 1;
      seen.set(name, count);
      const ms = at - before;
      before = at;
      return { name: count === 1 ? name : `${name} (${count})`, ms };
    });
}

function timeOf({ eventTime }: HistoryEvent): number {
  return Number(eventTime?.seconds ?? 0) * 1000 + (eventTime?.nanos ?? 0) / 1e6;
}
