// An incident with a long history goes on in a new run with the same value; its follows outlive the run; its conclusion
// is recorded.

import { decideUpdateName, followWorkflowId, parkedQueryName, stateQueryName } from '../../domain/facts/names';
import type { ParkedStep } from '../../domain/facts/decision';
import type { IncidentState } from '../../domain/plans/incident-state';
import { type FakeCluster, worldChanged } from './fake-cluster';
import { deadNode } from './fake-nodes';
import { Bench, eventually, quick } from './support';

let bench: Bench;
let cluster: FakeCluster;
beforeAll(async () => {
  bench = await Bench.open(['limit.historyCount.suggestContinueAsNew=120']);
});
afterAll(() => bench.close());
beforeEach(() => {
  cluster = bench.newCluster();
  cluster.set(deadNode(0));
});

const open = () => bench.incidentOf(cluster);
const stateOf = (): Promise<IncidentState> => open().query<IncidentState>(stateQueryName);

it('continues as new while a follow is parked: its events, answers and the parked step are still known', async () => {
  cluster.fail('repoint 2', worldChanged('node 2 does not stream'));
  const first = await bench.send(cluster, { kind: 'failover', node: 0 });
  const answer = await bench.askSettled(first.incident, first.event.eventId);
  await bench.untilParked(open(), 'node2.repoint');
  const { runId } = await open().describe();
  // A standby that flaps, as pgpool tells it.
  await eventually('a new run', async () => {
    await bench.send(cluster, { kind: 'follow', node: 2, oldPrimary: null });
    return (await open().describe()).runId !== runId;
  });
  const again = await bench.askSettled(open() as never, first.event.eventId);
  expect(again).toEqual(answer);
  expect(await stateOf()).toMatchObject({
    primary: 1,
    served: 1,
    nodes: expect.arrayContaining([expect.objectContaining({ id: 2, follow: 'running' })]) as unknown,
  });
  const parked = await open().query<readonly ParkedStep[]>(parkedQueryName);
  expect(parked.map(({ stepId }) => stepId)).toContain('node2.repoint');
  const decision = { stepId: 'node2.repoint', choice: 'retry', operator: 'tester', reason: 'the test says so' };
  await open().executeUpdate(decideUpdateName, { args: [decision] });
  await expect(open().result()).resolves.toMatchObject({
    ...{ outcome: 'completed', reason: 'promoted', primary: 1 },
    follows: [expect.objectContaining({ node: 2, outcome: 'completed' })],
  });
});

it('a follow that a terminated incident has left is cancelled and waited for before the next one begins', async () => {
  const repoint = cluster.hold('repoint 2', { isCancellable: true });
  const { incident } = await bench.send(cluster, { kind: 'failover', node: 0 });
  await repoint.reached;
  const { workflow } = bench.environment.client;
  const left = workflow.getHandle(followWorkflowId(cluster.name, 2));
  const { runId } = await left.describe();
  await incident.terminate('somebody cleaned up');
  expect((await left.describe()).status.name).toBe('RUNNING');
  const next = await bench.send(cluster, { kind: 'rejoin', node: 2, oldPrimary: null });
  await expect(next.incident.result()).resolves.toMatchObject({ outcome: 'completed', primary: 1 });
  expect((await workflow.getHandle(followWorkflowId(cluster.name, 2), runId).describe()).status.name).toBe('CANCELLED');
  expect(cluster.callsOf('follow 2').filter((name) => name === 'repoint 2')).toHaveLength(2);
});

it('what a failover has found is recorded: who, on which timeline, opened by us, who was fenced, who is away', async () => {
  const { incident } = await bench.failOver(cluster);
  expect(cluster.concluded).toEqual([
    expect.objectContaining({
      ...{ primary: 1, timeline: 2, openedBy: 'us', former: { node: 0, isFenceConfirmed: true }, away: [0] },
      by: `${incident.workflowId}/${incident.runId}`,
    }),
  ]);
});

it('a refusal records nothing, and a primary that is kept is recorded as found', async () => {
  cluster.set(deadNode(1), deadNode(2));
  await bench.failOver(cluster);
  expect(cluster.concluded).toEqual([]);
  const well = bench.newCluster();
  const { incident } = await bench.send(well, { kind: 'failover', node: 0 });
  await incident.result();
  expect(well.concluded).toEqual([
    expect.objectContaining({ primary: 0, timeline: 1, openedBy: 'others', former: null }),
  ]);
});

it('between the signal and pg_promote nothing else is scheduled: one workflow task for each of observe, fence and promote', async () => {
  const { incident } = await bench.send(cluster, { kind: 'failover', node: 0 }, { ...quick, quietMs: 50 });
  await incident.result();
  const { events } = await incident.fetchHistory();
  const promoted = events!.findIndex(
    ({ activityTaskScheduledEventAttributes: task }) => task?.activityType?.name === 'promote',
  );
  const before = events!.slice(0, promoted + 1);
  expect(before.filter((entry) => entry.workflowTaskCompletedEventAttributes)).toHaveLength(3);
  expect(before.flatMap(({ activityTaskScheduledEventAttributes: task }) => task?.activityType?.name ?? [])).toEqual([
    ...['observe', 'fence', 'promote'],
  ]);
  const others = before.filter(
    (entry) =>
      entry.timerStartedEventAttributes ??
      entry.startChildWorkflowExecutionInitiatedEventAttributes ??
      entry.signalExternalWorkflowExecutionInitiatedEventAttributes,
  );
  expect(others).toEqual([]);
});
