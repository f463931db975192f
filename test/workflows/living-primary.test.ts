// The failover runbook where the primary may not be dead: kept, given time, or looked at again.

import { Bench, eventually, quick } from './support';
import { type FakeCluster, pgpoolServing } from './fake-cluster';
import { deadNode, hungNode, primaryNode, recoveringNode, standbyNode, vanishedNode } from './fake-nodes';

let bench: Bench;
let cluster: FakeCluster;

beforeAll(async () => {
  bench = await Bench.open();
});
afterAll(() => bench.close());
beforeEach(() => {
  cluster = bench.newCluster();
  cluster.set(deadNode(0));
});

describe('a primary that works', () => {
  it('is kept when pgpool gave it up, every pgpool is told and every standby looked after', async () => {
    cluster.set(primaryNode(0));
    const { report } = await bench.failOver(cluster);
    expect(report).toMatchObject({ outcome: 'completed', reason: 'primary-kept', primary: 0 });
    expect(cluster.callsOf('incident')).toEqual(['observe', 'confirmPrimary 0']);
    expect(cluster.callsOf('follow 1')).toEqual(['observe', 'attach 1', 'saveConfiguration 1']);
    expect(cluster.callsOf('follow 2')).toEqual(['observe', 'attach 2', 'saveConfiguration 2']);
  });

  it('is kept when a standby fails', async () => {
    cluster.set(primaryNode(0), deadNode(2));
    const { incident } = await bench.send(cluster, { kind: 'failover', node: 2 });
    const report = await incident.result();
    expect(report).toMatchObject({ outcome: 'completed', reason: 'standby-failed', primary: 0 });
    expect(report.follows).toEqual([
      expect.objectContaining({ node: 2, outcome: 'incomplete', reason: 'node-unreachable' }),
    ]);
    expect(cluster.callsOf('incident')).toEqual(['observe', 'confirmPrimary 0']);
    expect(cluster.callsOf('follow 2')).toEqual(['observe']);
  });

  it('is kept when the failover happened already', async () => {
    cluster.set(primaryNode(1, 2), standbyNode(2, 1, 2));
    const { report } = await bench.failOver(cluster);
    expect(report).toMatchObject({ outcome: 'completed', reason: 'already-failed-over', primary: 1 });
    expect(cluster.callsOf('incident')).toEqual(['observe', 'confirmPrimary 1']);
  });
});

describe('a primary that returns after a refusal', () => {
  it('is served again by itself: every pgpool is told, and every standby is looked after', async () => {
    cluster.set(vanishedNode(0));
    cluster.setPolicy({ unreachableHost: 'park' });
    const timing = { ...quick, looks: 2, slowLookMs: 100 };
    const { incident, event } = await bench.send(cluster, { kind: 'failover', node: 0 }, timing);
    await expect(bench.askSettled(incident, event.eventId)).resolves.toMatchObject({ outcome: 'refused' });
    // Long after the first looks.
    const looks = () => cluster.callsOf('incident').filter((call) => call === 'observe').length;
    await eventually('it still looks', () => looks() > 4);
    cluster.set(primaryNode(0));
    // Whether the next look finds it, or the wait for it.
    expect(await incident.result()).toMatchObject({ outcome: 'completed', primary: 0 });
    expect(cluster.callsOf('incident')).toContain('confirmPrimary 0');
    expect(cluster.callsOf('follow 1')).toContain('attach 1');
    expect(cluster.callsOf('follow 2')).toContain('attach 2');
  });
});

describe('a pgpool that takes another node for the primary', () => {
  it('is led back, also when the run knows the primary already', async () => {
    const hold = cluster.hold('saveConfiguration 1', { isCancellable: true });
    cluster.set(primaryNode(0));
    const { incident } = await bench.send(cluster, { kind: 'follow', node: 1, mainNode: 0 });
    await hold.reached;
    const asked = () => cluster.callsOf('incident').filter((call) => call === 'confirmPrimary 0').length;
    await eventually('it was asked', () => asked() === 1);
    await bench.send(cluster, { kind: 'follow', node: 2, mainNode: 1 });
    await eventually('it is asked again', () => asked() === 2);
    hold.release();
    await incident.result();
  });
});

