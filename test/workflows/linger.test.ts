// When an incident ends and what comes after: the linger, the next run, the wait for nodes that are away, the last looks.

import { type FakeCluster, worldChanged } from './fake-cluster';
import { deadNode, primaryNode, rejectingNode, standbyNode, vanishedNode } from './fake-nodes';
import { Bench, eventually, quick, timersOf } from './support';

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

describe('a refusal', () => {
  it('is looked at again while no primary is known, and ends in a promotion once a standby is back', async () => {
    cluster.set(vanishedNode(1), vanishedNode(2));
    const { event, incident } = await bench.send(cluster, { kind: 'failover', node: 0 }, { ...quick, looks: 200 });
    await expect(bench.askSettled(incident, event.eventId)).resolves.toMatchObject({ reason: 'no-candidate' });
    cluster.set(standbyNode(1, 0), standbyNode(2, 0));
    await expect(incident.result()).resolves.toMatchObject({ outcome: 'completed', reason: 'promoted', primary: 1 });
  });

  it('stays one when every look finds the same', async () => {
    cluster.set(rejectingNode(0));
    const { incident } = await bench.send(cluster, { kind: 'failover', node: 0 }, { ...quick, looks: 2 });
    await expect(incident.result()).resolves.toMatchObject({ outcome: 'refused', primary: null });
    expect(cluster.callsOf('incident')).toEqual(['observe', 'observe', 'observe']);
  });
});

describe('the linger', () => {
  it('lets an event that comes after the work is done join the run', async () => {
    const timing = { ...quick, lingerMs: 1200 };
    const first = await bench.send(cluster, { kind: 'failover', node: 0 }, timing);
    await eventually('the run lingers', async () => (await timersOf(first.incident)).startedMs.includes(1200));
    const next = await bench.send(cluster, { kind: 'follow', node: 2 }, timing);
    expect(next.incident.runId).toBe(first.incident.runId);
    const report = await first.incident.result();
    expect(report.events.map(({ eventId }) => eventId)).toEqual([first.event.eventId, next.event.eventId]);
  });

  it('is over for an event that comes later: it opens a new run, which decides from fresh facts', async () => {
    const first = await bench.failOver(cluster);
    const second = await bench.failOver(cluster);
    expect(second.incident.runId).not.toBe(first.incident.runId);
    expect(first.report.events.map(({ eventId }) => eventId)).toEqual([first.event.eventId]);
    expect(second.report).toMatchObject({ reason: 'already-failed-over', primary: 1 });
  });

  it('is five seconds for a run that a hook opens', async () => {
    cluster.set(primaryNode(0));
    const { incident } = await bench.send(cluster, { kind: 'failover', node: 0 }, null);
    await eventually('the run lingers', async () => (await timersOf(incident)).startedMs.length > 0);
    await expect(timersOf(incident)).resolves.toEqual({ fired: 0, startedMs: [5000] });
    await incident.terminate('the test is over');
  });

  it('loses no event that races with the end of a run', async () => {
    cluster.set(primaryNode(0));
    const timing = { ...quick, lingerMs: 20 };
    const sent: string[] = [];
    const runs = new Map<string, Awaited<ReturnType<typeof bench.sendRaw>>>();
    for (let index = 0; index < 20; index += 1) {
      const { event, incident } = await bench.send(cluster, { kind: 'follow', node: 0 }, timing);
      sent.push(event.eventId);
      runs.set(incident.runId, incident);
      // From right after the decision to well after the end, in steps of a few milliseconds.
      await new Promise((resolve) => setTimeout(resolve, 20 + index * 30));
    }
    const reports = await Promise.all([...runs.values()].map((run) => run.result()));
    expect(reports.flatMap(({ events }) => events.map(({ eventId }) => eventId)).sort()).toEqual([...sent].sort());
    expect(runs.size).toBeGreaterThan(1);
  });
});

describe('a node that is away', () => {
  it('is made to follow when the watch tells of its return', async () => {
    await bench.failOver(cluster);
    cluster.set(standbyNode(0, 2, 1));
    const { incident } = await bench.send(cluster, { kind: 'returned', node: 0, oldPrimary: null });
    await expect(incident.result()).resolves.toMatchObject({
      ...{ outcome: 'completed', reason: 'primary-working', primary: 1 },
      follows: [{ node: 0, rung: 'repoint', outcome: 'completed', reason: 'repointed' }],
    });
    expect(cluster.callsOf('follow 0')).toEqual(['observe', 'repoint 0', 'attach 0', 'saveConfiguration 0']);
  });
});

describe('before an incident ends', () => {
  it('the synchronous standbys are set once the others stream', async () => {
    cluster.setPolicy({ synchronous: { standbys: 1, whenNone: 'degrade' } });
    const { report } = await bench.failOver(cluster);
    expect(report).toMatchObject({ outcome: 'completed', reason: 'promoted' });
    const names = cluster.calls.map(({ name }) => name);
    expect(names.lastIndexOf('setSynchronousStandbys 1')).toBeGreaterThan(names.indexOf('repoint 2'));
  });

  it.each([
    ['step-failed', 'synchronous-standbys', 'setSynchronousStandbys 1'],
    ['pgpool-unconfirmed', 'confirm.pgpool0', 'confirmPrimary 1'],
  ])('it says incomplete (%s) when %s is skipped, and what it promoted stays promoted', async (reason, step, call) => {
    cluster.setPolicy({ synchronous: { standbys: 1, whenNone: 'degrade' } });
    cluster.fail(call, worldChanged('refused'));
    const { incident } = await bench.send(cluster, { kind: 'failover', node: 0 });
    // Wait here, because node 2's stream would be a reason to set them once more.
    await eventually('node 2 streams', () => cluster.callsOf('follow 2').includes('attach 2'));
    await bench.decide(incident, step, 'skip');
    const report = await incident.result();
    expect(report).toMatchObject({ outcome: 'incomplete', reason, primary: 1 });
    expect(report.events).toEqual([expect.objectContaining({ outcome: 'completed', reason: 'promoted' })]);
    expect(report.line).toContain('promoted node 1');
  });

  it.each([
    ['decided-by-person', 'repoint 2', 'node2.repoint', 'abort'],
    ['attach-unconfirmed', 'attach 2', 'node2.attach.pgpool0', 'skip'],
  ] as const)('it says incomplete when a standby is left behind (%s)', async (...row) => {
    const [reason, call, step, choice] = row;
    cluster.fail(call, worldChanged('refused'));
    const { incident } = await bench.send(cluster, { kind: 'failover', node: 0 });
    await bench.decide(incident, step, choice);
    const report = await incident.result();
    expect(report).toMatchObject({ outcome: 'incomplete', reason: 'promoted', follows: [{ node: 2, reason }] });
  });
});
