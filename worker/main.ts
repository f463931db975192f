// The worker process: serves the task queue of its cluster files until it is told to stop.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import { DefaultLogger, NativeConnection, Runtime, Worker, type WorkerOptions } from '@temporalio/worker';
import { createActivities } from '../activities/index';
import { messageOf } from '../activities/io/failures';
import { loadClusterFile } from '../configuration/load';
import { findUnreachable } from './first-look';
import { failUnreplayable, lookAfterOpenRuns } from './open-runs';
import { ensureSearchAttributes } from './search-attributes';
import { type ClusterFile, createTools, keepWarm } from './tools';

type Say = (line: string) => void;
type TemporalSettings = ClusterFile['configuration']['temporal'];

/**
 * Runs until SIGTERM or SIGINT. Says "worker ready: …" once it polls, then one warning for each way to a node that does not work.
 * @throws ConfigurationError for a bad cluster file, before anything is started; TransportError without Temporal
 */
export async function runWorker(clusterFiles: readonly string[], say: Say = sayOnStdout): Promise<void> {
  const files = clusterFiles.map((path) => ({ path, configuration: loadClusterFile(path) }));
  const queues = groupByQueue(files);
  Runtime.install({ logger: new DefaultLogger('WARN'), shutdownSignals: ['SIGTERM', 'SIGINT'] });
  await Promise.all(queues.map(({ temporal, files: own }) => serveQueue(temporal, own, say)));
}

async function serveQueue(temporal: TemporalSettings, files: readonly ClusterFile[], say: Say): Promise<void> {
  const { address, namespace, taskQueue } = temporal;
  // TLS, API key and the like come from Temporal's own environment variables and file, as for its CLI.
  const { connectionOptions } = loadClientConnectConfig();
  const connection = await Connection.connect({ ...connectionOptions, address });
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
    activities: createActivities(tools),
    // A dead worker's sticky queue would hold its incident for 10 s by default.
    stickyQueueScheduleToStartTimeout: '1s',
    maxHeartbeatThrottleInterval: '500ms',
    maxCachedWorkflows: 100,
    shutdownGraceTime: '2s',
    shutdownForceTime: '10s',
  });
  const stopWarming = keepWarm(tools, files);
  try {
    const clusters = files.map((file) => file.configuration.cluster);
    const announce = async (): Promise<void> => {
      await warmUp(client, taskQueue, clusters).catch((error: unknown) => {
        say(`warning: not warmed up, the first failover will be slower: ${messageOf(error)}`);
      });
      say(`worker ready: ${clusters.join(', ')} on ${address}, namespace ${namespace}, task queue ${taskQueue}`);
      const configurations = files.map((file) => file.configuration);
      await lookAfterOpenRuns(client, workflowCode(), configurations, say).catch((error: unknown) => {
        say(`warning: the open runs could not be looked at: ${messageOf(error)}`);
      });
      for (const { configuration } of files) {
        for (const line of await findUnreachable(tools, configuration)) say(`warning: ${line}`);
      }
    };
    await Promise.all([worker.run(), announce()]);
  } finally {
    stopWarming();
    await Promise.allSettled([tools.sql.close(), tools.ssh.close(), connection.close(), nativeConnection.close()]);
  }
}

/** The bundle that the build made, else the compiled sources (bundled now, about 3 s). */
function workflowCode(): Pick<WorkerOptions, 'workflowBundle' | 'workflowsPath'> {
  const codePath = join(__dirname, '..', 'workflow-bundle.js');
  return existsSync(codePath)
    ? { workflowBundle: { codePath } }
    : { workflowsPath: require.resolve('../workflows/index') };
}

const warmUpRounds = 8;
const warmUpMs = 4000;

/** Ends early where nodes are silent: a worker that is needed now must not wait for them. */
async function warmUp(client: Client, taskQueue: string, clusters: readonly string[]): Promise<void> {
  const startedAt = Date.now();
  for (let round = 1; round <= warmUpRounds && Date.now() - startedAt < warmUpMs; round += 1) {
    const workflowId = `pgpool-runbook.warm-up.${String(process.pid)}.${String(startedAt)}.${String(round)}`;
    await client.workflow.execute('warmUp', {
      workflowId,
      taskQueue,
      args: [clusters],
      workflowExecutionTimeout: '30s',
    });
  }
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
