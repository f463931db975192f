// Makes an incident begin, and shows each step of it and of its children as it ends, until the incident is closed.

import type { Client } from '@temporalio/client';
import { setMaxListeners } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { describePending } from '../../client/progress';
import { incidentWorkflowId } from '../../domain/facts/names';
import type { IncidentReport } from '../../workflows/messages';
import { type ActivityRecord, type RunRecord, waitForRun, waitUntilClosed, watchRun } from '../incident-watch';
import type { Lab } from '../lab';

const copyLookMs = 100;

export type Say = (line?: string) => void;

/** The tools of every act of the demo. */
export interface Stage {
  readonly lab: Lab;
  readonly temporal: Client;
  readonly say: Say;
}

export interface Cause<T> {
  /** For people: the act at +0 ms, and the program that then opens the incident. */
  readonly line: string;
  readonly opener: string;
  readonly limitMs: number;
  /** Called at +0 ms; `say` puts the time before a line. */
  act(say: (line: string) => void): Promise<T>;
}

export interface Watched<T> {
  readonly incident: RunRecord;
  readonly report: IncidentReport;
  readonly web: string;
  /** The result of `act`. */
  readonly done: T;
}

/** @throws when the incident is not closed within limitMs, or fails; errors of `act` */
export async function watchIncident<T>({ lab, temporal, say }: Stage, cause: Cause<T>): Promise<Watched<T>> {
  const workflowId = incidentWorkflowId(lab.configuration.cluster);
  const signal = AbortSignal.timeout(cause.limitMs);
  // Every long poll of every watched run adds a listener.
  setMaxListeners(0, signal);
  let seen = 'it was not opened';
  try {
    const last = await waitUntilClosed(temporal, workflowId, signal);
    const startedAt = Date.now();
    const sayNow = (line: string): void => {
      say(`${offset(Date.now(), startedAt)}  ${line}`);
    };
    const watch = async (): Promise<{ incident: RunRecord; web: string }> => {
      const runId = await waitForRun(temporal, workflowId, last, signal);
      const web = `${lab.temporal.web}/namespaces/${lab.temporal.namespace}/workflows/${workflowId}/${runId}`;
      seen = `it is still open: ${web}`;
      sayNow(`${cause.opener} has opened the incident: ${web}`);
      const watcher = new StepWatcher(temporal, startedAt, say);
      return { incident: await watchRun(temporal, { workflowId, runId }, watcher, signal), web };
    };
    say();
    sayNow(cause.line);
    const [done, watched] = await Promise.all([cause.act(sayNow), watch()]);
    return { ...watched, report: watched.incident.result as IncidentReport, done };
  } catch (error) {
    if (!signal.aborted) throw error;
    const limit = `${cause.limitMs / 1000} s`;
    throw new Error(`the incident was not closed within ${limit}; ${seen}`, { cause: error });
  }
}

/** Says a line for each activity that has ended; a base backup also shows its progress. */
class StepWatcher {
  private copying = new AbortController();

  constructor(
    private readonly temporal: Client,
    private readonly startedAt: number,
    private readonly say: Say,
  ) {}

  onScheduled(workflowId: string, activity: string): void {
    if (activity !== 'baseBackup') return;
    this.copying = new AbortController();
    // A copy without progress is still shown at its end.
    void this.showCopy(workflowId, this.copying.signal).catch(() => undefined);
  }

  onActivity(record: ActivityRecord): void {
    if (record.activity === 'baseBackup') this.copying.abort();
    this.say(describeActivity(record, this.startedAt));
  }

  /** Shows progress from the heartbeats, two a second. Rejects when `signal` ends it. */
  private async showCopy(workflowId: string, signal: AbortSignal): Promise<void> {
    for (let shown = ''; ;) {
      const pending = describePending(await this.temporal.workflow.getHandle(workflowId).describe());
      signal.throwIfAborted();
      const copy = pending.find(({ line }) => /: base backup [0-9]+ %/.test(line));
      if (copy && copy.key !== shown) this.say(`${offset(Date.now(), this.startedAt)}  … ${copy.line}`);
      shown = copy?.key ?? shown;
      await delay(copyLookMs, undefined, { signal });
    }
  }
}

function describeActivity(record: ActivityRecord, startedAt: number): string {
  const took = `${Math.round(record.endedAt - record.startedAt)} ms`;
  const line = (record.result as { line?: string; seen?: string } | null) ?? {};
  const said = record.failure ?? line.line ?? line.seen ?? '';
  return `${offset(record.endedAt, startedAt)}  ${record.activity.padEnd(20)} ${took.padStart(7)}  ${record.summary}${said ? `\n${' '.repeat(41)}→ ${said}` : ''}`;
}

function offset(at: number, startedAt: number): string {
  return `+${Math.round(at - startedAt)} ms`.padStart(9);
}
