// The failover runbook: in which order it acts, when it refuses, and how it goes on when an act fails.

import { Bench } from './support';
import { type FakeCluster, retryable, worldChanged } from './fake-cluster';
import { deadNode, hungNode, primaryNode, rejectingNode, standbyNode, vanishedNode } from './fake-nodes';

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

describe('a dead primary', () => {
  it('is fenced, the best standby is promoted, and the rest follows', async () => {
    const { event, report } = await bench.failOver(cluster);
    expect(cluster.callsOf('incident')).toEqual(['observe', 'fence 0', 'promote 1', 'confirmPrimary 1']);
    expect(cluster.callsOf('follow 2')).toEqual(['observe', 'repoint 2', 'attach 2', 'saveConfiguration 2']);
    expect(report).toMatchObject({
      outcome: 'completed',
      reason: 'promoted',
      primary: 1,
      events: [{ eventId: event.eventId, outcome: 'completed', reason: 'promoted' }],
      follows: [{ node: 2, rung: 'repoint', outcome: 'completed', reason: 'repointed' }],
    });
  });

  it('is replaced by the standby with the most WAL, although the other one has the lowest id', async () => {
    cluster.set(standbyNode(1, 0, 1, '0/4FFFFFF'));
    const { report } = await bench.failOver(cluster);
    expect(cluster.callsOf('incident')).toEqual(['observe', 'fence 0', 'promote 2', 'confirmPrimary 2']);
    expect(cluster.callsOf('follow 1')).toEqual(['observe', 'repoint 1', 'attach 1', 'saveConfiguration 1']);
    expect(report.primary).toBe(2);
  });

  it('is told in the line when the synchronous replication of its site ends with it', async () => {
    const nodes = [deadNode(0), standbyNode(1, 0), standbyNode(2, 0)];
    cluster.fakes.fence = () =>
      Promise.resolve({
        outcome: 'confirmed',
        seen: 'stopped',
        nodes,
        synchronousStandbyNames: 'ANY 1 (node1, node2)',
      });
    const { report } = await bench.failOver(cluster);
    expect(report).toMatchObject({ outcome: 'completed', reason: 'promoted' });
    expect(report.line).toContain(
      'replication becomes asynchronous (policy.synchronous.standbys is 0, and the primary has',
    );
  });

  it('is not replaced when its own files say that the last commit may be on a standby that does not answer', async () => {
    cluster.set(vanishedNode(2));
    const nodes = [deadNode(0), standbyNode(1, 0)];
    cluster.fakes.fence = () =>
      Promise.resolve({ outcome: 'confirmed', seen: 'stopped', nodes, synchronousStandbyNames: 'ANY 1 (node2)' });
    const { report } = await bench.failOver(cluster);
    expect(report).toMatchObject({ outcome: 'refused', reason: 'synchronous-set-unreachable' });
    // The hook's line in pgpool's log is found in docs/failure-modes.md by it.
    expect(report.events[0]?.line).toMatch(/^refused \(synchronous-set-unreachable\): [0-9]/);
    expect(cluster.callsOf('incident')).toEqual(['observe', 'fence 0', 'observe']);
  });

  it('is fenced before the plan is made again, and the second plan counts', async () => {
    cluster.fakes.fence = () => {
      const nodes = [deadNode(0), standbyNode(1, 0), standbyNode(2, 0, 1, '0/5000100')];
      cluster.set(...nodes);
      return Promise.resolve({ outcome: 'confirmed', seen: 'stopped', nodes, synchronousStandbyNames: null });
    };
    const { report } = await bench.failOver(cluster);
    expect(cluster.callsOf('incident')).toEqual(['observe', 'fence 0', 'promote 2', 'confirmPrimary 2']);
    expect(report.primary).toBe(2);
  });
});

