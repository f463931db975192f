// Events of an incident: repeated, late, out of order, malformed; and the answers to the waiting hook.

import { WorkflowNotFoundError, WorkflowUpdateFailedError } from '@temporalio/client';
import type { FakeCluster } from './fake-cluster';
import { deadNode, primaryNode, standbyNode } from './fake-nodes';
import { Bench, eventually, quick } from './support';

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

const promotion = ['observe', 'fence 0', 'promote 1', 'confirmPrimary 1'];

describe('the settled update', () => {
  it('answers at the promotion, while a follow still runs', async () => {
    const repoint = cluster.hold('repoint 2', { isCancellable: true });
    const { incident, event } = await bench.send(cluster, { kind: 'failover', node: 0 });
    const verdict = await bench.askSettled(incident, event.eventId);
    expect(verdict).toMatchObject({ outcome: 'completed', reason: 'promoted' });
    expect(verdict.line).toContain('promoted node 1 to timeline 2');
    await repoint.reached;
    expect(cluster.callsOf('follow 2')).toEqual(['observe', 'repoint 2']);
    repoint.release();
    await expect(incident.result()).resolves.toMatchObject({ outcome: 'completed', reason: 'promoted' });
  });

  it('answers two who ask before the decision, and one who asks after it, the same', async () => {
    const fence = cluster.hold('fence 0', { isCancellable: false });
    const { incident, event } = await bench.send(cluster, { kind: 'failover', node: 0 });
    const early = [bench.askSettled(incident, event.eventId), bench.askSettled(incident, event.eventId)];
    await fence.reached;
    fence.release();
    const [first, second] = await Promise.all(early);
    expect(first).toMatchObject({ outcome: 'completed', reason: 'promoted' });
    expect(second).toEqual(first);
    await expect(bench.askSettled(incident, event.eventId)).resolves.toEqual(first);
    await incident.result();
  });

  it('rejects an event that the run does not know, and leaves no trace of it', async () => {
    const { incident } = await bench.send(cluster, { kind: 'failover', node: 0 });
    const asked = bench.askSettled(incident, 'nobody-sent-this');
    await expect(asked).rejects.toThrow(WorkflowUpdateFailedError);
    await expect(asked).rejects.toMatchObject({ cause: { message: 'no event nobody-sent-this in this run' } });
    await incident.result();
    const { events } = await incident.fetchHistory();
    expect(events!.filter((entry) => entry.workflowExecutionUpdateAcceptedEventAttributes)).toEqual([]);
  });

  it('fails with not-found once the run is closed', async () => {
    const { incident, event } = await bench.failOver(cluster);
    await expect(bench.askSettled(incident, event.eventId)).rejects.toThrow(WorkflowNotFoundError);
  });
});

describe('an event', () => {
  it('that is delivered twice is decided once', async () => {
    const { incident, event } = await bench.send(cluster, { kind: 'failover', node: 0 });
    await bench.sendRaw(cluster, event);
    await bench.askSettled(incident, event.eventId);
    await bench.sendRaw(cluster, event);
    const report = await incident.result();
    expect(cluster.callsOf('incident')).toEqual(promotion);
    expect(report.events).toEqual([expect.objectContaining({ eventId: event.eventId, reason: 'promoted' })]);
  });

  it('about a failure that is settled already gets its own answer, and the run stays a promotion', async () => {
    const { incident, event } = await bench.send(cluster, { kind: 'failover', node: 0 });
    await bench.askSettled(incident, event.eventId);
    const again = await bench.send(cluster, { kind: 'failover', node: 0 });
    await expect(bench.askSettled(incident, again.event.eventId)).resolves.toMatchObject({
      outcome: 'completed',
      reason: 'already-failed-over',
    });
    const report = await incident.result();
    expect(report).toMatchObject({ outcome: 'completed', reason: 'promoted', primary: 1 });
    expect(report.line).toContain('promoted node 1');
    expect(report.events.map(({ reason }) => reason)).toEqual(['promoted', 'already-failed-over']);
    expect(cluster.callsOf('incident').filter((name) => name === 'promote 1')).toHaveLength(1);
  });

  it('that waits with others of its kind shares one look and one answer with them', async () => {
    const observe = cluster.hold('observe', { isCancellable: false });
    // Preempted, the look would not be shared.
    const first = await bench.send(cluster, { kind: 'follow', node: 2 }, { ...quick, preemptMs: 10_000 });
    await observe.reached;
    const [second, third] = [
      await bench.send(cluster, { kind: 'failover', node: 2 }),
      await bench.send(cluster, { kind: 'failover', node: 0 }),
    ];
    observe.release();
    const report = await first.incident.result();
    const reasons = new Map(report.events.map(({ eventId, reason }) => [eventId, reason]));
    expect(reasons.get(second.event.eventId)).toBe(reasons.get(third.event.eventId));
    expect(cluster.callsOf('incident').filter((name) => name === 'promote 1')).toHaveLength(1);
  });

  it('that was delivered an hour late is decided on what is seen now', async () => {
    const at = new Date(Date.now() - 3_600_000).toISOString();
    const late = await bench.send(cluster, { kind: 'failover', node: 0, at });
    await expect(late.incident.result()).resolves.toMatchObject({ reason: 'promoted', primary: 1 });
    const later = await bench.send(cluster, { kind: 'failover', node: 0, at });
    await expect(later.incident.result()).resolves.toMatchObject({ reason: 'already-failed-over', primary: 1 });
    expect(cluster.callsOf('incident')).toEqual([...promotion, 'observe', 'confirmPrimary 1']);
  });

  it('that is malformed is ignored: the run neither fails nor decides anything', async () => {
    const payloads = [undefined, null, 'failover', { eventId: 'x y', kind: 'failover' }, { ...newEvent(), node: 4096 }];
    const incident = await bench.sendRaw(cluster, payloads[0]);
    for (const payload of payloads.slice(1)) await bench.sendRaw(cluster, payload);
    await expect(incident.result()).resolves.toMatchObject({ outcome: 'completed', events: [], primary: null });
    expect(cluster.calls).toEqual([]);
    const { events } = await incident.fetchHistory();
    expect(events!.filter((entry) => entry.workflowTaskFailedEventAttributes)).toEqual([]);
  });

  it('that is malformed does not stop the good one behind it', async () => {
    await bench.sendRaw(cluster, { kind: 'failover' });
    await expect(bench.failOver(cluster)).resolves.toMatchObject({ report: { reason: 'promoted', primary: 1 } });
  });
});

