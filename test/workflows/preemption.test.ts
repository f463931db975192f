// A newer failover event takes over what hangs, and never what promotes; older follows and confirmations give way.

import { CancelledFailure, WorkflowFailedError } from '@temporalio/client';
import { type FakeCluster, retryable, worldChanged } from './fake-cluster';
import { deadNode } from './fake-nodes';
import { Bench, eventually, type IncidentHandle, timersOf } from './support';

let bench: Bench;
let cluster: FakeCluster;

beforeAll(async () => {
  bench = await Bench.open();
});
afterAll(async () => {
  await bench.close();
});
beforeEach(() => {
  cluster = bench.newCluster();
  cluster.set(deadNode(0));
});

const second = { kind: 'failover', node: 1, oldPrimary: 1 } as const;

async function hasPreempted(incident: IncidentHandle): Promise<boolean> {
  return (await timersOf(incident)).fired > 0;
}

describe('while a follow runs, a newer failover event', () => {
  it('is settled at once; the old follow is cancelled, and a new one of that node waits until it is closed', async () => {
    cluster.resize(4);
    cluster.set(deadNode(0));
    const repoint = cluster.hold('repoint 2', { isCancellable: false });
    const { incident } = await bench.send(cluster, { kind: 'failover', node: 0 });
    await repoint.reached;
    await eventually('node 3 is attached', () => cluster.callsOf('follow 3').includes('attach 3'));
    cluster.set(deadNode(1));
    const { event } = await bench.send(cluster, second);
    await expect(bench.askSettled(incident, event.eventId)).resolves.toMatchObject({ reason: 'promoted' });
    await eventually('pgpool is asked about the new primary', () =>
      cluster.callsOf('incident').includes('confirmPrimary 3'),
    );
    expect(cluster.callsOf('follow 2')).toEqual(['observe', 'repoint 2']);
    repoint.release();
    const report = await incident.result();
    expect(report).toMatchObject({ outcome: 'completed', reason: 'promoted', primary: 3 });
    expect(report.follows).toContainEqual(expect.objectContaining({ node: 2, outcome: 'completed' }));
    expect(cluster.callsOf('follow 2')).toEqual([
      ...['observe', 'repoint 2'],
      ...['observe', 'repoint 2', 'attach 2', 'saveConfiguration 2'],
    ]);
    expect(cluster.get(2).walReceiver).toMatchObject({ host: '10.0.0.13', timeline: 3 });
    await expect((await bench.followOf(incident, 2)).describe()).resolves.toMatchObject({
      status: { name: 'CANCELLED' },
    });
  });

  it('has a node that could not follow the last primary follow the new one', async () => {
    cluster.resize(4);
    cluster.set(deadNode(0));
    cluster.fail('repoint 2', worldChanged('node 2 does not stream'));
    const repoint = cluster.hold('attach 3', { isCancellable: true });
    const { incident } = await bench.send(cluster, { kind: 'failover', node: 0 });
    await repoint.reached;
    await bench.decide(incident, 'node2.repoint', 'abort');
    const lastRun = await bench.followOf(incident, 2);
    await lastRun.result();
    cluster.set(deadNode(1));
    await bench.send(cluster, second);
    const report = await incident.result();
    expect(report).toMatchObject({ outcome: 'completed', reason: 'promoted', primary: 3 });
    expect(cluster.callsOf('follow 2')).toEqual([
      ...['observe', 'repoint 2', 'observe'],
      ...['observe', 'repoint 2', 'attach 2', 'saveConfiguration 2'],
    ]);
  });
});

it('a newer failover event does not wait for a pgpool that never shows the last primary', async () => {
  const confirm = cluster.hold('confirmPrimary 1', { isCancellable: true });
  const { incident } = await bench.send(cluster, { kind: 'failover', node: 0 });
  await confirm.reached;
  await eventually('node 2 is attached', () => cluster.callsOf('follow 2').includes('attach 2'));
  cluster.set(deadNode(1));
  const { event } = await bench.send(cluster, second);
  await expect(bench.askSettled(incident, event.eventId)).resolves.toMatchObject({ reason: 'promoted' });
  await expect(incident.result()).resolves.toMatchObject({ outcome: 'completed', reason: 'promoted', primary: 2 });
  expect(cluster.callsOf('incident')).toEqual([
    ...['observe', 'fence 0', 'promote 1', 'confirmPrimary 1'],
    ...['observe', 'fence 1', 'promote 2', 'confirmPrimary 2'],
  ]);
});

