// No node is forgotten: one that is parked, slow, dead or cut off does not keep the others waiting.

import { type FakeCluster, pgpoolServing, worldChanged } from './fake-cluster';
import { deadNode, primaryNode, standbyNode, vanishedNode } from './fake-nodes';
import { Bench, eventually, quick } from './support';

let bench: Bench;
let cluster: FakeCluster;

beforeAll(async () => {
  bench = await Bench.open();
});
afterAll(() => bench.close());
beforeEach(() => {
  cluster = bench.newCluster();
});

/** Node 1 has succeeded node 0, which lies as it crashed. */
const afterFailover = (): void => {
  cluster.set(deadNode(0), primaryNode(1, 2), standbyNode(2, 1, 2));
};
const rejoin = (node: number) => bench.send(cluster, { kind: 'rejoin', node, mainNode: null, oldPrimary: null });

it('a refused failover is looked at again although a follow is parked', async () => {
  cluster.set(deadNode(0));
  cluster.fail('repoint 2', worldChanged('node 2 does not stream'));
  const timing = { ...quick, looks: 60, lookAgainMs: 60_000 };
  const { incident } = await bench.send(cluster, { kind: 'failover', node: 0 }, timing);
  await bench.untilParked(incident, 'node2.repoint');
  // A person has repaired the node; the follow was not told.
  cluster.set(vanishedNode(1), { ...standbyNode(2, 1, 2), walReceiver: null });
  await bench.send(cluster, { kind: 'failover', node: 1, oldPrimary: 1 });
  await bench.untilParked(incident, 'failover');
  cluster.set(deadNode(1));
  await bench.decide(incident, 'failover', 'retry');
  expect(await incident.result()).toMatchObject({ outcome: 'completed', reason: 'promoted', primary: 2 });
});

it('a former primary that was fenced on the way is brought back, although the event was about another node', async () => {
  cluster.set(primaryNode(0, 1), primaryNode(1, 2), deadNode(2));
  cluster.pgpools = [pgpoolServing(1)];
  const { incident } = await bench.send(cluster, { kind: 'failover', node: 2, oldPrimary: 1 });
  const report = await incident.result();
  expect(report.follows).toContainEqual(expect.objectContaining({ node: 0, rung: 'rebuild', outcome: 'completed' }));
});

it('a former primary that came back writable is fenced, and left to a person where policy.rejoin is manual', async () => {
  cluster.set(primaryNode(0, 1), primaryNode(1, 2), standbyNode(2, 1, 2));
  cluster.pgpools = [pgpoolServing(1)];
  cluster.setPolicy({ rejoin: 'manual' });
  const { incident } = await bench.send(cluster, { kind: 'returned', node: 0, oldPrimary: null });
  expect(await incident.result()).toMatchObject({ follows: [{ node: 0, reason: 'rejoin-manual' }] });
  expect(cluster.callsOf('incident')).toContain('fence 0');
  expect(cluster.callsOf('follow 0')).toEqual([]);
});

it('a primary that misses one look does not end a follow', async () => {
  afterFailover();
  cluster.set({ ...standbyNode(2, 9, 1), walReceiver: null });
  const { observe } = cluster.fakes;
  let isMissed = false;
  cluster.fakes.observe = async (input) => {
    const seen = await observe(input);
    if (isMissed || cluster.callsOf('follow 2').length === 0) return seen;
    isMissed = true;
    const nodes = seen.facts.nodes.map((entry) => (entry.node === 1 ? vanishedNode(1) : entry));
    return { ...seen, facts: { ...seen.facts, nodes } };
  };
  const { incident } = await bench.send(cluster, { kind: 'follow', node: 2 });
  expect(await incident.result()).toMatchObject({ follows: [{ node: 2, rung: 'repoint', outcome: 'completed' }] });
  expect(cluster.callsOf('follow 2').slice(0, 3)).toEqual(['observe', 'observe', 'repoint 2']);
});

it('a pgpool that is dead does not keep the others from a standby', async () => {
  cluster.set(deadNode(0));
  const [first] = cluster.configuration.pgpool;
  cluster.configuration = { ...cluster.configuration, pgpool: [first!, { ...first!, name: 'pgpool1' }] };
  const attached: string[] = [];
  cluster.fakes.attach = ({ pgpool }) => {
    if (pgpool === 'pgpool0') return Promise.reject(worldChanged('pgpool0 does not answer'));
    attached.push(pgpool);
    return Promise.resolve({ changed: true, line: `${pgpool} uses it` });
  };
  const { incident } = await bench.send(cluster, { kind: 'failover', node: 0 });
  await bench.untilParked(incident, 'node2.attach.pgpool0');
  await eventually('pgpool1 uses it', () => attached.includes('pgpool1'));
  await bench.decide(incident, 'node2.attach.pgpool0', 'skip');
  expect((await incident.result()).follows).toMatchObject([{ node: 2, reason: 'attach-unconfirmed' }]);
});

