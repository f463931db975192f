// A candidate that was to be promoted and is not proven to be: left alone, waited for, or stopped for a better one.

import type { NodeFacts } from '../../domain/facts/facts';
import { Bench, eventually, type IncidentHandle, quick } from './support';
import { type FakeCluster, notPromoted, retryable } from './fake-cluster';
import { deadNode, hungNode, primaryNode, standbyNode, vanishedNode } from './fake-nodes';

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

it('a candidate that does not promote is fenced and the next one promoted', async () => {
  cluster.fail('promote 1', retryable('no answer'), retryable('no answer'));
  const { report } = await bench.failOver(cluster);
  expect(report).toMatchObject({ outcome: 'completed', reason: 'promoted', primary: 2 });
  expect(cluster.callsOf('incident')).toEqual([
    ...['observe', 'fence 0', 'promote 1', 'promote 1', 'observe', 'fence 1'],
    ...['observe', 'promote 2', 'confirmPrimary 2'],
  ]);
  // Rule 8: it was alive when it was stopped.
  expect(cluster.callsOf('follow 1')).toContain('start 1');
});

it('a promotion whose proof came too late is a promotion: the new primary is not stopped', async () => {
  cluster.fail('promote 1', retryable('no answer'), retryable('no answer'));
  const second = cluster.hold('promote 1', { isCancellable: false });
  const { incident } = await bench.send(cluster, { kind: 'failover', node: 0 });
  await second.reached;
  cluster.set(primaryNode(1, 2));
  second.release();
  await expect(incident.result()).resolves.toMatchObject({ outcome: 'completed', reason: 'promoted', primary: 1 });
  expect(cluster.callsOf('incident')).not.toContain('fence 1');
  expect(cluster.callsOf('follow 2')).toContain('repoint 2');
});

it('a candidate that may have been promoted and cannot be stopped keeps everybody else from being promoted', async () => {
  cluster.fail('promote 1', retryable('no answer'), retryable('no answer'));
  const { fence } = cluster.fakes;
  cluster.fakes.fence = (input) =>
    input.node === 1
      ? Promise.resolve({ outcome: 'unconfirmed', seen: 'ssh dropped', nodes: [], synchronousStandbyNames: null })
      : fence(input);
  const hold = cluster.hold('promote 1', { isCancellable: false });
  const { incident } = await bench.send(cluster, { kind: 'failover', node: 0 }, { ...quick, looks: 2 });
  await hold.reached;
  cluster.set(vanishedNode(1));
  hold.release();
  await expect(incident.result()).resolves.toMatchObject({ outcome: 'refused', reason: 'fence-unconfirmed' });
  expect(cluster.callsOf('incident')).not.toContain('promote 2');
  expect(cluster.callsOf('incident').filter((call) => call === 'fence 1')).toHaveLength(3);
});

it('the last candidate that was told is waited for, and never stopped', async () => {
  cluster.fail('promote 1', retryable('no answer'), retryable('no answer'));
  cluster.fail('promote 2', retryable('no answer'), retryable('no answer'));
  const { report } = await bench.failOver(cluster);
  expect(report).toMatchObject({ outcome: 'refused', reason: 'promotion-unproven', primary: null });
  expect(cluster.callsOf('incident')).toEqual([
    ...['observe', 'fence 0', 'promote 1', 'promote 1', 'observe', 'fence 1'],
    ...['observe', 'promote 2', 'promote 2', 'observe'],
  ]);
});

it('a candidate that was not told is a standby still: it is tried again, and nobody is stopped', async () => {
  const held = notPromoted('its lock is held', { isTold: false, holdUp: null });
  cluster.fail('promote 1', held);
  const { report } = await bench.failOver(cluster);
  expect(report).toMatchObject({ outcome: 'completed', reason: 'promoted', primary: 1 });
  expect(cluster.callsOf('incident').slice(0, 5)).toEqual(['observe', 'fence 0', 'promote 1', 'observe', 'promote 1']);
});

it('a candidate that cannot be told twice gives way to the next one, and is not stopped', async () => {
  const held = notPromoted('its lock is held', { isTold: false, holdUp: null });
  cluster.fail('promote 1', held, held);
  const { report } = await bench.failOver(cluster);
  expect(report).toMatchObject({ outcome: 'completed', reason: 'promoted', primary: 2 });
  expect(cluster.callsOf('incident')).not.toContain('fence 1');
});

