// A run in Temporal Web: the table of steps, a summary on every activity, search attributes; and the worker's warm-up.

import { defaultPayloadConverter, SearchAttributeType } from '@temporalio/common';
import { type WorkflowHandle } from '@temporalio/client';
import type { FakeCluster } from './fake-cluster';
import { deadNode } from './fake-nodes';
import { Bench, type IncidentHandle } from './support';
import { searchAttributeKeys } from '../../workflows/search-attributes';

let bench: Bench;
let cluster: FakeCluster;
let incident: IncidentHandle;
let follow: WorkflowHandle;

beforeAll(async () => {
  bench = await Bench.open();
  cluster = bench.newCluster();
  cluster.set(deadNode(0));
  ({ incident } = await bench.failOver(cluster));
  follow = await bench.followOf(incident, 2);
});
afterAll(async () => {
  await bench.close();
});

interface Metadata {
  readonly currentDetails: string;
  readonly definition: { readonly [kind: string]: readonly { readonly name: string; readonly description: string }[] };
}

async function detailsOf(handle: WorkflowHandle): Promise<Metadata> {
  return await handle.query<Metadata>('__temporal_workflow_metadata');
}

/** Title, state and what was seen of every row of the table. */
function rowsOf({ currentDetails }: Metadata): string[][] {
  const lines = currentDetails.split('\n').filter((line) => line.startsWith('| +'));
  return lines.map((line) => {
    const [, , title, state, , seen] = line.split(/(?<!\\)\|/).map((cell) => cell.trim());
    return [title!, state!, seen!];
  });
}

it('shows the incident as a table of what was decided and done', async () => {
  const details = await detailsOf(incident);
  expect(details.currentDetails).toContain(`### Incident of cluster ${cluster.name}`);
  expect(details.currentDetails).toContain('| at | step | state | took | what was seen |');
  const rows = rowsOf(details);
  expect(rows.map(([title]) => title).slice(0, 5)).toEqual([
    ...['Event', 'Observe every node', 'Plan', 'Fence node 0', 'Promote node 1'],
  ]);
  expect(rows).toContainEqual(['Event', '', 'pgpool says failover (node 0, old primary 0)']);
  expect(rows).toContainEqual(['Promote node 1', 'done', 'node 1 accepts writes']);
  expect(rows).toContainEqual(['Confirm pgpool0', 'done', 'pgpool0 shows node 1']);
  expect(rows).toContainEqual(['Follow node 2', '', expect.stringMatching(/^completed \(repointed\)/)]);
});

it('shows a follow as a table of its own', async () => {
  const titles = rowsOf(await detailsOf(follow)).map(([title, state]) => [title, state]);
  expect(titles).toEqual([
    ['Observe node 2 and node 1', 'done'],
    ['Plan', ''],
    ['Repoint node 2', 'done'],
    ['Attach node 2 to pgpool0', 'done'],
    ['Save the configuration, node 2', 'done'],
    ['completed', ''],
  ]);
});

it('describes the messages that an incident takes', async () => {
  const { definition } = await detailsOf(incident);
  const named = (kind: string): unknown => definition[kind]!.map(({ name, description }) => [name, description !== '']);
  expect(named('signalDefinitions')).toEqual([
    ['event', true],
    ['followed', true],
    ['streams', true],
    ['decided', true],
    ['stepResumed', true],
    ['stepParked', true],
  ]);
  expect(named('updateDefinitions')).toEqual([
    ['settled', true],
    ['decide', true],
  ]);
});

it('has a sentence on every activity and on every child', async () => {
  const summaries = async (handle: WorkflowHandle): Promise<unknown[]> =>
    ((await handle.fetchHistory()).events ?? [])
      .filter((entry) => entry.activityTaskScheduledEventAttributes)
      .map(({ userMetadata }) => defaultPayloadConverter.fromPayload(userMetadata!.summary!));
  expect(await summaries(incident)).toEqual([
    'observe every node: decisions are made from what is measured',
    expect.stringMatching(/^fence node 0: it must accept no more writes: node 1 has the greatest/),
    expect.stringMatching(/^promote node 1: node 1 has the greatest/),
    'confirm pgpool0: it shows node 1 as its primary',
    'write the record: later decisions rely on it',
  ]);
  expect(await summaries(follow)).toEqual([
    'observe node 2 and node 1: decisions are made from what is measured',
    'repoint node 2: it streams from node 1',
    'attach node 2 to pgpool0: the node streams and may be used',
    'save the configuration, node 2: for a later rebuild of the node',
  ]);
  await expect((await follow.describe()).staticSummary()).resolves.toBe('node 2 follows node 1');
});

it('can be searched for by cluster, operation and outcome', async () => {
  const attributes = async (handle: WorkflowHandle): Promise<unknown[]> => {
    const { typedSearchAttributes } = await handle.describe();
    return Object.values(searchAttributeKeys).map((key) => typedSearchAttributes.get(key));
  };
  expect(searchAttributeKeys.cluster.type).toBe(SearchAttributeType.KEYWORD);
  await expect(attributes(incident)).resolves.toEqual([cluster.name, 'failover', 'completed']);
  await expect(attributes(follow)).resolves.toEqual([cluster.name, 'follow', 'completed']);
});

it('has a workflow that only looks, to warm a worker up', async () => {
  const own = bench.newCluster();
  const handle = await bench.environment.client.workflow.start('warmUp', {
    workflowId: 'warm-up',
    taskQueue: 'test',
    args: [[own.name]],
  });
  await expect(handle.result()).resolves.toBeUndefined();
  expect(own.calls.map(({ name }) => name)).toEqual(['observe']);
});

it('tells what would be done, from one look and without doing it', async () => {
  const own = bench.newCluster();
  const handle = await bench.environment.client.workflow.start('plan', {
    workflowId: 'plan-1',
    taskQueue: 'test',
    args: [{ cluster: own.name, down: [0] }],
  });
  await expect(handle.result()).resolves.toMatchObject({ reason: 'promoted', primary: 1 });
  expect(own.calls.map(({ name }) => name)).toEqual(['observe']);
});

it('has a workflow that looks for a person, and changes nothing', async () => {
  const own = bench.newCluster();
  const { workflow } = bench.environment.client;
  const handle = await workflow.start('look', { workflowId: 'look-1', taskQueue: 'test', args: [own.name] });
  await expect(handle.result()).resolves.toMatchObject({ cluster: own.name, primaries: [0] });
  expect(own.calls.map(({ name }) => name)).toEqual(['observe']);
});
