// The worker process: serves the task queue of its cluster files until it is told to stop.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import { NativeConnection, Runtime, Worker, type WorkerOptions } from '@temporalio/worker';
import { createActivities } from '../activities/index';
import { messageOf } from '../activities/io/failures';
import type { WorkerTools } from '../activities/io/tools';
import { loadClusterFile } from '../configuration/load';
import { watchTaskQueue } from '../domain/facts/names';
import { runAttempt, runUnbeaten } from './attempt';
import { findUnreachable } from './first-look';
import { failUnreplayable, lookAfterOpenRuns } from './open-runs';
import { keepOpen } from './keep-open';
import { keepWarm } from './keep-warm';
import { LineLogger } from './log';
import { narrate } from './narrate';
import { ensureCluster } from './record';
import { ensureSearchAttributes } from './search-attributes';
import { watchTemporal } from './temporal-watch';
import { type ClusterFile, createTools } from './tools';
import { warmUp } from './warm-up';

type Say = (line: string) => void;
type TemporalSettings = ClusterFile['configuration']['temporal'];

/**
 * Runs until SIGTERM or SIGINT. Says "worker ready: …" once it has run a workflow, then warns of each way to a node
 * that does not work.
 * @throws ConfigurationError for a bad cluster file, before anything is started; TransportError without Temporal
 */
export async function runWorker(clusterFiles: readonly string[], say: Say = sayOnStdout): Promise<void> {
  const files = clusterFiles.map((path) => ({ path, configuration: loadClusterFile(path) }));
  const queues = groupByQueue(files);
  Runtime.install({
    logger: new LineLogger(say),
    // Without this the native side prints to the console itself.
    telemetryOptions: { logging: { filter: { core: 'WARN', other: 'ERROR' }, forward: {} } },
    shutdownSignals: ['SIGTERM', 'SIGINT'],
  });
  await Promise.all(queues.map(({ temporal, files: own }) => serveQueue(temporal, own, say)));
}

async function serveQueue(temporal: TemporalSettings, files: readonly ClusterFile[], say: Say): Promise<void> {
  const { address, namespace, taskQueue } = temporal;
  // TLS, API key and the like come from Temporal's own environment variables and file, as for its CLI.
  const { connectionOptions } = loadClientConnectConfig();
  const connection = await Connection.connect({ ...connectionOptions, address, channelArgs: reconnectSoon });
  const client = new Client({ connection, namespace });
  await ensureSearchAttributes(connection, namespace);
  const tools = createTools(files, client, say);
  const nativeConnection = await NativeConnection.connect({ ...connectionOptions, address });
  const worker = await Worker.create({
    connection: nativeConnection,
    namespace,
    taskQueue,
    ...workflowCode(),
    ...failUnreplayable,
    activities: createActivities(tools, runAttempt),
    interceptors: { activity: [narrate(say)] },
    // A dead worker's sticky queue would hold its incident for 10 s by default.
    stickyQueueScheduleToStartTimeout: '1s',
    maxHeartbeatThrottleInterval: '500ms',
    maxCachedWorkflows: 100,
    shutdownGraceTime: '2s',
    shutdownForceTime: '10s',
  });
  const watcher = await createWatcher({ connection: nativeConnection, namespace, taskQueue }, tools, files.length);
  const stopWarming = keepWarm(tools, files, say);
  const ending = new AbortController();
  const { signal } = ending;
  const ping = (): Promise<unknown> =>
    connection.withDeadline(Date.now() + pingMs, () => connection.workflowService.getSystemInfo({}));
  const clusters = files.map((file) => file.configuration.cluster);
  try {
    const running = Promise.all([worker.run(), watcher.run()]).finally(() => {
      ending.abort();
    });
    const announced = announce({ client, address, taskQueue, clusters, say, signal }, namespace, tools, files);
    const configurations = files.map((file) => file.configuration);
    const kept = announced.then(() => keepOpen({ client, configurations, say, signal }));
    await Promise.all([running, kept, watchTemporal({ ping, address, say, signal })]);
  } finally {
    ending.abort();
    stopWarming();
    await Promise.allSettled([tools.sql.close(), tools.ssh.close(), connection.close(), nativeConnection.close()]);
  }
}

/**
 * A Worker for the watches alone, so that they take no slot from a failover. A cancelled watch keeps its slot until its
 * next heartbeat.
 */
async function createWatcher(
  place: { readonly connection: NativeConnection; readonly namespace: string; readonly taskQueue: string },
  tools: WorkerTools,
  clusters: number,
): Promise<Worker> {
  const { watch } = createActivities(tools, runUnbeaten);
  return await Worker.create({
    ...place,
    taskQueue: watchTaskQueue(place.taskQueue),
    activities: { watch },
    maxConcurrentActivityTaskExecutions: watchSlots(clusters),
    maxConcurrentActivityTaskPolls: 2,
    maxHeartbeatThrottleInterval: '500ms',
    shutdownGraceTime: '100ms',
    shutdownForceTime: '10s',
  });
}

/** Enough slots for every cluster's watch to be cancelled and started again at once. */
function watchSlots(clusters: number): number {
  return 2 * clusters + 1;
}

/**
 * Says that the worker is ready once a workflow has run, and then the warnings that a person needs before an incident.
 */
async function announce(
  parts: Parameters<typeof warmUp>[0],
  namespace: string,
  tools: WorkerTools,
  files: readonly ClusterFile[],
): Promise<void> {
  const { client, address, taskQueue, clusters, say } = parts;
  if (!(await warmUp(parts))) return;
  say(`worker ready: ${clusters.join(', ')} on ${address}, namespace ${namespace}, task queue ${taskQueue}`);
  const configurations = files.map((file) => file.configuration);
  await lookAfterOpenRuns(client, workflowCode(), configurations, say).catch((error: unknown) => {
    say(`warning: the open runs could not be looked at: ${messageOf(error)}`);
  });
  for (const configuration of configurations) {
    await ensureCluster(client, configuration).catch((error: unknown) => {
      say(`warning: ${configuration.cluster}: its record could not be opened: ${messageOf(error)}`);
    });
    for (const line of await findUnreachable(tools, configuration)) say(`warning: ${line}`);
  }
}

const pingMs = 2000;

/**
 * gRPC's own pause between tries grows to two minutes, in which the worker could not work although Temporal is back.
 */
const reconnectSoon = { 'grpc.initial_reconnect_backoff_ms': 500, 'grpc.max_reconnect_backoff_ms': 2000 };

/** The bundle that the build made, else the compiled sources (bundled now, about 3 s). */
function workflowCode(): Pick<WorkerOptions, 'workflowBundle' | 'workflowsPath'> {
  const codePath = join(__dirname, '..', 'workflow-bundle.js');
  return existsSync(codePath)
    ? { workflowBundle: { codePath } }
    : { workflowsPath: require.resolve('../workflows/index') };
}

function groupByQueue(files: readonly ClusterFile[]): { temporal: TemporalSettings; files: ClusterFile[] }[] {
  const groups = new Map<string, { temporal: TemporalSettings; files: ClusterFile[] }>();
  for (const file of files) {
    const { temporal } = file.configuration;
    const key = JSON.stringify([temporal.address, temporal.namespace, temporal.taskQueue]);
    const group = groups.get(key) ?? { temporal, files: [] };
    group.files.push(file);
    groups.set(key, group);
  }
  return [...groups.values()];
}

function sayOnStdout(line: string): void {
  process.stdout.write(`${line}\n`);
}