it('no candidate can be told: refused with the cause, and nobody is stopped', async () => {
  const held = notPromoted('synchronous_standby_names is not what was written', { isTold: false, holdUp: null });
  cluster.fail('promote 1', held, held);
  cluster.fail('promote 2', held, held);
  const { report } = await bench.failOver(cluster);
  expect(report).toMatchObject({ outcome: 'refused', reason: 'promotion-failed', primary: null });
  expect(report.line).toContain('node 1: synchronous_standby_names is not what was written');
  expect(cluster.callsOf('incident').filter((call) => call.startsWith('fence'))).toEqual(['fence 0']);
});

it.each(['archive', 'replaying'] as const)(
  'a candidate that was told and is at work (%s) is waited for, although another one is ready',
  async (holdUp) => {
    const busy = notPromoted('it is at work', { isTold: true, holdUp });
    cluster.fail('promote 1', busy, busy);
    const { report } = await bench.failOver(cluster);
    expect(report).toMatchObject({ outcome: 'refused', reason: 'promotion-unproven' });
    expect(cluster.callsOf('incident')).not.toContain('fence 1');
  },
);

it('a candidate that was told is not given up for another one that holds less WAL', async () => {
  cluster.set(standbyNode(2, 0, 1, '0/4FFFF00'));
  cluster.fail('promote 1', retryable('no answer'), retryable('no answer'));
  const { report } = await bench.failOver(cluster);
  expect(report).toMatchObject({ outcome: 'refused', reason: 'promotion-unproven' });
  expect(cluster.callsOf('incident')).not.toContain('fence 1');
});

it('a candidate that was told and is silent, with the files of a promoted node, is waited for', async () => {
  cluster.fail('promote 1', retryable('no answer'), retryable('no answer'));
  const second = cluster.hold('promote 1', { isCancellable: false });
  const { incident } = await bench.send(cluster, { kind: 'failover', node: 0 });
  await second.reached;
  cluster.set(hungNode(1));
  second.release();
  const report = await incident.result();
  expect(report).toMatchObject({ outcome: 'refused', reason: 'promotion-unproven' });
  expect(report.line).toContain('its files say that it has been promoted');
  expect(cluster.callsOf('incident')).not.toContain('fence 1');
});

it('a new primary that only the worker does not reach is the primary: another node’s host has asked it', async () => {
  cluster.fail('promote 1', retryable('no answer'), retryable('no answer'));
  const second = cluster.hold('promote 1', { isCancellable: false });
  const { incident, event } = await bench.send(cluster, { kind: 'failover', node: 0 });
  await second.reached;
  cluster.set(vanishedNode(1));
  cluster.probes = [{ from: 2, about: 1, answer: 'answered', isInRecovery: false, seen: 'answers, accepts writes' }];
  second.release();
  await expect(bench.askSettled(incident, event.eventId)).resolves.toMatchObject({ reason: 'promoted' });
  cluster.set(primaryNode(1, 2));
  cluster.probes = [];
  await expect(incident.result()).resolves.toMatchObject({ reason: 'promoted', primary: 1 });
  expect(cluster.callsOf('incident')).not.toContain('fence 1');
});

