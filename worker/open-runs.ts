// Open runs of an older version: a run that this version cannot replay fails at once, and a new run decides about its
// events.

import { type Client, defaultPayloadConverter } from '@temporalio/client';
import { Worker, type ReplayWorkerOptions, type WorkerOptions } from '@temporalio/worker';
import { messageOf } from '../activities/io/failures';
import { ensureCluster } from './record';
import type { ClusterConfiguration } from '../domain/facts/cluster';
import { type ClusterEvent, parseEvent } from '../domain/facts/event';
import { eventSignalName, incidentStart, searchAttributeNames, workflowTypes } from '../domain/facts/names';

/**
 * Makes a run that this version cannot replay fail. Otherwise it would stand still and swallow its cluster's events;
 * now hooks send theirs again.
 */
export const failUnreplayable: Pick<WorkerOptions, 'workflowFailureErrorTypes'> = {
  workflowFailureErrorTypes: { '*': ['NondeterminismError'] },
};

/** Workflow types of older versions, whose runs may still be open. */
const formerTypes = { await: 'awaitNode' } as const;

type History = Awaited<ReturnType<ReturnType<Client['workflow']['getHandle']>['fetchHistory']>>;

interface OpenRun {
  readonly workflowId: string;
  readonly runId: string;
  readonly type: string;
  readonly history: History;
}

/** Time for a run to fail at its next workflow task; another worker of the old version may go on with it. */
const closeMs = 20_000;
const pollMs = 200;

/**
 * Replays the open runs of these clusters on this version's workflows, and says in one line for each run that fails
 * what is done. An incident's events are sent again, to a new run.
 */
export async function lookAfterOpenRuns(
  client: Client,
  code: ReplayWorkerOptions,
  configurations: readonly ClusterConfiguration[],
  say: (line: string) => void,
): Promise<void> {
  for (const configuration of configurations) {
    const runs = await readOpenRuns(client, configuration.cluster);
    for await (const { runId, workflowId, error } of Worker.runReplayHistories(code, runs)) {
      const run = runs.find((entry) => entry.workflowId === workflowId);
      if (!error || !run) continue;
      const what = `${workflowId}, run ${(runId || run.runId).slice(0, 8)}`;
      say(`warning: ${what}, was opened by another version and ends: ${await replace(client, configuration, run)}`);
    }
  }
}

async function readOpenRuns(client: Client, cluster: string): Promise<OpenRun[]> {
  const query = `${searchAttributeNames.cluster} = "${cluster}" AND ExecutionStatus = "Running"`;
  const runs: OpenRun[] = [];
  for await (const { workflowId, runId, type } of client.workflow.list({ query }))
    runs.push({ workflowId, runId, type, history: await client.workflow.getHandle(workflowId, runId).fetchHistory() });
  return runs;
}

/** Returns in words what is done for the run. */
async function replace(client: Client, configuration: ClusterConfiguration, run: OpenRun): Promise<string> {
  try {
    if (run.type === workflowTypes.incident) return await sendAgain(client, configuration, run);
    if (run.type === formerTypes.await) {
      await client.workflow.getHandle(run.workflowId, run.runId).terminate('the watch tells of its node');
      return 'the watch tells of its node when it is back';
    }
    if (run.type === workflowTypes.cluster) {
      await client.workflow.getHandle(run.workflowId, run.runId).terminate('this version cannot go on with it');
      await ensureCluster(client, configuration);
      return 'it is started again with its record';
    }
    return 'its incident reports it as failed; to have its node follow now, call rejoin';
  } catch (error) {
    return `its events could not be sent to a new run: ${messageOf(error)}`;
  }
}

async function sendAgain(client: Client, configuration: ClusterConfiguration, run: OpenRun): Promise<string> {
  const [first, ...others] = eventsToRepeat(run.history);
  const advice = 'a rejoin must be called again';
  if (!first) return advice;
  // The signal's workflow task makes the run fail, with this event in it.
  if ((await send(client, configuration, first)) === run.runId) {
    const handle = client.workflow.getHandle(run.workflowId, run.runId);
    const deadline = Date.now() + closeMs;
    while ((await handle.describe()).status.name === 'RUNNING') {
      if (Date.now() > deadline) return 'it is still open, because a worker of its version runs; stop that one';
      await new Promise((resolve) => setTimeout(resolve, pollMs));
    }
    await send(client, configuration, first);
  }
  for (const event of others) await send(client, configuration, event);
  return `a new run decides about its events; ${advice}`;
}

async function send(client: Client, configuration: ClusterConfiguration, event: ClusterEvent): Promise<string> {
  const { workflow } = client;
  return (await workflow.signalWithStart(workflowTypes.incident, incidentStart(configuration, event))).signaledRunId;
}

/**
 * The last failover first, then the last event about each node. Rejoins are left out: a person's consent to replace
 * data counts for one run only.
 */
function eventsToRepeat(history: History): ClusterEvent[] {
  const last = new Map<string, ClusterEvent>();
  for (const { workflowExecutionSignaledEventAttributes: signal } of history.events ?? []) {
    if (signal?.signalName !== eventSignalName) continue;
    const parsed = parseEvent(payloadsOf(signal.input)[0]);
    if (!('event' in parsed) || parsed.event.kind === 'rejoin') continue;
    const { kind, node } = parsed.event;
    last.set(kind === 'failover' ? kind : String(node), parsed.event);
  }
  return [...last]
    .sort(([left], [right]) => Number(right === 'failover') - Number(left === 'failover'))
    .map(([, event]) => event);
}

type Payloads = NonNullable<
  NonNullable<NonNullable<History['events']>[number]['workflowExecutionStartedEventAttributes']>['input']
>;

function payloadsOf(payloads: Payloads | null | undefined): unknown[] {
  return (payloads?.payloads ?? []).map((payload) => defaultPayloadConverter.fromPayload(payload));
}
