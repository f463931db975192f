// The watch of a cluster as its workflow runs it: one activity on a queue of its own, that costs nothing while all is well; what it tells reaches the incident.

import type { ClusterConfiguration } from '../../domain/facts/cluster';
import {
  clusterWorkflowId,
  incidentWorkflowId,
  maintainUpdateName,
  recordedQueryName,
  leftSignalName,
  watchTaskQueue,
} from '../../domain/facts/names';
import type { Conclusion } from '../../domain/facts/record';
import type { Difference } from '../../domain/facts/watch';
import { concludeSamples } from '../../domain/plans/record';
import { ensureCluster, isIncidentOpen, recall, writeConclusion } from '../../worker/record';
import { makeRecord } from '../domain/plans/record-stories';
import { watchFor, well } from '../domain/plans/watch-world';
import type { FakeCluster } from './fake-cluster';
import { deadNode, systemIdentifier } from './fake-nodes';
import { Bench, eventually } from './support';

let bench: Bench;
const slots = 2;
beforeAll(async () => {
  bench = await Bench.open(['limit.historyCount.suggestContinueAsNew=60'], slots);
});
afterAll(() => bench.close());

const client = () => bench.environment.client;
const handleOf = ({ name }: FakeCluster) => client().workflow.getHandle(clusterWorkflowId(name));
const { state } = watchFor(3, () => well);
const conclusion: Conclusion = { ...makeRecord(), systemIdentifier };

async function newCluster(): Promise<{ cluster: FakeCluster; configuration: ClusterConfiguration }> {
  const cluster = bench.newCluster();
  const temporal = { ...cluster.configuration.temporal, taskQueue: 'test' };
  const configuration = { ...cluster.configuration, temporal };
  await ensureCluster(client(), configuration);
  await eventually('the watch', () => cluster.watches.length === 1);
  return { cluster, configuration };
}

function difference(kind: Difference['kind'], node: number, line = `${kind} ${node}`): Difference {
  return {
    kind,
    node,
    key: `${kind}.${node}`,
    since: '2026-01-01T00:00:00.000Z',
    eventId: `watch-${kind}.${node}`,
    line,
  };
}

const report = (...told: Difference[]) => ({ told, conclusion: null, state, line: 'told' });
const lengthOf = async (cluster: FakeCluster): Promise<number> => (await handleOf(cluster).describe()).historyLength;

it('runs on a queue of its own, and nothing grows while all is well', async () => {
  const { cluster } = await newCluster();
  const { events = [] } = await handleOf(cluster).fetchHistory();
  const queues = events!.flatMap((entry) => entry.activityTaskScheduledEventAttributes?.taskQueue?.name ?? []);
  expect(queues).toEqual([watchTaskQueue('test')]);
  const before = await lengthOf(cluster);
  // Some forty heartbeats.
  await new Promise((resolve) => setTimeout(resolve, 2000));
  expect(await lengthOf(cluster)).toBe(before);
});

it('goes on with what it saw after its workflow was terminated: what commits waited for on a dead primary is not forgotten', async () => {
  const { cluster, configuration } = await newCluster();
  cluster.report(report(difference('lost', 2)));
  await eventually('the next watch', () => cluster.watches.length === 2);
  await handleOf(cluster).terminate('by hand');
  await ensureCluster(client(), configuration);
  await eventually('the watch of the next run', () => cluster.watches.length === 3);
  expect(cluster.watches[2]!.state).toEqual(state);
  expect((await recall(client(), configuration)).watch).toEqual(state);
});

it('leaves every slot to failovers, also where there are more clusters than slots', async () => {
  const clusters = await Promise.all(Array.from({ length: slots + 3 }, newCluster));
  expect(clusters.every(({ cluster }) => cluster.watches.length === 1)).toBe(true);
  clusters[0]!.cluster.set(deadNode(0));
  const { report: ended } = await bench.failOver(clusters[0]!.cluster);
  expect(ended).toMatchObject({ outcome: 'completed', reason: 'promoted' });
});

