// The bench of the workflow tests: one real Temporal dev server, one worker with fake activities, a fake cluster per test.

import { Context } from '@temporalio/activity';
import { type WorkflowHandle } from '@temporalio/client';
import { TestWorkflowEnvironment } from '@temporalio/testing';
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import type { ClusterEvent } from '../../domain/facts/event';
import type { Choice, Decision, ParkedStep } from '../../domain/facts/decision';
import {
  decideUpdateName,
  eventSignalName,
  incidentWorkflowId,
  parkedQueryName,
  settledUpdateName,
  watchTaskQueue,
} from '../../domain/facts/names';
import type { Verdict } from '../../domain/facts/outcome';
import { findTools } from '../../lab/tools';
import type { incident } from '../../workflows/incident';
import type { IncidentReport, IncidentTiming } from '../../workflows/messages';
import { ensureCluster } from '../../worker/record';
import { searchAttributeKeys } from '../../workflows/search-attributes';
import { type ActivityName, FakeCluster, type Fakes } from './fake-cluster';

export type IncidentHandle = WorkflowHandle<typeof incident> & { readonly runId: string };
export type History = Awaited<ReturnType<WorkflowHandle['fetchHistory']>>;

const identity = 'test@host';
const taskQueue = 'test';

/** Long enough for a message to arrive within, short enough to wait for. */
export const quick: IncidentTiming = {
  lingerMs: 200,
  preemptMs: 150,
  looks: 0,
  lookAgainMs: 50,
  slowLookMs: null,
  quietMs: 1,
  attachMs: 1,
};

export class Bench {
  private readonly clusters = new Map<string, FakeCluster>();
  /** Acts by run and activity, unless they have failed. */
  private readonly acts = new Map<string, Promise<unknown>>();
  private eventCounter = 0;
  private running: Promise<unknown> = Promise.resolve();
  private workers: readonly Worker[] = [];

  private constructor(readonly environment: TestWorkflowEnvironment) {}

  /** @param settings of the server, KEY=value; @param slots for activities other than watches */
  static async open(settings: readonly string[] = [], slots = 100): Promise<Bench> {
    // An activity whose workflow a test has terminated is worth a warning elsewhere.
    Runtime.install({ logger: new DefaultLogger('ERROR'), telemetryOptions: { logging: { filter: 'ERROR' } } });
    const environment = await TestWorkflowEnvironment.createLocal({
      client: { identity },
      server: {
        executable: { type: 'existing-path', path: findTools().temporal },
        ip: '127.0.0.1',
        log: { format: 'pretty', level: 'error' },
        searchAttributes: Object.values(searchAttributeKeys),
        extraArgs: [
          ...['--dynamic-config-value', 'history.transferProcessorMaxPollRPS=200'],
          // By default the server fires a timer up to a second late.
          ...['--dynamic-config-value', 'history.timerProcessorMaxTimeShift="1ms"'],
          ...settings.flatMap((setting) => ['--dynamic-config-value', setting]),
        ],
      },
    });
    const bench = new Bench(environment);
    await bench.start(slots);
    return bench;
  }

  private async start(slots: number): Promise<void> {
    const { watch, ...acts } = this.activities();
    const common = {
      connection: this.environment.nativeConnection,
      identity,
      maxHeartbeatThrottleInterval: '50ms',
      shutdownForceTime: '2s',
    } as const;
    this.workers = [
      await Worker.create({
        ...common,
        taskQueue,
        workflowBundle: { codePath: process.env['WORKFLOW_BUNDLE']! },
        activities: acts,
        maxConcurrentActivityTaskExecutions: slots,
      }),
      await Worker.create({ ...common, taskQueue: watchTaskQueue(taskQueue), activities: { watch } }),
    ];
    this.running = Promise.all(this.workers.map((worker) => worker.run()));
  }