describe('a former primary that accepts writes beside its successor', () => {
  it('is fenced and then rebuilt, and the successor stays the primary', async () => {
    cluster.set(primaryNode(0), primaryNode(1, 2), standbyNode(2, 1, 2));
    cluster.pgpools = [pgpoolServing(1)];
    const { report } = await bench.failOver(cluster);
    expect(report).toMatchObject({ outcome: 'completed', reason: 'already-failed-over', primary: 1 });
    expect(cluster.callsOf('incident')).toEqual(['observe', 'fence 0', 'observe', 'confirmPrimary 1']);
    expect(report.follows).toContainEqual(expect.objectContaining({ node: 0, rung: 'rebuild', outcome: 'completed' }));
  });

  it('is fenced with clients on it, too, where the record says that our own promotion succeeded it', async () => {
    cluster.set(deadNode(0));
    const { report } = await bench.failOver(cluster);
    expect(report).toMatchObject({ reason: 'promoted', primary: 1 });
    cluster.set({ ...primaryNode(0), clients: 3 });
    cluster.record = { ...cluster.concluded.at(-1)!, since: '2026-01-01T00:00:00.000Z' };
    const { incident } = await bench.send(cluster, { kind: 'returned', node: 0, oldPrimary: null });
    await expect(incident.result()).resolves.toMatchObject({ follows: [{ node: 0, outcome: 'completed' }] });
    expect(cluster.callsOf('incident').filter((call) => call === 'fence 0')).toHaveLength(2);
  });

  it('a standby that was promoted by mistake stops nobody', async () => {
    cluster.set({ ...primaryNode(0), clients: 3, followers: 1 }, standbyNode(1, 0), primaryNode(2, 2));
    cluster.pgpools = [pgpoolServing(0)];
    const { incident } = await bench.send(cluster, { kind: 'failover', node: 1, oldPrimary: 0 });
    const report = await incident.result();
    expect(report).toMatchObject({ outcome: 'refused', reason: 'two-primaries' });
    expect(cluster.callsOf('incident')).toEqual(['observe']);
  });
});

describe('a primary that was shut down cleanly', () => {
  const controlFile = {
    state: 'shut down',
    systemIdentifier: '7400000000000000001',
    checkpoint: { timeline: 1, lsn: '0/5000000' },
  };

  it('is looked at again after two seconds, and kept when it was only restarted', async () => {
    cluster.set({ ...deadNode(0), host: { ...deadNode(0).host!, controlFile } });
    const { observe } = cluster.fakes;
    cluster.fakes.observe = async (input) => {
      const seen = await observe(input);
      cluster.set(primaryNode(0));
      return seen;
    };
    const startedAt = Date.now();
    const { report } = await bench.failOver(cluster);
    expect(report).toMatchObject({ outcome: 'completed', reason: 'primary-kept', primary: 0 });
    expect(Date.now() - startedAt).toBeGreaterThanOrEqual(2000);
    expect(cluster.callsOf('incident')).toEqual(['observe', 'observe', 'confirmPrimary 0']);
  });

  it('is replaced when it stays down', async () => {
    cluster.set({ ...deadNode(0), host: { ...deadNode(0).host!, controlFile } });
    const { report } = await bench.failOver(cluster);
    expect(report).toMatchObject({ outcome: 'completed', reason: 'promoted', primary: 1 });
    expect(cluster.callsOf('incident').slice(0, 4)).toEqual(['observe', 'observe', 'fence 0', 'promote 1']);
  });
});

describe('a primary in crash recovery', () => {
  it('is given its time, then fenced and replaced when it still recovers', async () => {
    cluster.set(recoveringNode(0));
    const { report } = await bench.failOver(cluster);
    expect(report).toMatchObject({ outcome: 'completed', reason: 'promoted', primary: 1 });
    expect(cluster.callsOf('incident')).toEqual([
      ...['observe', 'awaitRecovery 0', 'observe', 'fence 0', 'promote 1', 'confirmPrimary 1'],
    ]);
    // Rule 8: it was alive when it was stopped.
    expect(cluster.callsOf('follow 0')).toContain('start 0');
  });

  it('is kept when it has recovered in that time', async () => {
    cluster.set(recoveringNode(0));
    cluster.fakes.awaitRecovery = () => {
      cluster.set(primaryNode(0));
      return Promise.resolve({ line: 'node 0 after 900 ms: answered' });
    };
    const { report } = await bench.failOver(cluster);
    expect(report).toMatchObject({ outcome: 'completed', reason: 'primary-kept', primary: 0 });
    expect(cluster.callsOf('incident')).toEqual(['observe', 'awaitRecovery 0', 'observe', 'confirmPrimary 0']);
  });
});

describe('a primary that is silent to the worker while somebody else heard from it', () => {
  const pgpools = (): FakeCluster['pgpools'] => [
    {
      pgpool: 'pgpool0',
      nodes: [{ node: 0, status: 'down', role: 'primary', liveStatus: 'up', liveRole: 'primary' }],
      isReached: true,
      seen: '',
    },
  ];

  it('is looked at again at once, and kept if it answers then', async () => {
    cluster.set(hungNode(0));
    cluster.pgpools = pgpools();
    const { observe } = cluster.fakes;
    cluster.fakes.observe = async (input) => {
      const seen = await observe(input);
      cluster.set(primaryNode(0));
      return seen;
    };
    const { report } = await bench.failOver(cluster);
    expect(report).toMatchObject({ outcome: 'completed', reason: 'primary-kept', primary: 0 });
    expect(cluster.callsOf('incident')).toEqual(['observe', 'observe', 'confirmPrimary 0']);
  });

  it('is left alone if the second look is no clearer', async () => {
    cluster.set(hungNode(0));
    cluster.pgpools = pgpools();
    const { report } = await bench.failOver(cluster);
    expect(report).toMatchObject({ outcome: 'refused', reason: 'primary-unreachable', primary: null });
    expect(cluster.callsOf('incident')).toEqual(['observe', 'observe']);
  });
});