describe('a follow event', () => {
  it('that overtakes its failover is decided by evidence: the dead primary is replaced at once', async () => {
    const { incident } = await bench.send(cluster, { kind: 'follow', node: 2 });
    const { event } = await bench.send(cluster, { kind: 'failover', node: 0 });
    const report = await incident.result();
    expect(report).toMatchObject({ outcome: 'completed', reason: 'promoted', primary: 1 });
    expect(report.events).toContainEqual(expect.objectContaining({ eventId: event.eventId, outcome: 'completed' }));
    expect(cluster.callsOf('incident').filter((name) => name === 'promote 1')).toHaveLength(1);
  });

  it('in a fresh run makes the node follow whoever is the primary', async () => {
    cluster.set(primaryNode(1, 2));
    const { incident } = await bench.send(cluster, { kind: 'follow', node: 2 });
    await expect(incident.result()).resolves.toMatchObject({
      ...{ outcome: 'completed', reason: 'primary-working', primary: 1 },
      follows: [{ node: 2, outcome: 'completed', reason: 'repointed' }],
    });
    expect(cluster.callsOf('incident')).toEqual(['observe', 'confirmPrimary 1']);
    expect(cluster.callsOf('follow 2')).toEqual(['observe', 'repoint 2', 'attach 2', 'saveConfiguration 2']);
  });

  it('about the primary itself makes nobody follow', async () => {
    cluster.set(primaryNode(1, 2), standbyNode(2, 1, 2));
    const { incident } = await bench.send(cluster, { kind: 'follow', node: 1 });
    await expect(incident.result()).resolves.toMatchObject({ reason: 'primary-working', primary: 1, follows: [] });
    expect(cluster.callsOf('incident')).toEqual(['observe', 'confirmPrimary 1']);
  });

  it('about a node that the cluster file does not name ends incomplete', async () => {
    cluster.set(primaryNode(1, 2), standbyNode(2, 1, 2));
    const { incident } = await bench.send(cluster, { kind: 'follow', node: 9 });
    await expect(incident.result()).resolves.toMatchObject({
      outcome: 'incomplete',
      follows: [{ node: 9, outcome: 'incomplete', reason: 'node-not-configured' }],
    });
  });

  it('for every node, as pgpool sends them, joins the run: one child a node, none for those who are away', async () => {
    cluster.resize(4);
    cluster.set(deadNode(0));
    const repoint = cluster.hold('repoint 2', { isCancellable: true });
    const { incident, event } = await bench.send(cluster, { kind: 'failover', node: 0 });
    await bench.askSettled(incident, event.eventId);
    await repoint.reached;
    await eventually('node 3 is attached', () => cluster.callsOf('follow 3').includes('attach 3'));
    for (const node of [0, 1, 2, 3]) await bench.send(cluster, { kind: 'follow', node });
    repoint.release();
    const report = await incident.result();
    expect(report).toMatchObject({ outcome: 'completed', reason: 'promoted', primary: 1 });
    expect(report.follows.map(({ node, outcome }) => [node, outcome])).toEqual([
      [2, 'completed'],
      [3, 'completed'],
    ]);
    expect(report.events).toHaveLength(5);
    expect(cluster.callsOf('follow 0')).toEqual([]);
    expect(cluster.callsOf('follow 1')).toEqual([]);
    expect(cluster.callsOf('follow 2')).toEqual(['observe', 'repoint 2', 'attach 2', 'saveConfiguration 2']);
    // pgpool asked again while the child ran: its "up" is looked at once more at the end.
    expect(cluster.callsOf('incident').slice(-2)).toContain('attach 2');
  });
});

function newEvent(): object {
  return bench.newEvent({ kind: 'failover', node: 0 });
}
