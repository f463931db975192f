// The record of a cluster as the worker, looks and people reach it: the workflow `cluster`, its memo, its updates, its runs one after the other.

import { WorkflowUpdateFailedError } from '@temporalio/client';
import type { ClusterConfiguration } from '../../domain/facts/cluster';
import {
  acceptUpdateName,
  clusterWorkflowId,
  maintainUpdateName,
  recordedMemoName,
  watchedMemoName,
  recordedQueryName,
} from '../../domain/facts/names';
import type { Maintenance } from '../../domain/facts/maintenance';
import { type ClusterRecord, type Conclusion, nothingRecorded, type Recorded } from '../../domain/facts/record';
import type { Maintaining } from '../../workflows/messages';
import { ensureCluster, isIncidentOpen, recall, writeConclusion } from '../../worker/record';
import { makeRecord } from '../domain/plans/record-stories';
import type { FakeCluster } from './fake-cluster';
import { primaryNode, systemIdentifier } from './fake-nodes';
import { Bench, eventually } from './support';

let bench: Bench;
beforeAll(async () => {
  // A long history is one of 40 events here.
  bench = await Bench.open(['limit.historyCount.suggestContinueAsNew=40']);
});
afterAll(() => bench.close());

function newCluster(): { cluster: FakeCluster; configuration: ClusterConfiguration } {
  const cluster = bench.newCluster();
  const temporal = { ...cluster.configuration.temporal, taskQueue: 'test' };
  return { cluster, configuration: { ...cluster.configuration, temporal } };
}

const conclusion: Conclusion = { ...makeRecord(), systemIdentifier };
const client = () => bench.environment.client;
const handleOf = ({ name }: FakeCluster) => client().workflow.getHandle(clusterWorkflowId(name));
const read = async (configuration: ClusterConfiguration): Promise<ClusterRecord | null> =>
  (await recall(client(), configuration)).record;
const ask = (cluster: FakeCluster): Promise<Recorded> => handleOf(cluster).query<Recorded>(recordedQueryName);

it('says nothing while nothing is known, whether the workflow runs or not', async () => {
  const { cluster, configuration } = newCluster();
  expect(await read(configuration)).toBeNull();
  await ensureCluster(client(), configuration);
  await ensureCluster(client(), configuration);
  expect(await read(configuration)).toBeNull();
  expect((await ask(cluster)).record).toBeNull();
});

it('keeps a conclusion, starts where it does not run, and ignores an older one', async () => {
  const { cluster, configuration } = newCluster();
  await writeConclusion(client(), configuration, conclusion);
  expect(await read(configuration)).toEqual({ ...conclusion, since: conclusion.at });
  await writeConclusion(client(), configuration, { ...conclusion, primary: 0, timeline: 1 });
  expect(await read(configuration)).toMatchObject({ primary: 1, timeline: 2 });
  const { memo } = await handleOf(cluster).describe();
  expect(memo).toEqual({ [recordedMemoName]: await ask(cluster), [watchedMemoName]: null });
});

it('knows after its termination what it knew before', async () => {
  const { cluster, configuration } = newCluster();
  await writeConclusion(client(), configuration, conclusion);
  const record = await read(configuration);
  await handleOf(cluster).terminate('somebody cleaned up');
  // A look reads the memo of the closed run as well.
  expect(await read(configuration)).toEqual(record);
  await ensureCluster(client(), configuration);
  await eventually('it runs again', async () => (await handleOf(cluster).describe()).status.name === 'RUNNING');
  expect((await ask(cluster)).record).toEqual(record);
  expect(await read(configuration)).toEqual(record);
});

it('knows after a termination what a conclusion adds, although nobody had started it again', async () => {
  const { cluster, configuration } = newCluster();
  await writeConclusion(client(), configuration, conclusion);
  await handleOf(cluster).terminate('somebody cleaned up');
  const more = { ...conclusion, openedBy: 'others' as const, away: [], at: '2026-01-01T00:00:00.000Z' };
  await writeConclusion(client(), configuration, more);
  expect(await read(configuration)).toMatchObject({ openedBy: 'us', since: conclusion.at, away: [] });
});