  /** @param isReplayed false where the runs are of another version, on purpose */
  async close({ isReplayed = true } = {}): Promise<void> {
    for (const worker of this.workers) worker.shutdown();
    await this.running;
    try {
      if (isReplayed) await this.replayAll();
    } finally {
      await this.environment.teardown();
    }
  }

  /** Names are short and end in nothing random. */
  newCluster(): FakeCluster {
    const name = `shop-${this.clusters.size + 1}`;
    const cluster = new FakeCluster(name, async ({ node, eventId, more }) => {
      await this.send(cluster, { eventId, kind: 'returned', node, oldPrimary: null, ...more });
    });
    this.clusters.set(name, cluster);
    return cluster;
  }

  newEvent(fields: Partial<ClusterEvent> & Pick<ClusterEvent, 'kind' | 'node'>): ClusterEvent {
    this.eventCounter += 1;
    return {
      eventId: `event-${this.eventCounter}`,
      mainNode: 1,
      oldPrimary: 0,
      at: new Date().toISOString(),
      ...fields,
    };
  }

  /** Sends an event as hook.sh does; fields that are not given are those of a hook call about primary 0. */
  async send(
    cluster: FakeCluster,
    fields: Partial<ClusterEvent> & Pick<ClusterEvent, 'kind' | 'node'>,
    timing: IncidentTiming | null = quick,
  ): Promise<{ event: ClusterEvent; incident: IncidentHandle }> {
    const event = this.newEvent(fields);
    return { event, incident: await this.sendRaw(cluster, event, timing) };
  }

  async sendRaw(
    cluster: FakeCluster,
    payload: unknown,
    timing: IncidentTiming | null = quick,
  ): Promise<IncidentHandle> {
    const { workflow } = this.environment.client;
    const handle = await workflow.signalWithStart('incident', {
      workflowId: incidentWorkflowId(cluster.name),
      taskQueue,
      args: timing ? [cluster.name, timing] : [cluster.name],
      signal: eventSignalName,
      signalArgs: [payload],
      workflowTaskTimeout: '2s',
    });
    const runId = handle.signaledRunId;
    return Object.assign(workflow.getHandle<typeof incident>(handle.workflowId, runId), { runId });
  }

  /** A failover event about the primary, node 0, from its signal to the end of its run. */
  async failOver(
    cluster: FakeCluster,
  ): Promise<{ event: ClusterEvent; incident: IncidentHandle; report: IncidentReport }> {
    const sent = await this.send(cluster, { kind: 'failover', node: 0 });
    return { ...sent, report: await sent.incident.result() };
  }

  async askSettled(incident: IncidentHandle, eventId: string): Promise<Verdict> {
    return await incident.executeUpdate<Verdict, [string]>(settledUpdateName, { args: [eventId] });
  }

  /** Waits until the incident shows this step as parked, then decides; the answer of the update. */
  async decide(handle: WorkflowHandle, stepId: string, choice: Choice, more: Partial<Decision> = {}): Promise<string> {
    await this.untilParked(handle, stepId);
    const decision = { stepId, choice, operator: 'tester', reason: 'the test says so', ...more };
    return await handle.executeUpdate<string, [Decision]>(decideUpdateName, { args: [decision] });
  }

  async untilParked(handle: WorkflowHandle, stepId: string): Promise<ParkedStep> {
    let found: ParkedStep | undefined;
    await eventually(`${stepId} is parked`, async () => {
      found = (await handle.query<readonly ParkedStep[]>(parkedQueryName)).find((step) => step.stepId === stepId);
      return found !== undefined;
    });
    return found!;
  }

  incidentOf(cluster: FakeCluster): WorkflowHandle {
    return this.environment.client.workflow.getHandle(incidentWorkflowId(cluster.name));
  }

  /** The cluster's record and its watch. */
  async openClusterOf({ configuration }: FakeCluster): Promise<void> {
    const temporal = { ...configuration.temporal, taskQueue };
    await ensureCluster(this.environment.client, { ...configuration, temporal });
  }