it('tells an incident what differs, in its words, and goes on with its samples', async () => {
  const { cluster, configuration } = await newCluster();
  expect(await isIncidentOpen(client(), configuration)).toBe(false);
  const hold = cluster.hold('observe', { isCancellable: false });
  cluster.report(report(difference('given-up', 0, 'pgpool has given node 0 up')));
  await hold.reached;
  expect(await isIncidentOpen(client(), configuration)).toBe(true);
  hold.release();
  const incident = client().workflow.getHandle(incidentWorkflowId(cluster.name));
  const ended = (await incident.result()) as { events: unknown[] };
  expect(ended.events).toMatchObject([{ eventId: 'watch-given-up.0', reason: 'primary-kept' }]);
  await eventually('the next watch', () => cluster.watches.length === 2);
  expect(cluster.watches[1]).toEqual({ cluster: cluster.name, record: null, maintenance: [], left: [], state });
});

it('says nothing of a node that a person has let go, until that node is well, or another primary is recorded', async () => {
  const { cluster, configuration } = await newCluster();
  const leftTo = async (count: number): Promise<readonly number[]> => {
    await eventually('the next watch', () => cluster.watches.length === count);
    return cluster.watches.at(-1)!.left;
  };
  await handleOf(cluster).signal(leftSignalName, [1, 2]);
  expect(await leftTo(2)).toEqual([1, 2]);
  cluster.report(report(difference('taken-up', 2)));
  // The watch that has told, and the one that knows what it is told.
  expect(await leftTo(3)).toEqual([1]);
  await writeConclusion(client(), configuration, conclusion);
  expect(await leftTo(4)).toEqual([]);
});

it('warns of a silent primary, and tells no incident', async () => {
  const { cluster, configuration } = await newCluster();
  cluster.report(report(difference('primary-silent', 0)));
  await eventually('the next watch', () => cluster.watches.length === 2);
  expect(await isIncidentOpen(client(), configuration)).toBe(false);
});

it('fills an empty record by what the watch has settled', async () => {
  const { cluster, configuration } = await newCluster();
  const found = concludeSamples(configuration, state.samples, 0, null)!;
  cluster.report({ ...report(difference('no-record', 0)), conclusion: found });
  await eventually('the next watch', () => cluster.watches.length === 2);
  expect(await handleOf(cluster).query(recordedQueryName)).toMatchObject({ record: { ...found, since: found.at } });
  expect((await recall(client(), configuration)).record).toEqual({ ...found, since: found.at });
  expect(cluster.watches[1]!.record).toEqual({ ...found, since: found.at });
});

it('is cancelled by a new record and started with it; an older conclusion changes nothing', async () => {
  const { cluster, configuration } = await newCluster();
  await writeConclusion(client(), configuration, conclusion);
  await eventually('the next watch', () => cluster.watches.length === 2);
  expect(cluster.watches[1]!.record).toMatchObject({ primary: 1, timeline: 2 });
  await writeConclusion(client(), configuration, { ...conclusion, timeline: 1, primary: 0 });
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(cluster.watches).toHaveLength(2);
});

it('goes on in a new run with record and samples', async () => {
  const { cluster, configuration } = await newCluster();
  const { runId } = await handleOf(cluster).describe();
  cluster.report(report(difference('primary-silent', 0)));
  for (let count = 0; count < 8; count += 1) {
    const at = `2026-01-01T00:00:0${count}.000Z`;
    await writeConclusion(client(), configuration, { ...conclusion, at });
  }
  await eventually('a new run', async () => (await handleOf(cluster).describe()).runId !== runId);
  const watches = cluster.watches.length;
  await eventually('its watch', () => cluster.watches.at(-1)!.state !== null && cluster.watches.length >= watches);
  expect(cluster.watches.at(-1)).toMatchObject({ record: { primary: 1 }, state });
});

it('is found again by its last heartbeat', async () => {
  const { cluster, configuration } = await newCluster();
  expect((await recall(client(), configuration)).watch).toBeNull();
  cluster.samples = state;
  await eventually('the heartbeat', async () => (await recall(client(), configuration)).watch !== null);
  expect((await recall(client(), configuration)).watch).toEqual(state);
});

it('is started again with what a person takes in hand', async () => {
  const { cluster } = await newCluster();
  const said = { action: 'start', node: 2, operator: 'ann@db', reason: 'kernel update', forMs: null };
  await handleOf(cluster).executeUpdate(maintainUpdateName, { args: [said] });
  await eventually('the next watch', () => cluster.watches.length === 2);
  expect(cluster.watches[1]!.maintenance).toMatchObject([{ node: 2, operator: 'ann@db' }]);
});