it('a copy that cannot stream either is not followed by another one unasked', async () => {
  afterFailover();
  cluster.fail('confirmStreaming 0', worldChanged('the primary no longer has its WAL', 'WalMissing'));
  cluster.fakes.start = ({ node }) => {
    cluster.set({ ...standbyNode(node, 1, 2), walReceiver: null });
    return Promise.resolve({ changed: true, line: 'started' });
  };
  const { incident } = await rejoin(0);
  await bench.decide(incident, 'node0.confirm-streaming', 'abort');
  expect(await incident.result()).toMatchObject({ follows: [{ node: 0, reason: 'decided-by-person' }] });
  expect(cluster.callsOf('follow 0').filter((name) => name === 'baseBackup 0')).toHaveLength(1);
});

it('commits wait for a standby as soon as one streams, whatever else is still going on', async () => {
  cluster.set(deadNode(0));
  cluster.setPolicy({ synchronous: { standbys: 1, whenNone: 'degrade' } });
  cluster.fail('confirmPrimary 1', worldChanged('pgpool0 is dead'));
  const { incident } = await bench.send(cluster, { kind: 'failover', node: 0 });
  await bench.untilParked(incident, 'confirm.pgpool0');
  await eventually('the set is written', () => cluster.callsOf('incident').includes('setSynchronousStandbys 1'));
  await bench.decide(incident, 'confirm.pgpool0', 'skip');
  await incident.result();
});

it('commits wait for a standby as soon as it streams, although pgpool does not use it yet', async () => {
  cluster.set(deadNode(0));
  cluster.setPolicy({ synchronous: { standbys: 1, whenNone: 'degrade' } });
  const attach = cluster.hold('attach 2', { isCancellable: true });
  const { incident } = await bench.send(cluster, { kind: 'failover', node: 0 });
  await attach.reached;
  await eventually('the set is written once more', () => {
    return cluster.callsOf('incident').filter((name) => name === 'setSynchronousStandbys 1').length > 1;
  });
  attach.release();
  await incident.result();
});

it('commits do not wait for a standby that has failed', async () => {
  cluster.set(primaryNode(0), deadNode(2));
  cluster.setPolicy({ synchronous: { standbys: 1, whenNone: 'degrade' } });
  const { incident } = await bench.send(cluster, { kind: 'failover', node: 2 });
  expect(await incident.result()).toMatchObject({ reason: 'standby-failed' });
  expect(cluster.callsOf('incident')).toContain('setSynchronousStandbys 0');
});

it('a node that a person has let go is left alone by the watch', async () => {
  cluster.set(deadNode(0));
  await bench.openClusterOf(cluster);
  cluster.fail('repoint 2', worldChanged('node 2 does not stream'));
  const { incident } = await bench.send(cluster, { kind: 'failover', node: 0 });
  await bench.decide(incident, 'node2.repoint', 'abort');
  await incident.result();
  await eventually('a watch knows it', () => cluster.watches.at(-1)?.left.includes(2) ?? false);
});

it('what a rebuild that was cut off has left is cleared by the next follow', async () => {
  afterFailover();
  const mark = '20260101T000000Z-0a1b2c3d';
  cluster.fakes.saveConfiguration = () =>
    Promise.resolve({
      changed: false,
      line: 'carries a mark',
      set: null,
      mark: cluster.callsOf('follow 2').includes('clearReplacedData 2') ? null : mark,
    });
  const cleared: string[] = [];
  cluster.fakes.clearReplacedData = ({ rebuild }) => {
    cleared.push(rebuild.rebuildId);
    return Promise.resolve({ changed: true, line: 'cleared', kept: null });
  };
  const { incident } = await bench.send(cluster, { kind: 'follow', node: 2 });
  await incident.result();
  expect(cleared).toEqual([mark]);
  expect(cluster.callsOf('follow 2').slice(-4)).toEqual([
    'saveConfiguration 2',
    'clearReplacedData 2',
    'releaseSlots 2',
    'saveConfiguration 2',
  ]);
});

it('a later look that finds nothing to do does not hide what was done', async () => {
  afterFailover();
  const { incident, event } = await rejoin(0);
  await bench.askSettled(incident, event.eventId);
  await bench.send(cluster, { kind: 'returned', node: 0, mainNode: null, oldPrimary: null });
  expect((await incident.result()).follows).toMatchObject([{ node: 0, rung: 'rebuild', reason: 'rebuilt' }]);
});

it('no node is attached while pgpool ends its own failover, however soon it streams', async () => {
  cluster.set(deadNode(0));
  const times: Record<string, number> = {};
  const { promote, repoint, attach } = cluster.fakes;
  cluster.fakes.promote = async (input) => {
    times['promoted'] = Date.now();
    return await promote(input);
  };
  cluster.fakes.repoint = async (input) => {
    times['repointed'] = Date.now();
    return await repoint(input);
  };
  cluster.fakes.attach = async (input) => {
    times['attached'] ??= Date.now();
    return await attach(input);
  };
  const attachMs = 1500;
  const { incident } = await bench.send(cluster, { kind: 'failover', node: 0 }, { ...quick, attachMs });
  await incident.result();
  expect(times['attached']! - times['promoted']!).toBeGreaterThanOrEqual(attachMs);
  expect(times['attached']).toBeGreaterThan(times['repointed']!);
});