describe('what promote is told', () => {
  /** The input of the only promotion. */
  async function promoteInput(): Promise<Parameters<FakeCluster['fakes']['promote']>[0]> {
    const { promote } = cluster.fakes;
    const inputs: Parameters<typeof promote>[0][] = [];
    cluster.fakes.promote = (input) => {
      inputs.push(input);
      return promote(input);
    };
    await expect(bench.failOver(cluster)).resolves.toMatchObject({ report: { reason: 'promoted' } });
    expect(inputs).toHaveLength(1);
    return inputs[0]!;
  }

  it('who holds more WAL and was passed over', async () => {
    cluster.set(standbyNode(2, 0, 1, '0/5000060'));
    const nodes = cluster.configuration.nodes.map((node) => (node.id === 2 ? { ...node, priority: 0 } : node));
    cluster.configuration = { ...cluster.configuration, nodes };
    await expect(promoteInput()).resolves.toMatchObject({ candidate: 1, passedOver: [2] });
  });

  it('not to resume a replay that PostgreSQL may have paused', async () => {
    cluster.set({ ...standbyNode(1, 0), isReplayPaused: true }, vanishedNode(2));
    await expect(promoteInput()).resolves.toMatchObject({ candidate: 1, mayResume: false });
  });

  it('that it may resume a replay that a person paused, also when the fence’s second look is by SQL only', async () => {
    const neededSettings = { max_connections: 100 };
    const paused = { isReplayPaused: true, ownSettings: neededSettings };
    cluster.set({
      ...standbyNode(1, 0),
      ...paused,
      host: { ...deadNode(1).host!, processes: 'running', neededSettings },
    });
    cluster.set(vanishedNode(2));
    const { fence } = cluster.fakes;
    cluster.fakes.fence = async (input) => {
      const result = await fence(input);
      return { ...result, nodes: result.nodes.map((node) => ({ ...node, host: null })) };
    };
    await expect(promoteInput()).resolves.toMatchObject({ candidate: 1, mayResume: true });
  });

  it('the names that the standbys give themselves, where commits wait for them', async () => {
    cluster.setPolicy({ synchronous: { standbys: 1, whenNone: 'wait' } });
    cluster.set({ ...standbyNode(2, 0), applicationName: 'shop_b' });
    const { synchronousStandbyNames } = await promoteInput();
    expect(synchronousStandbyNames).toContain('"shop_b"');
    expect(synchronousStandbyNames).not.toContain('node2');
  });

  it('to ask a former primary once more that has given an answer and is not proven to be stopped', async () => {
    const host = { ...vanishedNode(0).host!, ssh: 'rejected' as const };
    cluster.set({ ...vanishedNode(0), sql: 'refused', host });
    cluster.probes = [1, 2].map((from) => ({ from, about: 0, answer: 'refused', isInRecovery: null, seen: 'refused' }));
    cluster.fakes.fence = () =>
      Promise.resolve({ outcome: 'unconfirmed', seen: 'ssh rejected', nodes: [], synchronousStandbyNames: null });
    const startedAt = Date.now();
    await expect(promoteInput()).resolves.toMatchObject({ candidate: 1, notAsked: null });
    // A closed port is looked at again first: a restart closes it for a moment.
    expect(Date.now() - startedAt).toBeGreaterThanOrEqual(2000);
    expect(cluster.callsOf('incident').slice(0, 4)).toEqual(['observe', 'observe', 'fence 0', 'promote 1']);
  });
});

describe('a worker that may be cut off', () => {
  it('promotes nobody unless its fence command succeeds', async () => {
    cluster.setPolicy({ fenceCommand: ['/usr/local/sbin/power-off'] });
    cluster.set(vanishedNode(0), vanishedNode(1));
    cluster.probes = [{ from: 2, about: 0, answer: 'silent', isInRecovery: null, seen: 'no answer' }];
    cluster.fakes.fence = () =>
      Promise.resolve({ outcome: 'unconfirmed', seen: 'it failed', nodes: [], synchronousStandbyNames: null });
    const { report } = await bench.failOver(cluster);
    expect(report).toMatchObject({ outcome: 'refused', reason: 'cut-off' });
    expect(cluster.callsOf('incident')).toEqual(['observe', 'fence 0']);
  });
});

type Story = [reason: string, why: string, arrange: (cluster: FakeCluster) => void];

