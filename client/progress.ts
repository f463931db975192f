// Work in progress, as Temporal shows it: pending activities with their last progress, and steps that wait for a
// person.

import { type Client, defaultPayloadConverter, type WorkflowExecutionDescription } from '@temporalio/client';
import type { ParkedStep } from '../domain/facts/decision';
import { parkedQueryName, watchActivityName } from '../domain/facts/names';

export interface ProgressLine {
  /** Lines with equal keys say the same, even if a counter in them has moved. */
  readonly key: string;
  readonly line: string;
}

type PendingActivity = NonNullable<WorkflowExecutionDescription['raw']['pendingActivities']>[number];
type Payload = Parameters<typeof defaultPayloadConverter.fromPayload>[0];
type Failure = NonNullable<PendingActivity['lastFailure']>;

/** temporal.api.enums.v1.PendingActivityState: an attempt runs. */
const startedState = 2;

/** The node of a follow's workflow; null for the incident itself. */
export function findNodeOf(workflowId: string): number | null {
  const node = /[.]follow[.]([0-9]+)/.exec(workflowId)?.[1];
  return node === undefined ? null : Number(node);
}

/** A line for each activity that runs or waits for its next attempt. A watch is left out, because it always runs. */
export function describePending({ workflowId, raw }: WorkflowExecutionDescription): ProgressLine[] {
  const node = findNodeOf(workflowId);
  const who = node === null ? 'incident' : `node ${node}`;
  const isWork = ({ activityType }: PendingActivity): boolean => activityType?.name !== watchActivityName;
  return (raw.pendingActivities ?? []).filter(isWork).map((pending) => describeActivity(who, pending));
}

/** @throws what Client.workflow's query does, when no worker answers */
export async function listParked(
  client: Client,
  run: { readonly workflowId: string; readonly runId: string },
): Promise<readonly ParkedStep[]> {
  return await client.workflow.getHandle(run.workflowId, run.runId).query<readonly ParkedStep[]>(parkedQueryName);
}

/** The shell command that decides about the step, with its first choice as the example. */
export function formatDecideCommand(program: string, incident: string, step: ParkedStep, clusterFile: string): string {
  const file = /^[\w./~+-]+$/.test(clusterFile) ? clusterFile : `'${clusterFile.replaceAll("'", `'\\''`)}'`;
  return `${program} decide ${incident} ${step.stepId} ${step.choices[0] ?? 'retry'} --reason "..." --config ${file}`;
}

export function describeParked(step: ParkedStep): string {
  return toOneLine(
    `parked: ${step.stepId} (${step.title}), since ${step.since}: ${step.problem}; choices: ${step.choices.join(', ')}`,
  );
}

function describeActivity(who: string, pending: PendingActivity): ProgressLine {
  const activity = (pending.activityType?.name ?? 'step').replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
  const attempt = (pending.attempt ?? 1) > 1 ? `, attempt ${String(pending.attempt)}` : '';
  // While the activity waits for its next attempt, progress of the last attempt is stale.
  const said = Number(pending.state) === startedState ? readHeartbeat(pending) : null;
  if (said?.isSentence)
    return { key: `${who} ${activity}${attempt} ${said.key}`, line: toOneLine(`${said.text}${attempt}`) };
  const failure = innermostMessage(pending.lastFailure);
  const seen = said?.text ?? failure;
  return {
    key: `${who} ${activity} ${failure}`,
    line: toOneLine(`${who}: ${activity}${attempt}${seen === '' ? '' : `: ${seen}`}`),
  };
}

/** The last progress of pending activities of this name, even if their worker is dead. */
export function readLastWords({ raw }: WorkflowExecutionDescription, activity: string): unknown[] {
  const own = (raw.pendingActivities ?? []).filter(({ activityType }) => activityType?.name === activity);
  return own.flatMap(({ heartbeatDetails }) => (heartbeatDetails?.payloads ?? []).slice(0, 1)).flatMap(decode);
}

/** Another version's words may be no JSON. */
function decode(payload: Payload): unknown[] {
  try {
    return [defaultPayloadConverter.fromPayload(payload)];
  } catch {
    return [];
  }
}

/** Reads an activity's progress: words, or {line, percent} with a whole sentence. */
function readHeartbeat({
  heartbeatDetails,
}: PendingActivity): { text: string; isSentence: boolean; key: string } | null {
  const [payload] = heartbeatDetails?.payloads ?? [];
  const details: unknown = payload ? defaultPayloadConverter.fromPayload(payload) : null;
  if (typeof details === 'string') return { text: details, isSentence: false, key: '' };
  const { line, percent } = (details ?? {}) as { line?: unknown; percent?: unknown };
  if (typeof line !== 'string') return null;
  return { text: line, isSentence: true, key: typeof percent === 'number' ? String(Math.floor(percent)) : line };
}

/** The innermost message, because Temporal wraps an activity's failure in its own. */
function innermostMessage(failure: Failure | null | undefined): string {
  let inner = failure;
  while (inner?.cause) inner = inner.cause;
  return inner?.message ?? '';
}

function toOneLine(text: string): string {
  return text.replaceAll(/\s+/g, ' ');
}
