// promote against real nodes, where something speaks against it or holds it up: more WAL elsewhere, a paused replay, queries in the way, another branch.
import { Client } from 'pg';
import type { PromoteInput, PromoteResult } from '../../../activities/primary/promote';
import type { WalPosition } from '../../../domain/facts/wal';
import { waitFor } from '../../../lab/wait';
import { type Bed, failureOf, perform, startBed } from '../support';

let bed: Bed;
beforeAll(async () => {
  bed = await startBed('promote-evidence');
  await bed.keep();
});
afterAll(() => bed.down());
beforeEach(() => bed.reset());

async function promote(more: Partial<PromoteInput> = {}): Promise<PromoteResult> {
  const own = await bed.ask(
    1,
    `select system_identifier::text as id, greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())::text as lsn from pg_control_system()`,
  );
  const position: WalPosition = { timeline: 1, lsn: String(own['lsn']) };
  return await perform(bed.tools, 'promote', {
    configuration: bed.configuration,
    candidate: 1,
    position,
    systemIdentifier: String(own['id']),
    synchronousStandbyNames: '',
    notAsked: 0,
    passedOver: [],
    reserved: [],
    mayResume: true,
    isOnlyCandidate: false,
    ...more,
  });
}

it('promotes beside a node that holds more WAL, if the plan knew of it', async () => {
  await bed.ask(1, `alter system set primary_conninfo = ''`);
  await bed.ask(1, 'select pg_reload_conf()');
  await waitFor(async () => (await bed.ask(1, 'select count(*)::int as n from pg_stat_wal_receiver'))['n'] === 0, {
    what: 'the end of the WAL receiver',
    timeoutMs: 5000,
  });
  await bed.ask(0, 'create table more (id int)');
  const { lsn } = await bed.ask(0, 'select pg_current_wal_lsn()::text as lsn');
  await waitFor(
    async () => (await bed.ask(2, `select pg_last_wal_receive_lsn() >= '${String(lsn)}' as has`))['has'] === true,
    { what: 'node 2 to receive', timeoutMs: 5000 },
  );
  await bed.stop(0, 'immediate');
  expect(await failureOf(promote())).toMatchObject({ type: 'WorldChanged' });
  expect(await promote({ passedOver: [2] })).toMatchObject({ changed: true, timeline: 2 });
});

it('leaves a paused replay alone where nobody could say why it is paused, and says what to do', async () => {
  await bed.ask(1, 'select pg_wal_replay_pause()');
  await bed.stop(0, 'immediate');
  const failure = await failureOf(promote({ mayResume: false }));
  expect(failure).toMatchObject({ nonRetryable: true, details: [{ isTold: false }] });
  expect(failure.message).toContain('select pg_wal_replay_resume()');
  expect(await bed.ask(1, 'select pg_is_wal_replay_paused() as paused, pg_is_in_recovery() as standby')).toEqual({
    paused: true,
    standby: true,
  });
});

it('does not give the timeline of another branch to the new primary', async () => {
  await bed.stop(0, 'immediate');
  const reserved = [{ timeline: 2, history: [{ timeline: 1, endLsn: '0/1000000' }] }];
  expect(await promote({ reserved })).toMatchObject({ changed: true, timeline: 3 });
});

/** A session on node 1 in whose way the replay of a dropped table stands. */
async function blockReplay(): Promise<Client> {
  await bed.ask(1, `alter system set max_standby_streaming_delay = -1`);
  await bed.ask(1, `alter system set max_standby_archive_delay = -1`);
  await bed.ask(1, 'select pg_reload_conf()');
  await bed.ask(0, 'create table watched (id int)');
  await waitFor(
    async () => (await bed.ask(1, `select to_regclass('watched') is not null as is_there`))['is_there'] === true,
    {
      what: 'the table on node 1',
      timeoutMs: 5000,
    },
  );
  const client = new Client(bed.lab.connection(1));
  client.on('error', () => undefined);
  await client.connect();
  await client.query('begin');
  await client.query('select * from watched');
  await bed.ask(0, 'drop table watched');
  await waitFor(
    async () =>
      (
        await bed.ask(
          1,
          `select count(*)::int as n from pg_stat_activity where backend_type = 'startup' and wait_event_type = 'Lock'`,
        )
      )['n'] === 1,
    { what: 'the replay to wait', timeoutMs: 5000 },
  );
  await bed.stop(0, 'immediate');
  return client;
}

it('ends the session that its replay waits for where nobody else could be promoted, and names it', async () => {
  await blockReplay();
  const result = await promote({ isOnlyCandidate: true });
  expect(result).toMatchObject({ changed: true, timeline: 2 });
  expect(result.line).toMatch(/queries that its replay waited for were ended: pid \d+$/);
});

it('waits for the session where another candidate is there, and goes on when it ends by itself', async () => {
  const client = await blockReplay();
  const running = promote();
  await waitFor(() => bed.isPromoteRequested(1), { what: 'pg_promote', timeoutMs: 5000 });
  // Longer than a session in the way of the only candidate is given.
  await new Promise((resolve) => setTimeout(resolve, 5000));
  expect(await bed.ask(1, 'select pg_is_in_recovery() as standby')).toEqual({ standby: true });
  await client.query('rollback');
  await client.end();
  expect(await running).toEqual({ changed: true, timeline: 2, line: 'node 1 accepts writes on timeline 2' });
});
