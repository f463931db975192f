// Watches a workflow and its children as Temporal records them, so that people see every step when it happens.

import { type Client, defaultPayloadConverter, WorkflowNotFoundError } from '@temporalio/client';
import type { temporal } from '@temporalio/proto';
import { setTimeout as delay } from 'node:timers/promises';

type HistoryEvent = temporal.api.history.v1.IHistoryEvent;
type Payloads = temporal.api.common.v1.IPayloads;

export interface ActivityRecord {
  readonly workflowId: string;
  readonly activity: string;
  readonly summary: string;
  /** Milliseconds since the epoch, by the server's clock. */
  readonly startedAt: number;
  readonly endedAt: number;
  /** Null when the activity failed for good. */
  readonly result: unknown;
  readonly failure: string | null;
}

export interface RunRecord {
  readonly workflowId: string;
  readonly runId: string;
  readonly activities: readonly ActivityRecord[];
  readonly result: unknown;
  /** Arrival time of each signal. */
  readonly signals: readonly number[];
}

export interface Watcher {
  /** The activity is about to run. */
  onScheduled?(workflowId: string, activity: string): void;
  /** The activity has ended, well or for good. */
  onActivity?(record: ActivityRecord): void;
}

/**
 * Resolves when the run is closed. Children are watched too, but not waited for.
 * @throws when the run fails, or `signal` is aborted
 */
export async function watchRun(
  client: Client,
  run: { workflowId: string; runId: string },
  watcher: Watcher,
  signal: AbortSignal,
): Promise<RunRecord> {
  const scheduled = new Map<string, { activity: string; summary: string; startedAt: number }>();
  const activities: ActivityRecord[] = [];
  const signals: number[] = [];
  for await (const event of readEvents(client, run, signal)) {
    const id = String(event.eventId);
    const at = toMs(event);
    if (event.activityTaskScheduledEventAttributes) {
      const { activityType } = event.activityTaskScheduledEventAttributes;
      const activity = activityType?.name ?? '?';
      scheduled.set(id, { activity, summary: summaryOf(event), startedAt: at });
      watcher.onScheduled?.(run.workflowId, activity);
    } else if (event.activityTaskStartedEventAttributes) {
      const entry = scheduled.get(String(event.activityTaskStartedEventAttributes.scheduledEventId));
      if (entry) entry.startedAt = at;
    } else if (
      event.activityTaskCompletedEventAttributes ??
      event.activityTaskFailedEventAttributes ??
      event.activityTaskTimedOutEventAttributes
    ) {
      const record = toRecord(run.workflowId, event, scheduled, at);
      if (record) {
        activities.push(record);
        watcher.onActivity?.(record);
      }
    } else if (event.childWorkflowExecutionStartedEventAttributes) {
      const { workflowExecution } = event.childWorkflowExecutionStartedEventAttributes;
      const child = { workflowId: workflowExecution?.workflowId ?? '', runId: workflowExecution?.runId ?? '' };
      // The child's own end reaches the parent; an error in watching the child must not end the watch of the parent.
      void watchRun(client, child, watcher, signal).catch(() => undefined);
    } else if (event.workflowExecutionSignaledEventAttributes) {
      signals.push(at);
    } else if (event.workflowExecutionCompletedEventAttributes) {
      return { ...run, activities, signals, result: decode(event.workflowExecutionCompletedEventAttributes.result) };
    } else if (event.workflowExecutionFailedEventAttributes) {
      throw new Error(
        `${run.workflowId} failed: ${event.workflowExecutionFailedEventAttributes.failure?.message ?? 'no message'}`,
      );
    }
  }
  throw new Error(`${run.workflowId} ended without a result`);
}

/** The id of the last run, once it is closed; null when there was none yet. The next event opens another run. */
export async function waitUntilClosed(client: Client, workflowId: string, signal: AbortSignal): Promise<string | null> {
  for (;;) {
    const last = await describeLast(client, workflowId);
    if (!last || last.status !== 'RUNNING') return last?.runId ?? null;
    await delay(50, undefined, { signal });
  }
}

/** Waits for the run that is opened after the one named. */
export async function waitForRun(
  client: Client,
  workflowId: string,
  after: string | null,
  signal: AbortSignal,
): Promise<string> {
  for (;;) {
    const last = await describeLast(client, workflowId);
    if (last && last.runId !== after) return last.runId;
    await delay(20, undefined, { signal });
  }
}

async function describeLast(client: Client, workflowId: string): Promise<{ runId: string; status: string } | null> {
  try {
    const { runId, status } = await client.workflow.getHandle(workflowId).describe();
    return { runId, status: status.name };
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return null;
    throw error;
  }
}

async function* readEvents(
  client: Client,
  run: { workflowId: string; runId: string },
  signal: AbortSignal,
): AsyncGenerator<HistoryEvent> {
  let nextPageToken: Uint8Array | null | undefined;
  do {
    const token = nextPageToken;
    const page = await client.withAbortSignal(signal, () =>
      client.workflowService.getWorkflowExecutionHistory({
        namespace: client.options.namespace,
        execution: run,
        waitNewEvent: true,
        ...(token && { nextPageToken: token }),
      }),
    );
    yield* page.history?.events ?? [];
    nextPageToken = page.nextPageToken;
  } while (nextPageToken.length > 0);
}

function toRecord(
  workflowId: string,
  event: HistoryEvent,
  scheduled: ReadonlyMap<string, { activity: string; summary: string; startedAt: number }>,
  endedAt: number,
): ActivityRecord | null {
  const completed = event.activityTaskCompletedEventAttributes;
  const failed = event.activityTaskFailedEventAttributes ?? event.activityTaskTimedOutEventAttributes;
  const entry = scheduled.get(String(completed?.scheduledEventId ?? failed?.scheduledEventId));
  if (!entry) return null;
  const failure = failed ? (failed.failure?.cause?.message ?? failed.failure?.message ?? 'timed out') : null;
  return { workflowId, ...entry, endedAt, result: completed ? decode(completed.result) : null, failure };
}

function decode(payloads: Payloads | null | undefined): unknown {
  const [first] = payloads?.payloads ?? [];
  return first ? defaultPayloadConverter.fromPayload(first) : null;
}

function summaryOf(event: HistoryEvent): string {
  const { summary } = event.userMetadata ?? {};
  return summary ? defaultPayloadConverter.fromPayload<string>(summary) : '';
}

function toMs(event: HistoryEvent): number {
  return Number(event.eventTime?.seconds ?? 0) * 1000 + (event.eventTime?.nanos ?? 0) / 1e6;
}
