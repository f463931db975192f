// Shows what an incident does for one node while a person waits: each new line once.

import type { Client, WorkflowExecutionDescription } from '@temporalio/client';
import { setTimeout as delay } from 'node:timers/promises';
import type { ClusterConfiguration } from '../domain/facts/cluster';
import type { ParkedStep } from '../domain/facts/decision';
import { describeParked, describePending, findNodeOf, formatDecideCommand, listParked } from './progress';
import { isUnanswered } from './temporal';

const lookEveryMs = 2000;
const lookMs = 5000;

interface Subject {
  readonly run: { readonly workflowId: string; readonly runId: string };
  readonly node: number;
  readonly clusterFile: string;
}

export class ProgressWatch {
  private shown: ReadonlySet<string> = new Set();
  private readonly parked = new Set<string>();
  private isSilenceTold = false;

  constructor(
    private readonly client: Client,
    private readonly configuration: ClusterConfiguration,
    private readonly subject: Subject,
    private readonly say: (line: string) => void,
  ) {}

  /** Looks again and again until the signal comes. Never rejects, because the answer comes another way. */
  async follow(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      // A new signal for each look, because every call leaves a listener on its signal.
      const looking = new AbortController();
      const stop = (): void => {
        looking.abort();
      };
      signal.addEventListener('abort', stop);
      const look = this.client.connection.withDeadline(Date.now() + lookMs, () =>
        this.client.withAbortSignal(looking.signal, () => this.look(looking.signal)),
      );
      await look.catch(() => undefined);
      signal.removeEventListener('abort', stop);
      await delay(lookEveryMs, undefined, { signal }).catch(() => undefined);
    }
  }

  private async look(signal: AbortSignal): Promise<void> {
    const { run, node } = this.subject;
    const incident = await this.describe(run.workflowId, run.runId);
    const children = (incident.raw.pendingChildren ?? []).filter(({ workflowId }) => findNodeOf(workflowId!) === node);
    const follows = await Promise.all(children.map(({ workflowId, runId }) => this.describe(workflowId!, runId!)));
    const lines = follows.flatMap(describePending);
    for (const { key, line } of lines) if (!this.shown.has(key)) this.say(line);
    this.shown = new Set(lines.map(({ key }) => key));
    if (incident.status.name === 'RUNNING') await this.lookForParked(signal);
  }

  private async describe(workflowId: string, runId: string): Promise<WorkflowExecutionDescription> {
    return await this.client.workflow.getHandle(workflowId, runId).describe();
  }

  private async lookForParked(signal: AbortSignal): Promise<void> {
    try {
      for (const step of await listParked(this.client, this.subject.run)) this.showParked(step);
    } catch (error) {
      // An error that is an answer is no silence: the incident of an older worker does not know the question.
      if (this.isSilenceTold || signal.aborted || !isUnanswered(error)) return;
      this.isSilenceTold = true;
      const { taskQueue } = this.configuration.temporal;
      this.say(`no worker answers on task queue ${taskQueue}: is one running? Temporal keeps the event until then`);
    }
  }

  private showParked(step: ParkedStep): void {
    const key = `${step.stepId} ${step.since}`;
    if (this.parked.has(key)) return;
    this.parked.add(key);
    this.say(describeParked(step));
    const { run, clusterFile } = this.subject;
    this.say(`  ${formatDecideCommand('pgpool-runbook', run.workflowId, step, clusterFile)}`);
  }
}
