// A standby that works, and that pgpool reports as failed: a person may have detached it, so it stays so for
// policy.reattachMs.

import type { FakeCluster } from './fake-cluster';
import { deadNode, primaryNode, standbyNode } from './fake-nodes';
import { Bench, eventually } from './support';

let bench: Bench;
let cluster: FakeCluster;

beforeAll(async () => {
  bench = await Bench.open();
});
afterAll(() => bench.close());
beforeEach(() => {
  cluster = bench.newCluster();
  cluster.set(primaryNode(0), standbyNode(1, 0), standbyNode(2, 0));
});

const detach = (node: number) => bench.send(cluster, { kind: 'failover', node });
const patient = ['observe', 'observe', 'attach 2', 'saveConfiguration 2'];
const atOnce = ['observe', 'attach 2', 'saveConfiguration 2'];

it('is attached after that time, and looked at once more before', async () => {
  cluster.setPolicy({ reattachMs: 1200 });
  const startedAt = Date.now();
  const report = await (await detach(2)).incident.result();
  expect(Date.now() - startedAt).toBeGreaterThan(1200);
  expect(report).toMatchObject({
    outcome: 'completed',
    primary: 0,
    follows: [{ node: 2, reason: 'already-following' }],
  });
  expect(cluster.callsOf('follow 2')).toEqual(patient);
});

it('is attached at once with 0', async () => {
  cluster.setPolicy({ reattachMs: 0 });
  await (await detach(2)).incident.result();
  expect(cluster.callsOf('follow 2')).toEqual(atOnce);
});

describe('with an hour', () => {
  beforeEach(() => {
    cluster.setPolicy({ reattachMs: 3_600_000 });
  });
  const untilPaused = () => eventually('it is looked at', () => cluster.callsOf('follow 2').length === 1);

  it('is attached at once when a person asks', async () => {
    const { incident } = await detach(2);
    await untilPaused();
    const asked = await bench.send(cluster, { kind: 'rejoin', node: 2, mainNode: null, oldPrimary: null });
    await expect(bench.askSettled(incident, asked.event.eventId)).resolves.toMatchObject({ outcome: 'completed' });
    expect(cluster.callsOf('follow 2')).toEqual(['observe', ...atOnce]);
    await incident.result();
  });

  it('follows the new primary at once when the primary fails meanwhile', async () => {
    const { incident } = await detach(2);
    await untilPaused();
    cluster.set(deadNode(0));
    await detach(0);
    expect(await incident.result()).toMatchObject({ reason: 'promoted', primary: 1 });
    expect(cluster.callsOf('follow 2')).toEqual(['observe', 'observe', 'repoint 2', 'attach 2', 'saveConfiguration 2']);
  });

  it('is attached at once when it came back, or is one of pgpool’s own follow', async () => {
    for (const kind of ['returned', 'follow'] as const) {
      await (await bench.send(cluster, { kind, node: 2 })).incident.result();
      expect(cluster.callsOf('follow 2').slice(-3)).toEqual(atOnce);
    }
  });
});
