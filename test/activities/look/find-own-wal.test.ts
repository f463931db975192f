// findOwnWal on real nodes: what a primary that dies leaves past the fork, on a standby and on itself, and what PostgreSQL makes of it.

import { type FollowPlan, planFollow } from '../../../domain/plans/follow';
import { parseLsn } from '../../../domain/facts/wal';
import { writeFor } from '../../../lab/files';
import { type Bed, perform, startBed, waitFor } from '../support';

let bed: Bed;

beforeAll(async () => {
  bed = await startBed('ownwal');
  await bed.ask(0, 'alter system set autovacuum = off');
  await bed.ask(0, 'create table writes (id int, at text)');
  await bed.keep();
});
afterAll(() => bed.down());
afterEach(() => bed.reset());

/** As the follow does: a look, and where that leaves it open a second one at the node's pg_wal. */
async function plan(node: number, isStartAllowed = false): Promise<{ first: FollowPlan; last: FollowPlan }> {
  const { configuration } = bed;
  const { facts } = await perform(bed.tools, 'observe', { cluster: configuration.cluster, suspect: null });
  const request = { node, primary: 1, isStartAllowed, hasLostWal: false };
  const first = planFollow(configuration, facts, request);
  const source = facts.nodes.find((entry) => entry.node === 1)!;
  const of = { primaryTimeline: source.position!.timeline, primaryHistory: source.history };
  const { ownWal } = await perform(bed.tools, 'findOwnWal', { configuration, node, ...of });
  return { first, last: planFollow(configuration, facts, { ...request, ownWal }) };
}

async function readLsns(node: number): Promise<{ received: bigint; replayed: bigint }> {
  const text = 'select pg_last_wal_receive_lsn()::text as received, pg_last_wal_replay_lsn()::text as replayed';
  const { received, replayed } = await bed.ask(node, text);
  return { received: parseLsn(received as string)!, replayed: parseLsn(replayed as string)! };
}

async function follow(node: number): Promise<void> {
  await perform(bed.tools, 'repoint', { configuration: bed.configuration, node, primary: 1, timeline: 2 });
  await bed.ask(1, 'create table arrived as select 1 as id');
  const arrived = async (): Promise<boolean> =>
    (await bed.ask(node, `select to_regclass('arrived') as t`))['t'] !== null;
  await waitFor(arrived, { what: 'a row of node 1', timeoutMs: 10_000 });
}

test('a standby that has part of a record past the fork is repointed, and follows', async () => {
  const writer = await bed.connect(0);
  await writer.query('begin');
  // Whole pages of an open transaction are flushed and sent by themselves.
  const isPartial = async (): Promise<boolean> => {
    await writer.query(`insert into writes select n, repeat('x', 1000) from generate_series(1, 20) n`);
    const { received, replayed } = await readLsns(2);
    return received > replayed;
  };
  await waitFor(isPartial, { what: 'part of a record', timeoutMs: 20_000 });
  await bed.stop(0, 'immediate');
  await writer.end().catch(() => undefined);
  const { received, replayed } = await readLsns(2);
  expect(received).toBeGreaterThan(replayed);
  await bed.ask(1, 'select pg_promote(true)');
  const { first, last } = await plan(2);
  expect([first.rung, last.rung]).toEqual(['compare', 'repoint']);
  await follow(2);
});

test('a standby that has a whole record past the fork, and not replayed it, is rebuilt', async () => {
  await bed.ask(2, 'select pg_wal_replay_pause()');
  await bed.ask(1, `alter system set primary_conninfo = ''`);
  await bed.ask(1, 'select pg_reload_conf()');
  const isDetached = async (): Promise<boolean> =>
    (await bed.ask(1, 'select count(*)::int as n from pg_stat_wal_receiver'))['n'] === 0;
  await waitFor(isDetached, { what: 'no receiver', timeoutMs: 10_000 });
  const before = (await readLsns(2)).received;
  await bed.ask(0, `insert into writes values (1, 'only here')`);
  await waitFor(async () => (await readLsns(2)).received > before, { what: 'the record', timeoutMs: 10_000 });
  await bed.stop(0, 'immediate');
  await bed.ask(1, 'select pg_promote(true)');
  const { first, last } = await plan(2);
  expect([first.rung, last.rung]).toEqual(['compare', 'rebuild']);
  // So it is: it replays what it has received before it asks the primary, and then cannot follow.
  await bed.ask(2, 'select pg_wal_replay_resume()');
  const hasReplayed = async (): Promise<boolean> =>
    (await bed.ask(2, 'select count(*)::int as n from writes'))['n'] === 1;
  await waitFor(hasReplayed, { what: 'the record, replayed', timeoutMs: 10_000 });
  expect((await plan(2)).first.rung).toBe('rebuild');
});

test.each([
  ['nothing past the fork is started as a standby, and follows', 0, 'start'],
  ['a commit past the fork is rebuilt', 1, 'rebuild'],
])('a crashed primary with %s', async (_, commits, expected) => {
  for (const node of commits > 0 ? [1, 2] : []) await bed.stop(node);
  for (let id = 0; id < commits; id += 1) await bed.ask(0, `insert into writes values (${id}, 'x')`);
  await bed.stop(0, 'immediate');
  if (commits > 0) await bed.lab.start(1);
  await bed.ask(1, 'select pg_promote(true)');
  writeFor(bed.layout.user, `${bed.node(0).dataDirectory}/standby.signal`, 'before-promotion\n');
  const { first, last } = await plan(0, true);
  expect([first.rung, last.rung]).toEqual(['compare', expected]);
  if (expected !== 'start') return;
  await perform(bed.tools, 'configureStandby', { configuration: bed.configuration, node: 0, primary: 1 });
  await perform(bed.tools, 'start', { configuration: bed.configuration, node: 0 });
  await follow(0);
});