describe('while a step hangs, a newer failover event', () => {
  it('takes over from a fence that can be cancelled', async () => {
    const fence = cluster.hold('fence 0', { isCancellable: true });
    const first = await bench.send(cluster, { kind: 'failover', node: 0 });
    await fence.reached;
    const newer = await bench.send(cluster, { kind: 'failover', node: 0 });
    const { incident } = first;
    await expect(bench.askSettled(incident, first.event.eventId)).resolves.toMatchObject({
      ...{ outcome: 'refused', reason: 'preempted' },
    });
    await expect(bench.askSettled(incident, newer.event.eventId)).resolves.toMatchObject({ reason: 'promoted' });
    await expect(incident.result()).resolves.toMatchObject({ outcome: 'completed', reason: 'promoted', primary: 1 });
    expect(cluster.callsOf('incident')).toEqual([
      ...['observe', 'fence 0'],
      ...['observe', 'fence 0', 'promote 1', 'confirmPrimary 1'],
    ]);
  });

  it('waits for a fence that goes on acting, and its result counts', async () => {
    const fence = cluster.hold('fence 0', { isCancellable: false });
    const first = await bench.send(cluster, { kind: 'failover', node: 0 });
    await fence.reached;
    const newer = await bench.send(cluster, { kind: 'failover', node: 0 });
    await eventually('the fence is told to stop', () => hasPreempted(first.incident));
    fence.release();
    const report = await first.incident.result();
    expect(report).toMatchObject({ outcome: 'completed', reason: 'promoted', primary: 1 });
    expect(report.events.map(({ eventId, reason }) => [eventId, reason])).toEqual([
      [first.event.eventId, 'promoted'],
      [newer.event.eventId, 'already-failed-over'],
    ]);
    expect(cluster.callsOf('incident').filter((name) => name === 'fence 0')).toHaveLength(1);
  });

  it('does not wait for a look that does not end', async () => {
    const observe = cluster.hold('observe', { isCancellable: false });
    const first = await bench.send(cluster, { kind: 'failover', node: 0 });
    await observe.reached;
    const newer = await bench.send(cluster, { kind: 'failover', node: 0 });
    await expect(bench.askSettled(first.incident, newer.event.eventId)).resolves.toMatchObject({ reason: 'promoted' });
    observe.release();
    await expect(first.incident.result()).resolves.toMatchObject({ outcome: 'completed', reason: 'promoted' });
  });

  it('never cancels a promotion', async () => {
    const promote = cluster.hold('promote 1', { isCancellable: true });
    const first = await bench.send(cluster, { kind: 'failover', node: 0 });
    await promote.reached;
    const newer = await bench.send(cluster, { kind: 'failover', node: 0 });
    await eventually('its time is over', () => hasPreempted(first.incident));
    promote.release();
    const report = await first.incident.result();
    expect(report.events.map(({ eventId, reason }) => [eventId, reason])).toEqual([
      [first.event.eventId, 'promoted'],
      [newer.event.eventId, 'already-failed-over'],
    ]);
    expect(cluster.callsOf('incident').filter((name) => name === 'promote 1')).toHaveLength(1);
    const { events } = await first.incident.fetchHistory();
    expect(events!.filter((entry) => entry.activityTaskCancelRequestedEventAttributes)).toEqual([]);
  });

  it('finds a candidate that failed to promote fenced, although its time was over', async () => {
    const promote = cluster.hold('promote 1', { isCancellable: true });
    cluster.fail('promote 1', retryable('no answer'), retryable('no answer'));
    const first = await bench.send(cluster, { kind: 'failover', node: 0 });
    await promote.reached;
    await bench.send(cluster, { kind: 'failover', node: 0 });
    await eventually('its time is over', () => hasPreempted(first.incident));
    promote.release();
    const report = await first.incident.result();
    expect(report).toMatchObject({ outcome: 'completed', reason: 'promoted', primary: 2 });
    expect(report.events[0]).toMatchObject({ eventId: first.event.eventId, reason: 'preempted' });
    const calls = cluster.callsOf('incident');
    expect(calls.slice(0, 6)).toEqual(['observe', 'fence 0', 'promote 1', 'promote 1', 'observe', 'fence 1']);
  });
});

it('an incident that an operator cancels ends cancelled, without a failed workflow task', async () => {
  const fence = cluster.hold('fence 0', { isCancellable: true });
  const { incident } = await bench.send(cluster, { kind: 'failover', node: 0 });
  await fence.reached;
  await incident.cancel();
  const ended = incident.result();
  await expect(ended).rejects.toThrow(WorkflowFailedError);
  await expect(ended).rejects.toMatchObject({ cause: expect.any(CancelledFailure) as unknown });
  const { events } = await incident.fetchHistory();
  expect(events!.filter((entry) => entry.workflowTaskFailedEventAttributes)).toEqual([]);
});
