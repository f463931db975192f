// Nodes that come back: by themselves, or because a person wants them. Order of the rebuild, its questions, and its way on after failures.

import type { IncidentReport } from '../../workflows/messages';
import { type FakeCluster, pgpoolServing, worldChanged } from './fake-cluster';
import { deadNode, primaryNode, recoveringNode, standbyNode } from './fake-nodes';
import { dataFacts, divergedRange } from './fake-rebuild';
import { Bench, eventually, type IncidentHandle } from './support';

let bench: Bench;
let cluster: FakeCluster;

beforeAll(async () => {
  bench = await Bench.open();
});
afterAll(() => bench.close());
beforeEach(() => {
  cluster = bench.newCluster();
  // Node 1 has succeeded node 0, which lies as it crashed.
  cluster.set(deadNode(0), primaryNode(1, 2), standbyNode(2, 1, 2));
});

const rejoin = (node: number) => bench.send(cluster, { kind: 'rejoin', node, mainNode: null, oldPrimary: null });
const finish = async ({ incident }: { incident: IncidentHandle }): Promise<IncidentReport> => await incident.result();

// Looks first at the node and its primary, then at all nodes: data is replaced only beside one primary.
const looks = ['observe', 'findOwnWal 0', 'observe', 'findOwnWal 0'];
const saving = ['inspectData 0', 'saveConfiguration 0', 'saveDivergedWal 0'];
const beforeCopy = [...looks, ...saving];
const copy = ['baseBackup 0', 'verifyBackup 0'];
const placing = [
  'setDataAside 0',
  'placeData 0',
  'restoreConfiguration 0',
  'configureStandby 0',
  'start 0',
  'confirmStreaming 0',
];
const stopping = ['stop 0', 'saveDivergedWal 0', 'saveUnarchivedWal 0'];
const afterwards = ['attach 0', 'clearReplacedData 0', 'releaseSlots 0', 'saveConfiguration 0'];
const wholeRebuild = [...beforeCopy, ...copy, ...stopping, ...placing, ...afterwards];