describe('nothing is promoted', () => {
  const stories: Story[] = [
    [
      'two-primaries',
      'when two nodes accept writes on the same timeline',
      (it) => {
        it.set(primaryNode(0), primaryNode(1));
      },
    ],
    [
      'primary-unknown',
      'when every node is in recovery',
      (it) => {
        it.set(standbyNode(0, 1));
      },
    ],
    [
      'primary-rejects-queries',
      'when the primary answers with an error',
      (it) => {
        it.set(rejectingNode(0));
      },
    ],
    [
      'primary-unreachable',
      'when only one host fails to reach the primary',
      (it) => {
        it.set(vanishedNode(0));
      },
    ],
    [
      'primary-unreachable',
      'when two hosts fail to reach the primary and the policy is park',
      (it) => {
        it.set(vanishedNode(0));
        it.probes = [{ from: 1, about: 0, answer: 'silent', isInRecovery: null, seen: 'no answer' }];
        it.setPolicy({ unreachableHost: 'park' });
      },
    ],
    [
      'too-soon',
      'when the primary is only unreachable shortly after another promotion',
      (it) => {
        it.set(vanishedNode(0), { ...standbyNode(1, 0), timelineAgeMs: 1000 });
        it.probes = [{ from: 1, about: 0, answer: 'silent', isInRecovery: null, seen: 'no answer' }];
      },
    ],
    [
      'no-candidate',
      'when no standby answers',
      (it) => {
        it.set(deadNode(1), vanishedNode(2));
      },
    ],
    [
      'lag-exceeded',
      'when the best candidate is too far behind the stopped primary',
      (it) => {
        const host = deadNode(0).host!;
        const checkpoint = { timeline: 1, lsn: '0/9000000' };
        const controlFile = { state: 'in production', systemIdentifier: it.get(1).systemIdentifier!, checkpoint };
        it.set({ ...deadNode(0), host: { ...host, controlFile } });
      },
    ],
    [
      'diverged-branches',
      'when two standbys are on branches of which neither contains the other',
      (it) => {
        it.set({ ...standbyNode(1, 0, 3), history: [] });
      },
    ],
    [
      'synchronous-set-unreachable',
      'when the last commit may be on a standby that does not answer',
      (it) => {
        it.setPolicy({ synchronous: { standbys: 1, whenNone: 'wait' } });
        it.set(vanishedNode(2));
      },
    ],
  ];

  it.each(stories)('(%s) %s', async (reason, _why, arrange) => {
    arrange(cluster);
    const { report, event } = await bench.failOver(cluster);
    expect(report).toMatchObject({ outcome: 'refused', reason, primary: null, follows: [] });
    expect(report.events).toEqual([expect.objectContaining({ eventId: event.eventId, outcome: 'refused', reason })]);
    expect(cluster.callsOf('incident')).toEqual(['observe']);
  });

  it('(node-not-configured) when the event names a node that the cluster file does not', async () => {
    cluster.set(primaryNode(0));
    const { incident } = await bench.send(cluster, { kind: 'failover', node: 7, oldPrimary: 7 });
    await expect(incident.result()).resolves.toMatchObject({ outcome: 'refused', reason: 'node-not-configured' });
    expect(cluster.callsOf('incident')).toEqual(['observe']);
  });

  it('(fence-unconfirmed) when a hung primary cannot be stopped', async () => {
    cluster.set(hungNode(0));
    const nodes = [standbyNode(1, 0), standbyNode(2, 0)];
    cluster.fakes.fence = () =>
      Promise.resolve({ outcome: 'unconfirmed', seen: 'ssh dropped', nodes, synchronousStandbyNames: null });
    const { report } = await bench.failOver(cluster);
    expect(report).toMatchObject({ outcome: 'refused', reason: 'fence-unconfirmed', primary: null });
    expect(cluster.callsOf('incident')).toEqual(['observe', 'fence 0']);
  });

  it('(world-changed) when the nodes change under every attempt', async () => {
    cluster.fail('promote 1', ...Array.from({ length: 20 }, () => worldChanged('node 2 holds more WAL')));
    const { report } = await bench.failOver(cluster);
    expect(report).toMatchObject({ outcome: 'refused', reason: 'world-changed' });
    const round = ['observe', 'promote 1', 'observe'];
    expect(cluster.callsOf('incident')).toEqual([
      ...['observe', 'fence 0', 'promote 1', 'observe'],
      ...Array.from({ length: 7 }, () => round).flat(),
    ]);
  });
});

describe('when an act fails', () => {
  it('a changed world is looked at again before the next attempt, without a second fence', async () => {
    cluster.fail('promote 1', worldChanged('node 2 holds more WAL'));
    const { report } = await bench.failOver(cluster);
    expect(report).toMatchObject({ outcome: 'completed', reason: 'promoted' });
    expect(report.line).toContain(', node 0 fenced (confirmed); ');
    expect(cluster.callsOf('incident')).toEqual([
      ...['observe', 'fence 0', 'promote 1', 'observe'],
      ...['observe', 'promote 1', 'confirmPrimary 1'],
    ]);
  });

  it('each act is tried twice on the critical path', async () => {
    cluster.fail('fence 0', retryable('ssh dropped'));
    cluster.fail('promote 1', retryable('connection reset'));
    const { report } = await bench.failOver(cluster);
    expect(report).toMatchObject({ outcome: 'completed', reason: 'promoted' });
    const acts = ['observe', 'fence 0', 'fence 0', 'promote 1', 'promote 1', 'confirmPrimary 1'];
    expect(cluster.callsOf('incident')).toEqual(acts);
  });

  it('off the critical path and for a look, a failure is tried again as well', async () => {
    cluster.fail('observe', retryable('busy'));
    cluster.fail('confirmPrimary 1', retryable('PCP refused'));
    cluster.fail('repoint 2', retryable('not streaming yet'));
    cluster.fail('attach 2', retryable('PCP refused'));
    const { report } = await bench.failOver(cluster);
    expect(report).toMatchObject({ outcome: 'completed', reason: 'promoted' });
    const calls = ['observe', 'observe', 'fence 0', 'promote 1', 'confirmPrimary 1', 'confirmPrimary 1'];
    expect(cluster.callsOf('incident')).toEqual(calls);
    expect(cluster.callsOf('follow 2')).toEqual([
      'observe',
      'repoint 2',
      'repoint 2',
      'attach 2',
      'attach 2',
      'saveConfiguration 2',
    ]);
  });

  it('a look that can never succeed ends in step-failed, which the waiting hook is told', async () => {
    cluster.fail('observe', worldChanged('this worker serves no such cluster'));
    const { incident, event } = await bench.send(cluster, { kind: 'failover', node: 0 });
    const verdict = { outcome: 'refused', reason: 'step-failed', line: 'this worker serves no such cluster' };
    const answer = { ...verdict, line: `refused (step-failed): ${verdict.line}` };
    await expect(bench.askSettled(incident, event.eventId)).resolves.toEqual(answer);
    await expect(incident.result()).resolves.toMatchObject({ ...verdict, primary: null });
    expect(cluster.callsOf('incident')).toEqual(['observe']);
  });
});