  /** The first follow of this node in the run. */
  async followOf(incident: WorkflowHandle, node: number): Promise<WorkflowHandle> {
    const started = (await incident.fetchHistory()).events!.flatMap(
      (entry) => entry.childWorkflowExecutionStartedEventAttributes?.workflowExecution ?? [],
    );
    const child = started.find(({ workflowId }) => workflowId!.endsWith(`.follow.${node}`))!;
    return this.environment.client.workflow.getHandle(child.workflowId!, child.runId!);
  }

  /** Every run that a test made, of every workflow, replayed on the code that made it: what is not deterministic fails here. */
  async replayAll(): Promise<string[]> {
    const { workflow } = this.environment.client;
    const types = new Set<string>();
    const workflowBundle = { codePath: process.env['WORKFLOW_BUNDLE']! };
    for await (const { workflowId, runId, type } of workflow.list()) {
      const history = await workflow.getHandle(workflowId, runId).fetchHistory();
      await Worker.runReplayHistory({ workflowBundle }, history, workflowId);
      types.add(type);
    }
    return [...types];
  }

  private activities(): Fakes {
    const names = Object.keys(this.newCluster().fakes) as ActivityName[];
    this.clusters.clear();
    return Object.fromEntries(names.map((name) => [name, (input: unknown) => this.act(name, input)])) as never;
  }

  private async act(name: ActivityName, input: unknown): Promise<unknown> {
    const context = Context.current();
    const { activityId, workflowExecution } = context.info;
    const key = `${workflowExecution!.runId} ${activityId}`;
    const { cluster: given } = input as { cluster?: string };
    const timer = setInterval(() => {
      const samples = name === 'watch' ? this.clusters.get(given!)?.samples : null;
      context.heartbeat(...(samples ? [samples] : []));
    }, 50);
    try {
      // After a heartbeat timeout the first attempt still works here: it is the same act, also in the record of calls.
      const acting = this.acts.get(key) ?? this.actOnce(name, input, context);
      this.acts.set(key, acting);
      // A watch goes on for ever otherwise.
      return await (name === 'watch' ? Promise.race([acting, context.cancelled]) : acting);
    } catch (error) {
      this.acts.delete(key);
      throw error;
    } finally {
      clearInterval(timer);
    }
  }

  private async actOnce(name: ActivityName, input: unknown, context: Context): Promise<unknown> {
    const { cluster: given, configuration } = input as { cluster?: string; configuration?: { cluster: string } };
    const cluster = this.clusters.get(given ?? configuration!.cluster)!;
    await cluster.begin(callerOf(context), shortName(name, input), context.cancelled);
    // The name and the input belong together: both come from one activity task.
    return await (cluster.fakes[name] as (input: unknown) => Promise<unknown>)(input);
  }
}

function callerOf({ info }: Context): string {
  const node = /\.follow\.([0-9]+)/.exec(info.workflowExecution?.workflowId ?? '')?.[1];
  return node === undefined ? 'incident' : `follow ${node}`;
}

function shortName(name: ActivityName, input: unknown): string {
  const { node, candidate, primary } = input as { node?: number; candidate?: number; primary?: number };
  const about = node ?? candidate ?? primary;
  return about === undefined ? name : `${name} ${about}`;
}

/** Timers of the run that have fired, and how long those that it started were to take. */
export async function timersOf(handle: WorkflowHandle): Promise<{ fired: number; startedMs: number[] }> {
  const events = (await handle.fetchHistory()).events ?? [];
  return {
    fired: events.filter((entry) => entry.timerFiredEventAttributes).length,
    startedMs: events.flatMap(({ timerStartedEventAttributes: timer }) =>
      timer ? [Number(timer.startToFireTimeout!.seconds) * 1000 + timer.startToFireTimeout!.nanos! / 1e6] : [],
    ),
  };
}

/** Waits for a condition that only polling can see; fails with what it was waiting for. */
export async function eventually(what: string, isTrue: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!(await isTrue())) {
    if (Date.now() > deadline) throw new Error(`waited 10 s for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
