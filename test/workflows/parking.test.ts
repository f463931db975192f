// A step that has used up its retries waits for a person, in the incident or in a child of it; what the person may say, and what it does.

import { WorkflowUpdateFailedError } from '@temporalio/client';
import { type FakeCluster, worldChanged } from './fake-cluster';
import { deadNode, primaryNode } from './fake-nodes';
import { Bench, eventually, quick, timersOf } from './support';

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

/** Not retried by Temporal, so that it parks at once. */
const refusal = (message: string): Error => worldChanged(message);

describe('a step of a child', () => {
  it('is shown and decided on the incident; retry does it again from fresh facts', async () => {
    cluster.fail('repoint 2', refusal('node 2 does not stream'));
    const { incident } = await bench.send(cluster, { kind: 'failover', node: 0 });
    expect(await bench.untilParked(incident, 'node2.repoint')).toMatchObject({
      problem: 'node 2 does not stream',
      choices: ['retry', 'abort'],
    });
    const answer = await bench.decide(incident, 'node2.repoint', 'retry');
    expect(answer).toBe('node2.repoint: retry, decided by tester');
    const report = await incident.result();
    expect(report).toMatchObject({
      outcome: 'completed',
      follows: [{ node: 2, rung: 'repoint', outcome: 'completed' }],
    });
    expect(cluster.callsOf('follow 2').slice(-4)).toEqual(['observe', 'repoint 2', 'attach 2', 'saveConfiguration 2']);
  });

  it('can be decided on the child itself, and the incident forgets it', async () => {
    cluster.fail('repoint 2', refusal('node 2 does not stream'));
    const { incident } = await bench.send(cluster, { kind: 'failover', node: 0 });
    await bench.untilParked(incident, 'node2.repoint');
    await bench.decide(await bench.followOf(incident, 2), 'node2.repoint', 'abort');
    const report = await incident.result();
    expect(report).toMatchObject({
      outcome: 'incomplete',
      follows: [{ node: 2, outcome: 'incomplete', reason: 'decided-by-person' }],
    });
  });

  it('is left out by skip, where leaving it out makes sense', async () => {
    cluster.fail('attach 2', refusal('pgpool0 does not show node 2 up'));
    const { incident } = await bench.send(cluster, { kind: 'failover', node: 0 });
    await bench.decide(incident, 'node2.attach.pgpool0', 'skip');
    const report = await incident.result();
    expect(report.follows).toMatchObject([{ node: 2, outcome: 'incomplete', reason: 'attach-unconfirmed' }]);
  });

  it('that harms nobody is repeated by itself, too, after a minute', async () => {
    cluster.fail('attach 2', refusal('pgpool0 does not show node 2 up'));
    const { incident } = await bench.send(cluster, { kind: 'failover', node: 0 });
    await bench.untilParked(incident, 'node2.attach.pgpool0');
    // The child tells the incident first: its pause begins a workflow task later.
    const child = await bench.followOf(incident, 2);
    await eventually('its pause began', async () => (await timersOf(child)).startedMs.length > 0);
    expect((await timersOf(child)).startedMs).toEqual([60_000]);
    await bench.decide(incident, 'node2.attach.pgpool0', 'retry');
    await expect(incident.result()).resolves.toMatchObject({ outcome: 'completed' });
  });

  it('is dropped when the node turns out to be away: nobody is asked about it', async () => {
    const repoint = cluster.hold('repoint 2', { isCancellable: false });
    cluster.fail('repoint 2', refusal('node 2 does not stream'));
    const { incident } = await bench.send(cluster, { kind: 'failover', node: 0 });
    await repoint.reached;
    cluster.set(deadNode(2));
    repoint.release();
    const report = await incident.result();
    expect(report.follows).toMatchObject([{ node: 2, outcome: 'incomplete', reason: 'node-unreachable' }]);
  });

  it('is over when the primary changes: the next follow starts anew', async () => {
    cluster.fail('repoint 2', refusal('node 2 does not stream'));
    const { incident } = await bench.send(cluster, { kind: 'failover', node: 0 });
    await bench.untilParked(incident, 'node2.repoint');
    cluster.set(deadNode(1), primaryNode(0, 3));
    await bench.send(cluster, { kind: 'failover', node: 1, oldPrimary: 1 });
    const report = await incident.result();
    expect(report).toMatchObject({ primary: 0, outcome: 'completed' });
    expect(report.follows).toContainEqual(expect.objectContaining({ node: 2, outcome: 'completed' }));
  });
});

describe('a step of the incident', () => {
  it('parks while pgpool does not show the primary; skip ends it as pgpool-unconfirmed', async () => {
    cluster.fail('confirmPrimary 1', refusal('pgpool0 shows no primary'));
    const { incident } = await bench.send(cluster, { kind: 'failover', node: 0 });
    await bench.decide(incident, 'confirm.pgpool0', 'skip');
    await expect(incident.result()).resolves.toMatchObject({ outcome: 'incomplete', reason: 'pgpool-unconfirmed' });
  });

  it('parks while no primary can be had; abort ends the looking', async () => {
    cluster.set(deadNode(0), deadNode(1), deadNode(2));
    const { incident } = await bench.send(
      cluster,
      { kind: 'failover', node: 0 },
      { ...quick, looks: 60, lookAgainMs: 60_000 },
    );
    expect(await bench.untilParked(incident, 'failover')).toMatchObject({ choices: ['retry', 'abort'] });
    const looks = cluster.callsOf('incident').length;
    await bench.decide(incident, 'failover', 'retry');
    await eventually('it looks again', () => cluster.callsOf('incident').length > looks);
    await bench.decide(incident, 'failover', 'abort');
    await expect(incident.result()).resolves.toMatchObject({ outcome: 'refused', primary: null });
  });
});

it.each([
  [
    'a step that is not parked',
    { stepId: 'node9.repoint' },
    'no step "node9.repoint" is parked; parked now: node2.repoint',
  ],
  [
    'a choice that the step does not have',
    { choice: 'skip' as const },
    'step node2.repoint takes retry, abort, not "skip"',
  ],
  ['an unsigned decision', { operator: ' ' }, 'operator is missing: who decides this?'],
  ['a decision without a reason', { reason: '' }, 'reason is missing: it is kept with the decision'],
])('rejects %s, and nothing happens', async (_, more, message) => {
  cluster.fail('repoint 2', refusal('node 2 does not stream'));
  const { incident } = await bench.send(cluster, { kind: 'failover', node: 0 });
  await bench.untilParked(incident, 'node2.repoint');
  const rejected = bench.environment.client.workflow
    .getHandle(incident.workflowId, incident.runId)
    .executeUpdate('decide', {
      args: [{ stepId: 'node2.repoint', choice: 'retry', operator: 'tester', reason: 'test', ...more }],
    });
  await expect(rejected).rejects.toThrow(WorkflowUpdateFailedError);
  await expect(rejected).rejects.toMatchObject({ cause: { message } });
  expect(await bench.untilParked(incident, 'node2.repoint')).toBeDefined();
  await bench.decide(incident, 'node2.repoint', 'abort');
  await incident.result();
});