it('goes on in a new run when its history is long, with record and memo', async () => {
  const { cluster, configuration } = newCluster();
  await writeConclusion(client(), configuration, conclusion);
  const { runId } = await handleOf(cluster).describe();
  for (let count = 0; count < 12; count += 1) await writeConclusion(client(), configuration, conclusion);
  await eventually('a new run', async () => (await handleOf(cluster).describe()).runId !== runId);
  expect(await read(configuration)).toEqual({ ...conclusion, since: conclusion.at });
  expect((await ask(cluster)).record).toEqual({ ...conclusion, since: conclusion.at });
});

it('takes a person’s word for a node that accepts writes, by a look of its own, and for no other', async () => {
  const { cluster, configuration } = newCluster();
  await writeConclusion(client(), configuration, conclusion);
  const accept = (node: number): Promise<ClusterRecord> =>
    handleOf(cluster).executeUpdate(acceptUpdateName, { args: [{ node, operator: 'ann@db' }] });
  const refused = await accept(2).catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(WorkflowUpdateFailedError);
  expect((refused as WorkflowUpdateFailedError).cause!.message).toContain('node 2 does not accept writes');
  expect(await read(configuration)).toMatchObject({ primary: 1 });
  cluster.set(primaryNode(0));
  expect(await accept(0)).toMatchObject({ primary: 0, timeline: 1, openedBy: 'others', by: 'ann@db' });
  expect(await read(configuration)).toMatchObject({ primary: 0, timeline: 1 });
});

it('is not waited for by a look when Temporal does not answer', async () => {
  const { configuration } = newCluster();
  const silent = { connection: { withDeadline: () => Promise.reject(new Error('deadline')) } };
  expect(await recall(silent as never, configuration)).toEqual({ ...nothingRecorded, watch: null });
  expect(await isIncidentOpen(silent as never, configuration)).toBeNull();
});

describe('what people have in hand', () => {
  const start = { action: 'start' as const, operator: 'ann@db', reason: 'kernel update' };
  const say = (cluster: FakeCluster, said: Maintaining): Promise<readonly Maintenance[]> =>
    handleOf(cluster).executeUpdate(maintainUpdateName, { args: [said] });
  const endIncident = (cluster: FakeCluster): Promise<void> =>
    eventually('an incident is open', () =>
      bench
        .incidentOf(cluster)
        .terminate('the test is over')
        .then(
          () => true,
          () => false,
        ),
    );
  const tellsOf = (cluster: FakeCluster): string[] =>
    cluster.calls.map(({ name }) => name).filter((name) => name.startsWith('signalIncident'));

  it('is known to looks, survives a termination, and is given back by its end', async () => {
    const { cluster, configuration } = newCluster();
    await ensureCluster(client(), configuration);
    const held = await say(cluster, { ...start, node: 2, forMs: null });
    expect(held).toEqual([
      { node: 2, operator: 'ann@db', reason: 'kernel update', since: expect.any(String) as string, until: null },
    ]);
    expect((await recall(client(), configuration)).maintenance).toEqual(held);
    await handleOf(cluster).terminate('somebody cleaned up');
    await ensureCluster(client(), configuration);
    expect((await ask(cluster)).maintenance).toEqual(held);
    expect(tellsOf(cluster)).toEqual([]);
    expect(await say(cluster, { action: 'stop', node: 2, operator: 'ann@db' })).toEqual([]);
    await eventually('the incident is told', () => tellsOf(cluster).includes('signalIncident 2'));
    await endIncident(cluster);
  });

  it('ends by itself when its time is over, and what was left undecided is decided at once', async () => {
    const { cluster, configuration } = newCluster();
    await writeConclusion(client(), configuration, conclusion);
    await say(cluster, { ...start, node: 2, forMs: null });
    await say(cluster, { ...start, node: null, forMs: 200 });
    // The recorded primary is the node that a pause is about.
    await eventually('the incident is told', () => tellsOf(cluster).includes('signalIncident 1'));
    expect((await ask(cluster)).maintenance.map(({ node }) => node)).toEqual([2]);
    await endIncident(cluster);
  });
});