describe('a person wants the crashed former primary back', () => {
  it('it is rebuilt, and the answer comes when it follows', async () => {
    const sent = await rejoin(0);
    const backup = cluster.hold('baseBackup 0', { isCancellable: false });
    const asked = bench.askSettled(sent.incident, sent.event.eventId);
    await backup.reached;
    backup.release();
    await expect(asked).resolves.toMatchObject({ outcome: 'completed', reason: 'rebuilt' });
    expect(cluster.callsOf('follow 0')).toEqual(wholeRebuild);
    expect(await finish(sent)).toMatchObject({
      outcome: 'completed',
      primary: 1,
      follows: [{ node: 0, rung: 'rebuild', outcome: 'completed', reason: 'rebuilt' }],
    });
  });

  it('with nothing past the fork it is started as a standby, and nothing is copied', async () => {
    cluster.ownWal = 'none';
    expect(await finish(await rejoin(0))).toMatchObject({ outcome: 'completed', follows: [{ node: 0, rung: 'none' }] });
    expect(cluster.callsOf('follow 0')).toEqual([
      ...['observe', 'findOwnWal 0', 'saveUnarchivedWal 0', 'configureStandby 0', 'start 0', 'observe'],
      ...['attach 0', 'releaseSlots 0', 'saveConfiguration 0'],
    ]);
  });

  it('that does not come up parks with the reason, and is rebuilt when that is decided', async () => {
    cluster.ownWal = 'none';
    cluster.fail('start 0', worldChanged('node 0 runs, but takes no connections'));
    const { start } = cluster.fakes;
    cluster.fakes.configureStandby = ({ node, primary }) => {
      cluster.configured.set(node, primary);
      cluster.set({ ...recoveringNode(0), host: { ...recoveringNode(0).host!, hasStandbySignal: true } });
      return Promise.resolve({ changed: true, line: 'configured' });
    };
    cluster.fakes.start = start;
    const sent = await rejoin(0);
    const step = await bench.untilParked(sent.incident, 'node0.start');
    expect(step.choices).toEqual(['retry', 'rebuild', 'abort']);
    expect(step.problem).toMatch(
      /^node 0 runs, but takes no connections[.] retry: wait again; rebuild: replace its data/,
    );
    await bench.decide(sent.incident, 'node0.start', 'rebuild');
    expect(await finish(sent)).toMatchObject({ follows: [{ node: 0, rung: 'rebuild', outcome: 'completed' }] });
  });

  it('that is starting already is waited for, and nothing is written', async () => {
    cluster.set({ ...recoveringNode(0), host: { ...recoveringNode(0).host!, hasStandbySignal: true } });
    cluster.configured.set(0, 1);
    expect(await finish(await rejoin(0))).toMatchObject({ outcome: 'completed' });
    expect(cluster.callsOf('follow 0')).toEqual([
      'observe',
      'start 0',
      'observe',
      'attach 0',
      'releaseSlots 0',
      'saveConfiguration 0',
    ]);
  });

  it.each(['none', 'some'] as const)(
    'WAL that its archive does not have is in the report (own WAL: %s)',
    async (ownWal) => {
      Object.assign(cluster, { ownWal, unarchived: 3 });
      const { follows } = await finish(await rejoin(0));
      expect(follows.find(({ node }) => node === 0)?.line).toContain('; the archive lacks 3 files');
    },
  );

  it('WAL that its archive does not have cannot be saved: a person may go on without it', async () => {
    cluster.ownWal = 'none';
    const full = worldChanged('no room', 'Unproven');
    cluster.fail('saveUnarchivedWal 0', full);
    const sent = await rejoin(0);
    const step = await bench.untilParked(sent.incident, 'node0.save-unarchived-wal');
    expect(step).toMatchObject({ problem: 'no room', choices: ['retry', 'skip', 'abort'] });
    await bench.decide(sent.incident, 'node0.save-unarchived-wal', 'skip');
    const { follows } = await finish(sent);
    expect(follows).toMatchObject([{ node: 0, outcome: 'completed' }]);
    expect(follows[0]!.line).toContain('by decision, WAL that its archive lacks was not saved');
  });

  it('its WAL cannot be looked at: it is rebuilt', async () => {
    cluster.fail('findOwnWal 0', worldChanged('no pg_waldump'), worldChanged('no pg_waldump'));
    cluster.ownWal = 'none';
    expect(await finish(await rejoin(0))).toMatchObject({ follows: [{ node: 0, rung: 'rebuild' }] });
  });

  it('with removeFirst its data goes before the copy, and nothing is set aside', async () => {
    cluster.setPolicy({ replacedData: 'removeFirst' });
    const { follows } = await finish(await rejoin(0));
    expect(follows.find(({ node }) => node === 0)?.line).toContain('; removed');
    expect(cluster.callsOf('follow 0')).toEqual([
      ...beforeCopy,
      ...stopping,
      'removeData 0',
      ...copy,
      ...placing,
      ...afterwards,
    ]);
  });

  it('a step that fails parks; retry reads the runbook from the top, for the same rebuild', async () => {
    const ids = new Set<string>();
    const { baseBackup } = cluster.fakes;
    cluster.fakes.baseBackup = (input) => {
      ids.add(input.rebuild.rebuildId);
      return baseBackup(input);
    };
    cluster.fail('placeData 0', worldChanged('rename failed'));
    const sent = await rejoin(0);
    expect(await bench.untilParked(sent.incident, 'node0.place-data')).toMatchObject({ problem: 'rename failed' });
    // The answer may take long: no slot may fill the primary's disk meanwhile.
    expect(cluster.callsOf('follow 0')).toContain('releaseSlots 0');
    await bench.decide(sent.incident, 'node0.place-data', 'retry');
    expect(await finish(sent)).toMatchObject({ outcome: 'completed', follows: [{ reason: 'rebuilt' }] });
    const calls = cluster.callsOf('follow 0');
    expect(calls.filter((name) => name === 'baseBackup 0')).toHaveLength(2);
    expect(ids.size).toBe(1);
  });

  it('where the guards forbid it, it parks before anything is touched', async () => {
    cluster.data = dataFacts({ freeBytes: 1 });
    const sent = await rejoin(0);
    const step = await bench.untilParked(sent.incident, 'node0.plan-rebuild');
    expect(step.choices).toEqual(['retry', 'abort']);
    expect(cluster.callsOf('follow 0')).toEqual([...looks, 'inspectData 0']);
    cluster.data = dataFacts();
    await bench.decide(sent.incident, 'node0.plan-rebuild', 'retry');
    expect(await finish(sent)).toMatchObject({ outcome: 'completed' });
  });

  it('while a third node accepts writes, too, nothing is touched', async () => {
    const { observe } = cluster.fakes;
    cluster.fakes.observe = (input) => {
      // The incident has not seen it yet.
      if (input.only) cluster.set(primaryNode(2, 1));
      return observe(input);
    };
    const sent = await rejoin(0);
    const step = await bench.untilParked(sent.incident, 'node0.plan-rebuild');
    expect(step.problem).toContain('nodes 1 and 2 accept writes');
    expect(cluster.callsOf('follow 0')).toEqual([...looks, 'inspectData 0']);
    cluster.fakes.observe = observe;
    cluster.set(standbyNode(2, 1, 2));
    await bench.decide(sent.incident, 'node0.plan-rebuild', 'retry');
    expect(await finish(sent)).toMatchObject({ outcome: 'completed', follows: [{ reason: 'rebuilt' }] });
  });

  it('after its successor died during the copy it is rebuilt from the next primary', async () => {
    const backup = cluster.hold('baseBackup 0', { isCancellable: true });
    const sent = await rejoin(0);
    await backup.reached;
    cluster.set(deadNode(1));
    await bench.send(cluster, { kind: 'failover', node: 1, oldPrimary: 1 });
    const report = await finish(sent);
    expect(report).toMatchObject({ outcome: 'completed', reason: 'promoted', primary: 2 });
    expect(report.follows).toContainEqual(expect.objectContaining({ node: 0, rung: 'rebuild', outcome: 'completed' }));
    expect(cluster.configured.get(0)).toBe(2);
    expect(report.events.find(({ eventId }) => eventId === sent.event.eventId)).toMatchObject({ reason: 'rebuilt' });
  });
});

