// readNodeFacts against real nodes: positions, timelines and streams as other queries see them, and silence as a fact.
import { rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { broughtBy, readNodeFacts } from '../../../../activities/io/sql/node-facts';
import type { NodeFacts } from '../../../../domain/facts/facts';
import { lookAtRest } from '../../at-rest';
import { type Bed, startBed, waitFor } from '../../support';

let bed: Bed;

beforeAll(async () => {
  bed = await startBed('facts', 2);
});
afterAll(() => bed.down());

const read = (node: number, timeoutMs = 5000): Promise<NodeFacts> =>
  readNodeFacts(bed.tools.sql, bed.configuration, bed.node(node), timeoutMs);

it('reads a primary and its standby on the first timeline', async () => {
  const { lsn, seen } = await lookAtRest(bed, async () => [await read(0), await read(1)] as const);
  const [primary, standby] = seen;
  expect(primary).toMatchObject({
    sqlSeen: 'answers, accepts writes',
    position: { timeline: 1, lsn },
    history: [],
    timelineAgeMs: null,
    isReplayPaused: null,
    synchronousStandbyNames: '',
  });
  expect(standby).toMatchObject({ sqlSeen: 'answers, in recovery', position: { timeline: 1, lsn }, history: [] });
  expect([primary.applicationName, standby.applicationName]).toEqual([null, 'node1']);
  expect(standby.walReceiver!.lastMessageAgeMs).toBeGreaterThanOrEqual(0);
});

it('counts what a standby received, although replay is paused', async () => {
  await bed.ask(1, 'select pg_wal_replay_pause()');
  await bed.ask(0, 'create table unreplayed (id int)');
  const { lsn } = await bed.ask(0, 'select pg_current_wal_flush_lsn()::text as lsn');
  const hasArrived = async (): Promise<boolean> => {
    const now = await bed.ask(0, 'select pg_current_wal_flush_lsn()::text as lsn');
    return (await read(1)).position?.lsn === now['lsn'];
  };
  await waitFor(hasArrived, { what: 'the WAL to arrive', timeoutMs: 5000 });
  const { behind } = await bed.ask(1, `select pg_last_wal_replay_lsn() < '${String(lsn)}' as behind`);
  expect([(await read(1)).isReplayPaused, behind]).toEqual([true, true]);
  await bed.ask(1, 'select pg_wal_replay_resume()');
});

it.each([
  ['250ms', 250],
  ['90s', 90_000],
  ['36h', 129_600_000],
  ['0', 0],
])('reads a delay on purpose of %s', async (delay, ms) => {
  await bed.ask(1, `alter system set recovery_min_apply_delay = '${delay}'`);
  await bed.ask(1, 'select pg_reload_conf()');
  await waitFor(async () => (await read(1)).applyDelayMs === ms, {
    what: `a delay of ${ms} ms`,
    timeoutMs: 5000,
  });
  expect(await read(1)).toMatchObject({ applyDelayMs: ms, ownSettings: null, fenceMark: 'none', clients: null });
  expect((await read(1)).upstream).toEqual({ host: bed.node(0).host, port: bed.node(0).port });
});

it.each([
  ['nothing was asked for', 'null', '0/7000000', null],
  ['a receiver was asked for, and nothing came', '0/7000000', '0/7000100', null],
  ['everything was replayed', '0/7000100', '0/7000100', '0/7000100'],
  ['replay is behind', '0/8000000', '0/7000100', '0/8000000'],
  ['the rest of a segment that was switched was not sent', '0/6D22000', '0/7000000', '0/6D22000'],
  ['nothing was replayed', '0/7000100', 'null', '0/7000100'],
])('knows what a receiver has brought: %s', async (_, received, replayed, brought) => {
  const lsn = (text: string): string => (text === 'null' ? 'null::pg_lsn' : `'${text}'::pg_lsn`);
  expect((await bed.ask(0, `select ${broughtBy(lsn(received), lsn(replayed))} as lsn`))['lsn']).toBe(brought);
});

it('remembers under which name a node that is gone was listed', async () => {
  const before = await readNodeFacts(bed.tools.sql, bed.configuration, bed.node(1), 1000);
  expect(before).toMatchObject({ sql: 'answered', applicationName: 'node1' });
  await bed.stop(1);
  const after = await readNodeFacts(bed.tools.sql, bed.configuration, bed.node(1), 1000);
  expect(after).toMatchObject({ sql: 'refused', applicationName: 'node1' });
  await bed.lab.start(1);
  await waitFor(async () => (await read(0)).followers === 1, { what: 'it streams again', timeoutMs: 10_000 });
});

it('sees who uses a primary: sessions of clients but ours, and what streams from it', async () => {
  const { clients, followers, upstream } = await read(0);
  expect({ clients, followers, upstream }).toEqual({ clients: 0, followers: 1, upstream: null });
});

it('sees that the WAL messages stop when the primary freezes, while the receiver still says "streaming"', async () => {
  await bed.lab.freeze(0);
  await waitFor(async () => (await read(1)).walReceiver!.lastMessageAgeMs! > 500, { what: 'age', timeoutMs: 5000 });
  expect((await read(1)).walReceiver!.isStreaming).toBe(true);
  const startedAt = Date.now();
  expect(await read(0, 300)).toMatchObject({ sql: 'silent', position: null, host: null });
  expect(Date.now() - startedAt).toBeLessThan(1500);
  bed.lab.thaw(0);
});

it('looks quickly at a node with 100,000 WAL files', async () => {
  const directory = path.join(bed.node(1).dataDirectory, 'pg_wal');
  // Names that are never used here: no timeline, and far ahead.
  const names = Array.from(
    { length: 100_000 },
    (_, n) => `00000000000000F0${n.toString(16).toUpperCase().padStart(8, '0')}`,
  );
  for (const name of names) writeFileSync(path.join(directory, name), '');
  try {
    await read(1);
    const timed = async (look: () => Promise<unknown>): Promise<number> => {
      const startedAt = performance.now();
      await look();
      return performance.now() - startedAt;
    };
    const looks = [await timed(() => read(1)), await timed(() => read(1)), await timed(() => read(1))];
    const statting = await timed(() =>
      bed.ask(1, `select max(name) from pg_ls_waldir() where name ~ '^[0-9A-F]{24}$'`),
    );
    expect((await read(1)).position).toMatchObject({ timeline: 1 });
    expect({ look: Math.min(...looks), statting }).toMatchObject({ look: expect.any(Number) as number });
    // The machine may be slow, but it is the same one.
    expect(Math.min(...looks)).toBeLessThan(statting / 2);
  } finally {
    for (const name of names) rmSync(path.join(directory, name));
  }
});

it('knows the new timeline of a standby that has followed without a restart point', async () => {
  await bed.stop(0);
  expect(await read(0)).toMatchObject({ sql: 'refused', isInRecovery: null });
  await bed.ask(1, 'select pg_promote(true)');
  const primary = await read(1);
  expect(primary.position!.timeline).toBe(2);
  expect(primary.history.map(({ timeline }) => timeline)).toEqual([1]);
  expect(primary.timelineAgeMs).toBeGreaterThanOrEqual(0);
  expect(primary.timelineAgeMs).toBeLessThan(60_000);

  await bed.followNode(0, 1);
  const standby = await read(0);
  // The control file may still name the timeline of the last restart point; what streams does not.
  expect(await bed.ask(0, 'select timeline_id from pg_control_checkpoint()')).toEqual({ timeline_id: 1 });
  expect(standby).toMatchObject({ position: { timeline: 2 }, history: primary.history });
  expect(standby.walReceiver).toMatchObject({ isStreaming: true, timeline: 2 });

  // And still does after the stream has ended.
  await bed.stop(1);
  await waitFor(async () => (await read(0)).walReceiver?.isStreaming !== true, { what: 'no stream', timeoutMs: 5000 });
  expect((await read(0)).position!.timeline).toBe(2);
});