describe('at the next look at a candidate that was told', () => {
  /** The first look is over, node 1 was told and is at work; then it is seen as `node`. */
  async function lookAgain(node: NodeFacts): Promise<IncidentHandle> {
    const busy = notPromoted('its restore_command is running', { isTold: true, holdUp: 'archive' });
    cluster.fail('promote 1', busy, busy);
    const timing = { ...quick, looks: 1, lookAgainMs: 1000 };
    const { incident, event } = await bench.send(cluster, { kind: 'failover', node: 0 }, timing);
    await expect(bench.askSettled(incident, event.eventId)).resolves.toMatchObject({ reason: 'promotion-unproven' });
    cluster.set(node);
    return incident;
  }
  const hungStandby: NodeFacts = { ...hungNode(1), host: { ...hungNode(1).host!, hasStandbySignal: true } };

  it('every host is asked: it may be the primary by now, and only the worker does not reach it', async () => {
    const incident = await lookAgain(vanishedNode(1));
    cluster.probes = [{ from: 2, about: 1, answer: 'answered', isInRecovery: false, seen: 'answers, accepts writes' }];
    await eventually('the decision is made', () => cluster.callsOf('follow 2').length > 0);
    cluster.set(primaryNode(1, 2));
    await expect(incident.result()).resolves.toMatchObject({ reason: 'promoted', primary: 1 });
    expect(cluster.callsOf('incident')).not.toContain('fence 1');
    expect(cluster.callsOf('incident')).not.toContain('promote 2');
  });

  it('it accepts writes: it is the primary, and replaced like any other when its host vanishes', async () => {
    const hold = cluster.hold('repoint 2', { isCancellable: true });
    const incident = await lookAgain(primaryNode(1, 2));
    await hold.reached;
    cluster.set(vanishedNode(1), { ...standbyNode(2, 1, 2), walReceiver: null });
    cluster.probes = [{ from: 2, about: 1, answer: 'silent', isInRecovery: null, seen: 'no answer' }];
    cluster.fakes.fence = () =>
      Promise.resolve({ outcome: 'unconfirmed', seen: 'no route', nodes: [], synchronousStandbyNames: null });
    await bench.send(cluster, { kind: 'failover', node: 1, oldPrimary: 1 });
    await expect(incident.result()).resolves.toMatchObject({ outcome: 'completed', reason: 'promoted', primary: 2 });
  });

  it('it was silent to that look and answers a moment later, as a standby: it is not stopped', async () => {
    const incident = await lookAgain(hungStandby);
    const { observe } = cluster.fakes;
    cluster.fakes.observe = (input) => {
      if (input.suspect === 1) cluster.set(standbyNode(1, 0));
      return observe(input);
    };
    await expect(incident.result()).resolves.toMatchObject({ outcome: 'completed', reason: 'promoted', primary: 1 });
    expect(cluster.callsOf('incident')).not.toContain('fence 1');
  });

  it('its files may say that it has been promoted: nobody else is', async () => {
    const incident = await lookAgain({ ...hungStandby, host: { ...hungStandby.host!, walTimeline: 2 } });
    await expect(incident.result()).resolves.toMatchObject({ outcome: 'refused', reason: 'promotion-unproven' });
    expect(cluster.callsOf('incident')).not.toContain('fence 1');
    expect(cluster.callsOf('incident')).not.toContain('promote 2');
  });

  it('it may hold more WAL than the other one: it is waited for', async () => {
    cluster.set(standbyNode(2, 0, 1, '0/4FFFF00'));
    const incident = await lookAgain(hungStandby);
    const report = await incident.result();
    expect(report).toMatchObject({ outcome: 'refused', reason: 'promotion-unproven' });
    expect(report.line).toContain('holds more WAL (0/5000000) than node 2 (0/4FFFF00)');
    expect(cluster.callsOf('incident')).not.toContain('promote 2');
  });

  it('it hangs as a standby, and the other one is ready: it is stopped with proof first', async () => {
    const incident = await lookAgain(hungStandby);
    await expect(incident.result()).resolves.toMatchObject({ outcome: 'completed', reason: 'promoted', primary: 2 });
    const calls = cluster.callsOf('incident');
    expect(calls.indexOf('fence 1')).toBeGreaterThan(0);
    expect(calls.indexOf('promote 2')).toBeGreaterThan(calls.indexOf('fence 1'));
    expect(cluster.callsOf('follow 1')).toContain('start 1');
  });
});

it('a fence whose attempts have timed out is no verdict: the decision is made again from fresh facts', async () => {
  const { fence } = cluster.fakes;
  cluster.fakes.fence = (input) => {
    cluster.fakes.fence = fence;
    // The whole worker stands still without a heartbeat: both attempts are over by then.
    for (const until = Date.now() + 5000; Date.now() < until;);
    return fence(input);
  };
  const { report } = await bench.failOver(cluster);
  expect(report).toMatchObject({ outcome: 'completed', reason: 'promoted', events: [{ reason: 'promoted' }] });
  const calls = cluster.callsOf('incident');
  expect(calls.filter((call) => call === 'fence 0')).toHaveLength(2);
  expect(calls.lastIndexOf('observe')).toBeGreaterThan(calls.indexOf('fence 0'));
}, 30_000);