describe('writes that only the former primary has', () => {
  beforeEach(() => {
    cluster.wal = { range: divergedRange, wasPrimary: true, fenceMark: 'after-return' };
  });

  it.each([
    ['skip', 'completed', 'rebuilt'],
    ['abort', 'incomplete', 'decided-by-person'],
  ] as const)('are a question where its stop was not proven in time; %s: %s', async (choice, outcome, reason) => {
    const sent = await rejoin(0);
    const step = await bench.untilParked(sent.incident, 'node0.diverged-writes');
    expect(step).toMatchObject({ choices: ['abort', 'skip'] });
    expect(step.problem).toContain('it held 1024 bytes of its own');
    await bench.decide(sent.incident, 'node0.diverged-writes', choice);
    const report = await finish(sent);
    expect(report.follows).toMatchObject([{ node: 0, outcome, reason }]);
    expect(cluster.callsOf('follow 0').includes('baseBackup 0')).toBe(choice === 'skip');
    expect(cluster.callsOf('follow 0')).toContain('releaseSlots 0');
  });

  it.each([
    ['policy.divergedWrites is discard', 'discard', 'after-return', true, 3],
    ['its stop was proven before the promotion', 'park', 'before-promotion', true, 3],
    ['they are no commits', 'park', 'after-return', true, 0],
    ['it never was a primary, and they are no commits', 'park', 'none', false, 0],
  ] as const)(
    'are saved and reported, no question, when %s',
    async (_, divergedWrites, fenceMark, wasPrimary, commits) => {
      cluster.setPolicy({ divergedWrites });
      cluster.wal = { range: { ...divergedRange, commits }, wasPrimary, fenceMark };
      const report = await finish(await rejoin(0));
      expect(report).toMatchObject({ outcome: 'completed', follows: [{ reason: 'rebuilt' }] });
      expect(cluster.callsOf('follow 0')).toEqual(wholeRebuild);
      const line = 'streams; it held 1024 bytes of its own; the replaced data is kept';
      expect([report.follows[0]!.line, report.events[0]!.line]).toEqual([line, expect.stringContaining(line)]);
    },
  );

  it.each([3, null])('of a standby are a question as well: %p commits', async (commits) => {
    cluster.set(standbyNode(0, 9, 1, '0/5000400'));
    cluster.wal = { range: { ...divergedRange, commits }, wasPrimary: false, fenceMark: 'none' };
    const sent = await bench.send(cluster, { kind: 'returned', node: 0, oldPrimary: null });
    const step = await bench.untilParked(sent.incident, 'node0.diverged-writes');
    expect(step.problem).toContain('no decision allows their loss');
    await bench.decide(sent.incident, 'node0.diverged-writes', 'skip');
    expect(await finish(sent)).toMatchObject({ follows: [{ node: 0, rung: 'rebuild', outcome: 'completed' }] });
  });

  it('of one that comes up writable by itself are a question after it was fenced', async () => {
    cluster.set(primaryNode(0, 1));
    cluster.pgpools = [pgpoolServing(1)];
    const marks: string[] = [];
    const { fence } = cluster.fakes;
    cluster.fakes.fence = (input) => {
      marks.push(input.mark);
      return fence(input);
    };
    const sent = await bench.send(cluster, { kind: 'returned', node: 0, oldPrimary: null });
    await bench.decide(sent.incident, 'node0.diverged-writes', 'skip');
    expect(await finish(sent)).toMatchObject({
      outcome: 'completed',
      primary: 1,
      follows: [{ node: 0, reason: 'rebuilt' }],
    });
    expect(marks).toEqual(['after-return']);
  });
});

