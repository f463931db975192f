// pgpool-runbook rejoin: makes a node follow the primary again, and waits for the result.
// Temporal does the work: a person may stop waiting at any time, and the rejoin goes on.

import { type Client, WorkflowNotFoundError, WorkflowUpdateFailedError } from '@temporalio/client';
import { randomUUID } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { type ClusterConfiguration, findNode } from '../../domain/facts/cluster';
import type { ClusterEvent } from '../../domain/facts/event';
import { incidentStart, settledUpdateName, workflowTypes } from '../../domain/facts/names';
import type { Verdict } from '../../domain/facts/outcome';
import type { IncidentReport } from '../../workflows/messages';
import { loadClusterFiles } from '../cluster-files';
import { CommandFailure, type CommandResult } from '../outcome';
import { isUnanswered, withinCallTime, withTemporal } from '../temporal';
import { ProgressWatch } from '../watch';

export interface RejoinArguments {
  readonly config: string;
  /** False: only send the event. */
  readonly wait: boolean;
  /** Seconds; without it, as long as it takes. */
  readonly timeout?: number;
}

interface Run {
  readonly workflowId: string;
  readonly runId: string;
}

const askAgainMs = 2000;

/**
 * `say` gets progress, one line at a time.
 * @throws CommandFailure 1 when the incident ended without an answer, 2 for a node that the file does not have,
 * 3 without Temporal, 4 when the waiting ended first
 */
export async function rejoin(
  nodeText: string,
  options: RejoinArguments,
  say: (line: string) => void,
): Promise<CommandResult> {
  const configuration = loadClusterFiles([options.config])[0]!.configuration;
  const node = parseNode(configuration, nodeText);
  return await withTemporal(configuration, async (client) => {
    const event = createEvent(node);
    const incident = await withinCallTime(client, () => sendEvent(client, configuration, event));
    if (!options.wait) {
      const line = `node ${node}: its rejoin is sent to the incident ${nameOf(incident)}`;
      return { exitCode: 0, lines: [line], json: { incident, node } };
    }
    const verdict = await waitForVerdict(client, configuration, incident, event, options, say);
    const { outcome, reason, line } = verdict;
    return {
      exitCode: outcome === 'completed' ? 0 : 1,
      lines: [`${outcome} (${reason}): ${line}`],
      json: { incident, node, outcome, reason, line },
    };
  });
}

function parseNode(configuration: ClusterConfiguration, text: string): number {
  const node = /^[0-9]{1,3}$/.test(text) ? findNode(configuration, Number(text)) : undefined;
  if (node) return node.id;
  const ids = configuration.nodes.map(({ id }) => id).join(', ');
  throw new CommandFailure(2, `cluster ${configuration.cluster} has no node ${text}: its nodes are ${ids}`);
}

function createEvent(node: number): ClusterEvent & { readonly node: number } {
  const eventId = `rejoin-${node}-${randomUUID()}`;
  return { eventId, kind: 'rejoin', node, mainNode: null, oldPrimary: null, at: new Date().toISOString() };
}

async function sendEvent(client: Client, configuration: ClusterConfiguration, event: ClusterEvent): Promise<Run> {
  const start = incidentStart(configuration, event);
  const { workflowId, signaledRunId } = await client.workflow.signalWithStart(workflowTypes.incident, start);
  return { workflowId, runId: signaledRunId };
}

/** Shows progress meanwhile; SIGINT, SIGTERM and the time limit end the waiting only. */
async function waitForVerdict(
  client: Client,
  configuration: ClusterConfiguration,
  run: Run,
  event: ClusterEvent & { readonly node: number },
  options: RejoinArguments,
  say: (line: string) => void,
): Promise<Verdict> {
  const ending = new AbortController();
  // Each poll for the answer leaves a listener behind.
  setMaxListeners(0, ending.signal);
  const giveUp = (why: string): void => {
    const left = `${why}: the rejoin of node ${event.node} goes on in the incident ${nameOf(run)}`;
    ending.abort(new CommandFailure(4, left));
  };
  const interrupt = (name: NodeJS.Signals): void => {
    giveUp(`interrupted by ${name}`);
  };
  process.once('SIGINT', interrupt).once('SIGTERM', interrupt);
  const { timeout } = options;
  const timer =
    timeout === undefined
      ? undefined
      : setTimeout(() => {
          giveUp(`not settled within ${timeout} s`);
        }, timeout * 1000);
  const watch = new ProgressWatch(client, configuration, { run, node: event.node, clusterFile: options.config }, say);
  const watching = watch.follow(ending.signal);
  try {
    // A call that pauses between two attempts notices late that the waiting has ended.
    return await Promise.race([askUntilSettled(client, run, event.eventId, ending.signal, say), endOf(ending.signal)]);
  } finally {
    clearTimeout(timer);
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
    ending.abort();
    await watching;
  }
}

async function endOf(signal: AbortSignal): Promise<never> {
  return await new Promise((_, reject) => {
    signal.addEventListener('abort', () => {
      reject(signal.reason as Error);
    });
  });
}

/**
 * Waits for the answer, even over a restart of Temporal: the event's id is also the update's, so asking again joins the
 * same update.
 */
async function askUntilSettled(
  client: Client,
  run: Run,
  eventId: string,
  signal: AbortSignal,
  say: (line: string) => void,
): Promise<Verdict> {
  const handle = client.workflow.getHandle(run.workflowId, run.runId);
  for (let isFirst = true; ; isFirst = false) {
    try {
      return await client.withAbortSignal(signal, () =>
        handle.executeUpdate<Verdict, [string]>(settledUpdateName, { args: [eventId], updateId: eventId }),
      );
    } catch (error) {
      signal.throwIfAborted();
      const hasEnded = error instanceof WorkflowNotFoundError || error instanceof WorkflowUpdateFailedError;
      if (hasEnded) return await readClosed(client, run, eventId, error);
      if (!isUnanswered(error)) throw error;
      if (isFirst) say('Temporal does not answer: still waiting, and the rejoin goes on when it is back');
      await delay(askAgainMs, undefined, { signal });
    }
  }
}

/** The answer of a run that has ended: its result holds the verdict of each event. */
async function readClosed(client: Client, run: Run, eventId: string, seen: Error): Promise<Verdict> {
  const handle = client.workflow.getHandle(run.workflowId, run.runId);
  const { status } = await withinCallTime(client, () => handle.describe());
  const report =
    status.name === 'COMPLETED'
      ? ((await withinCallTime(client, () => handle.result())) as Partial<IncidentReport>)
      : null;
  const verdict = report?.events?.find((event) => event.eventId === eventId);
  if (verdict) return verdict;
  const why = seen.cause instanceof Error ? seen.cause.message : seen.message;
  const advice = 'look at it in Temporal Web, then ask for the rejoin again';
  throw new CommandFailure(1, `the incident ${nameOf(run)} gave no answer (${status.name}: ${why}): ${advice}`);
}

function nameOf({ workflowId, runId }: Run): string {
  return `${workflowId} (run ${runId})`;
}
