// A new version takes over while an incident of the old one is open: a real server, an old bundle, and today's.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WorkflowFailedError } from '@temporalio/client';
import { bundleWorkflowCode, DefaultLogger, Worker, type WorkerOptions } from '@temporalio/worker';
import { eventSignalName, incidentWorkflowId } from '../../domain/facts/names';
import { failUnreplayable, lookAfterOpenRuns } from '../../worker/open-runs';
import type { FakeCluster } from '../workflows/fake-cluster';
import { deadNode } from '../workflows/fake-nodes';
import { Bench, eventually } from '../workflows/support';

const taskQueue = 'upgrade';
const directory = mkdtempSync(join(tmpdir(), 'pgpool-runbook-old-version-'));
const old = { workflowBundle: { codePath: join(directory, 'bundle.js') } };
const today = { workflowBundle: { codePath: process.env['WORKFLOW_BUNDLE']! } };

let bench: Bench;
let cluster: FakeCluster;
let said: string[];

beforeAll(async () => {
  bench = await Bench.open();
  const workflowsPath = join(__dirname, 'old-version.ts');
  const { code } = await bundleWorkflowCode({ workflowsPath, logger: new DefaultLogger('ERROR') });
  writeFileSync(old.workflowBundle.codePath, code);
}, 30_000);
afterAll(async () => {
  await bench.close({ isReplayed: false });
  rmSync(directory, { recursive: true });
});
beforeEach(() => {
  cluster = bench.newCluster();
  cluster.set(deadNode(0));
  const { temporal } = cluster.configuration;
  cluster.configuration = { ...cluster.configuration, temporal: { ...temporal, taskQueue } };
  said = [];
});

async function during<T>(version: Partial<WorkerOptions>, body: () => Promise<T>): Promise<T> {
  const worker = await Worker.create({
    connection: bench.environment.nativeConnection,
    taskQueue,
    activities: cluster.fakes,
    ...version,
    shutdownForceTime: '2s',
  });
  return await worker.runUntil(body);
}

async function openOld(type: string, workflowId: string, args: readonly unknown[], signalArgs: unknown[]) {
  const handle = await bench.environment.client.workflow.signalWithStart(type, {
    ...{ workflowId, taskQueue, args: [...args], signal: eventSignalName, signalArgs, workflowTaskTimeout: '2s' },
  });
  const run = bench.environment.client.workflow.getHandle(workflowId, handle.signaledRunId);
  await untilListed(workflowId);
  return run;
}

/** Search attributes are seen a moment after they are set. */
async function untilListed(start: string): Promise<void> {
  const query = `PgCluster = "${cluster.name}" AND ExecutionStatus = "Running"`;
  await eventually(`${start} is listed`, async () => {
    for await (const { workflowId } of bench.environment.client.workflow.list({ query }))
      if (workflowId.startsWith(start)) return true;
    return false;
  });
}

const lookAfter = () =>
  lookAfterOpenRuns(bench.environment.client, today, [cluster.configuration], (line) => said.push(line));
const statusOf = async (run: { describe: () => Promise<{ status: { name: string } }> }) =>
  (await run.describe()).status.name;

it('an incident that this version cannot replay ends, and a new run decides about its event', async () => {
  const event = bench.newEvent({ kind: 'failover', node: 0 });
  const workflowId = incidentWorkflowId(cluster.name);
  const run = await during(old, () => openOld('incident', workflowId, [cluster.name], [event]));
  await during({ ...today, ...failUnreplayable }, async () => {
    await lookAfter();
    expect(await statusOf(run)).toBe('FAILED');
    await expect(bench.environment.client.workflow.getHandle(workflowId).result()).resolves.toMatchObject({
      reason: 'promoted',
      events: [{ eventId: event.eventId, reason: 'promoted' }],
    });
  });
  expect(said).toEqual([expect.stringMatching(`^warning: ${workflowId}, run .*a new run decides about its events`)]);
}, 60_000);

it('an event that comes before the new version has looked makes such a run fail at once', async () => {
  const workflowId = incidentWorkflowId(cluster.name);
  const args = [bench.newEvent({ kind: 'failover', node: 0 })];
  const run = await during(old, () => openOld('incident', workflowId, [cluster.name], args));
  await during({ ...today, ...failUnreplayable }, async () => {
    await run.signal(eventSignalName, bench.newEvent({ kind: 'failover', node: 0 }));
    await expect(run.result()).rejects.toThrow(WorkflowFailedError);
  });
}, 60_000);

it('the wait for a node, of a version that had such waits, ends: the watch tells of the node', async () => {
  const run = await during(old, () =>
    openOld('awaitNode', `pgpool-${cluster.name}.await.0`, [{ cluster: cluster.name }], []),
  );
  await during({ ...today, ...failUnreplayable }, async () => {
    await lookAfter();
    await expect(run.describe()).resolves.toMatchObject({ status: { name: 'TERMINATED' } });
  });
  expect(said).toEqual([expect.stringContaining('the watch tells of its node')]);
}, 60_000);

it('a run that this version can go on with is left alone', async () => {
  const workflowId = incidentWorkflowId(cluster.name);
  await during({ ...today, ...failUnreplayable }, async () => {
    cluster.fail('repoint 2');
    const run = await openOld('incident', workflowId, [cluster.name], [bench.newEvent({ kind: 'failover', node: 0 })]);
    await lookAfter();
    await expect(run.result()).resolves.toMatchObject({ reason: 'promoted' });
  });
  expect(said).toEqual([]);
}, 60_000);