describe('a node that answers again', () => {
  it('and has diverged is rebuilt while it still serves, and stopped only for the exchange', async () => {
    cluster.set(standbyNode(0, 9, 1, '0/5000400'));
    const sent = await bench.send(cluster, { kind: 'returned', node: 0, oldPrimary: null });
    expect(await finish(sent)).toMatchObject({ follows: [{ node: 0, rung: 'rebuild', outcome: 'completed' }] });
    expect(cluster.callsOf('follow 0')).toEqual(['observe', 'observe', ...wholeRebuild.slice(looks.length)]);
  });

  it('is left to a person where policy.rejoin is manual, and follows when that person says so', async () => {
    cluster.setPolicy({ rejoin: 'manual' });
    cluster.set(standbyNode(0, 1, 2));
    const report = await finish(await bench.send(cluster, { kind: 'returned', node: 0, oldPrimary: null }));
    expect(report).toMatchObject({ outcome: 'completed', follows: [{ node: 0, reason: 'rejoin-manual' }] });
    expect(cluster.callsOf('follow 0')).toEqual([]);
    expect(await finish(await rejoin(0))).toMatchObject({ follows: [{ node: 0, reason: 'already-following' }] });
  });

  it('and cannot stream because the primary has dropped its WAL is rebuilt', async () => {
    cluster.set({ ...standbyNode(2, 9, 2), walReceiver: null });
    cluster.fail('repoint 2', worldChanged('the primary no longer has its WAL', 'WalMissing'));
    cluster.wal = { range: null, wasPrimary: false, fenceMark: 'none' };
    const report = await finish(await bench.send(cluster, { kind: 'follow', node: 2, oldPrimary: 0 }));
    expect(report.follows).toMatchObject([{ node: 2, rung: 'rebuild', outcome: 'completed', reason: 'rebuilt' }]);
  });
});

it.each([
  ['the primary itself', 1, 'node-not-standby'],
  ['a node that nobody has configured', 9, 'node-not-configured'],
])('rejoin of %s is refused at once', async (_, node, reason) => {
  const sent = await rejoin(node);
  await expect(bench.askSettled(sent.incident, sent.event.eventId)).resolves.toMatchObject({
    outcome: 'refused',
    reason,
  });
  await finish(sent);
  await eventually('nothing was done', () => cluster.calls.every(({ name }) => /^(observe|confirmPrimary)/.test(name)));
});
