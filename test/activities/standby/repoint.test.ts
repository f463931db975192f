// repoint against real nodes: only streaming on the new timeline from the new primary counts, and a site's own conninfo survives.
import { readFileSync, statSync } from 'node:fs';
import type { RepointInput, RepointResult } from '../../../activities/standby/repoint';
import { holdLock } from '../io/host/other-act';
import { type Bed, createTools, dieDuring, failureOf, perform, startBed, waitFor } from '../support';

let bed: Bed;

beforeAll(async () => {
  bed = await startBed('repoint');
  await bed.keep();
});
afterAll(() => bed.down());

const inputFor = (more: Partial<RepointInput> = {}): RepointInput => ({
  configuration: bed.configuration,
  node: 2,
  primary: 1,
  timeline: 2,
  ...more,
});
const repoint = (more: Partial<RepointInput> = {}): Promise<RepointResult> =>
  perform(bed.tools, 'repoint', inputFor(more));

/** Node 0 dies, node 1 succeeds it on timeline 2; node 2 still looks for node 0. */
async function failOver(): Promise<void> {
  await bed.stop(0, 'immediate');
  await bed.ask(1, 'select pg_promote(true)');
}

/** A row written on node 1 arrives on node 2: what streaming is for. */
async function expectFollowing(): Promise<void> {
  await bed.ask(1, 'create table if not exists arrived as select 1 as id');
  await waitFor(async () => (await bed.ask(2, 'select id from arrived'))['id'] === 1, {
    what: 'a row of node 1 on node 2',
    timeoutMs: 5000,
  });
  const { host, port } = bed.node(1);
  expect(await bed.ask(2, 'select status, sender_host, sender_port, received_tli from pg_stat_wal_receiver')).toEqual({
    status: 'streaming',
    sender_host: host,
    sender_port: port,
    received_tli: 2,
  });
}

const readConninfo = async (): Promise<unknown> => (await bed.ask(2, 'show primary_conninfo'))['primary_conninfo'];

async function setConninfo(text: string): Promise<void> {
  await bed.ask(2, `alter system set primary_conninfo = '${text.replaceAll("'", "''")}'`);
  await bed.ask(2, 'select pg_reload_conf()');
  await waitFor(async () => (await readConninfo()) === text, { what: 'the reload', timeoutMs: 5000 });
}

/** A `->` line of /proc/locks is a waiter. */
function isWaitedFor(file: string): boolean {
  const { ino } = statSync(file);
  const lines = readFileSync('/proc/locks', 'utf8').split('\n');
  return lines.some((line) => line.includes('->') && line.includes(`:${ino} `));
}

describe('after a failover', () => {
  beforeEach(async () => {
    await bed.reset();
    await failOver();
  });

  it('makes a standby whose primary is gone stream from the new one; the second time it only proves it', async () => {
    const line = 'node 2 streams from node 1 on timeline 2';
    expect(await repoint()).toEqual({ changed: true, line });
    await expectFollowing();
    const { pid: before } = await bed.ask(2, 'select pid from pg_stat_wal_receiver');
    expect(await repoint()).toEqual({ changed: false, line });
    // The receiver was not even restarted.
    expect(await bed.ask(2, 'select pid from pg_stat_wal_receiver')).toEqual({ pid: before });
  });

  it('waits for another act on the node, and then changes it', async () => {
    const before = await readConninfo();
    const { jobs } = bed.configuration.paths;
    const lock = `${jobs}/${bed.configuration.cluster}.node2.lock`;
    const release = await holdLock(lock);
    const repointing = repoint();
    await waitFor(() => isWaitedFor(lock), { what: 'the act to wait for the lock', timeoutMs: 5000 });
    expect(await readConninfo()).toBe(before);
    release();
    expect((await repointing).changed).toBe(true);
    await expectFollowing();
  });

  it('keeps what the site has written into primary_conninfo, quotes included', async () => {
    const { host, port } = bed.node(0);
    const passFile = bed.layout.worker.passFile;
    await setConninfo(
      `host=${host} hostaddr=${host} port = ${port} user=replicator passfile='${passFile}' ` +
        String.raw`sslmode=disable options='-c search_path=it\'s\\here' keepalives_idle=5`,
    );
    expect((await repoint()).changed).toBe(true);
    await expectFollowing();
    const conninfo = String(await readConninfo());
    expect(conninfo).toContain(`passfile='${passFile}'`);
    expect(conninfo).toContain(`sslmode='disable'`);
    expect(conninfo).toContain(String.raw`options='-c search_path=it\'s\\here'`);
    expect(conninfo).toContain(`keepalives_idle='5'`);
    expect(conninfo).toContain(`application_name='node2'`);
    expect(conninfo).not.toContain('hostaddr');
  });

  it('takes an application name of any printable characters, and commits can wait for it', async () => {
    const applicationName = String.raw`pg-2.example.com, "it's" \o/ (c)`;
    const nodes = bed.configuration.nodes.map((node) => (node.id === 2 ? { ...node, applicationName } : node));
    const policy = { ...bed.configuration.policy, synchronous: { standbys: 1, whenNone: 'degrade' as const } };
    const configuration = { ...bed.configuration, nodes, policy };
    expect((await repoint({ configuration })).changed).toBe(true);
    await expectFollowing();
    expect((await repoint({ configuration })).changed).toBe(false);
    await perform(bed.tools, 'setSynchronousStandbys', { configuration, primary: 1 });
    const wanted = { application_name: applicationName, sync_state: 'quorum' };
    const listing = 'select application_name, sync_state from pg_stat_replication';
    await waitFor(async () => JSON.stringify(await bed.ask(1, listing)) === JSON.stringify(wanted), {
      what: 'node 2 in the quorum',
      timeoutMs: 5000,
    });
    await bed.ask(1, 'create table confirmed (id int)');
  });

  it('keeps the name of a standby where the cluster file gives none; where it gives another one, that is told', async () => {
    const nodes = bed.configuration.nodes.map((node) => ({ ...node, applicationName: null }));
    const configuration = { ...bed.configuration, nodes };
    await setConninfo(String(await readConninfo()).replace('application_name=node2', 'application_name=shop_c'));
    const line = 'node 2 streams from node 1 on timeline 2';
    expect(await repoint({ configuration })).toEqual({ changed: true, line });
    await expectFollowing();
    expect(await bed.ask(1, 'select application_name from pg_stat_replication')).toEqual({
      application_name: 'shop_c',
    });
    expect(await repoint()).toEqual({
      changed: true,
      line: `${line}; its application_name is now node2, it was shop_c`,
    });
    expect(await bed.ask(1, 'select application_name from pg_stat_replication')).toEqual({ application_name: 'node2' });
  });

  it('makes the slot that the standby names, and streams through it; the second time it only proves it', async () => {
    await bed.ask(2, `alter system set primary_slot_name = 'host_of_2'`);
    await bed.ask(2, 'select pg_reload_conf()');
    const line = 'node 2 streams from node 1 on timeline 2';
    const made = ', through its slot host_of_2, which was made there';
    expect(await repoint()).toEqual({ changed: true, line: `${line}${made}` });
    await expectFollowing();
    const slots = 'select slot_name, active, restart_lsn is not null as reserved from pg_replication_slots';
    expect(await bed.ask(1, slots)).toEqual({ slot_name: 'host_of_2', active: true, reserved: true });
    expect(await repoint()).toEqual({ changed: false, line });
  });

  it('says which slot cannot be made, and why', async () => {
    await bed.ask(1, `select pg_create_physical_replication_slot('taken_' || n) from generate_series(1, 10) n`);
    await bed.ask(2, `alter system set primary_slot_name = 'host_of_2'`);
    await bed.ask(2, 'select pg_reload_conf()');
    const before = await readConninfo();
    const failure = await failureOf(repoint());
    expect(failure).toMatchObject({ type: 'Unproven', nonRetryable: false });
    expect(failure.message).toMatch(
      /^the replication slot host_of_2, which node 2 names in primary_slot_name, on node 1 cannot be made: .*all replication slots are in use/,
    );
    expect(await readConninfo()).toBe(before);
  });

  it('refuses a node that has left recovery', async () => {
    await bed.ask(2, 'select pg_promote(true)');
    const before = await readConninfo();
    const failure = await failureOf(repoint());
    expect(failure).toMatchObject({
      type: 'WorldChanged',
      nonRetryable: true,
      message: 'node 2 is not in recovery: it cannot follow',
    });
    expect(await readConninfo()).toBe(before);
  });

  it.each([
    ['between the setting and its reload', { beforeQuery: 'pg_reload_conf' } as const, true],
    ['after the reload and before the proof', { proving: 1 } as const, false],
  ])('is completed by another worker when the first is killed %s', async (_, moment, changed) => {
    await dieDuring(bed.lab.clusterFile, 'repoint', inputFor(), moment);
    const elsewhere = createTools(bed.lab.clusterFile);
    try {
      expect((await perform(elsewhere, 'repoint', inputFor())).changed).toBe(changed);
      await expectFollowing();
    } finally {
      await elsewhere.close();
    }
  });
});

describe('without proof', () => {
  beforeEach(() => bed.reset());

  it('does not call a standby streaming that is ahead of the point where the new timeline began', async () => {
    // Node 1 stops receiving, node 2 gets more, node 1 becomes the primary: node 2 has diverged.
    await bed.ask(1, `alter system set primary_conninfo = ''`);
    await bed.ask(1, 'select pg_reload_conf()');
    await waitFor(async () => (await bed.ask(1, 'select count(*)::int as n from pg_stat_wal_receiver'))['n'] === 0, {
      what: 'the end of the WAL receiver',
      timeoutMs: 5000,
    });
    await bed.ask(0, 'create table only_on_node_2 as select 1 as id');
    await waitFor(async () => (await bed.ask(2, 'select id from only_on_node_2'))['id'] === 1, {
      what: 'the row on node 2',
      timeoutMs: 5000,
    });
    await bed.ask(2, `alter system set primary_slot_name = 'host_of_2'`);
    await bed.ask(2, 'select pg_reload_conf()');
    await failOver();
    const failure = await failureOf(repoint());
    // A slot of ours that nobody streams through would hold WAL for ever.
    expect((await bed.ask(1, 'select count(*)::int as n from pg_replication_slots'))['n']).toBe(0);
    expect(failure).toMatchObject({ type: 'Unproven', nonRetryable: false });
    expect(failure.message).toMatch(
      /^node 2 does not stream from node 1 on timeline 2: (no WAL receiver|receiver at .*); node 1 .*; its log says why$/,
    );
    // Node 1 does list it for a moment, every time that it asks for the segment's beginning, on the timeline that has ended.
    const received = 'select count(*)::int as n from pg_stat_wal_receiver where received_tli = 2';
    expect((await bed.ask(2, received))['n']).toBe(0);
  });

  it('says that a standby must be rebuilt whose WAL the primary no longer has', async () => {
    await bed.stop(2);
    await failOver();
    await bed.ask(1, `alter system set wal_keep_size = 0`);
    await bed.ask(1, 'select pg_reload_conf()');
    for (let count = 0; count < 4; count++)
      await bed.ask(1, `select pg_switch_wal(), pg_logical_emit_message(false, 'x', '')`);
    await bed.ask(1, 'checkpoint');
    await bed.lab.start(2);
    const failure = await failureOf(repoint());
    expect(failure).toMatchObject({ type: 'WalMissing', nonRetryable: true });
    expect(failure.message).toMatch(
      /^node 2 cannot stream from node 1: it needs WAL from 0\/[0-9A-F]+ on, and node 1's oldest WAL file is [0-9A-F]{24}: rebuild node 2$/,
    );
  });

  it('is a failure that names the node when the standby does not answer', async () => {
    await bed.lab.killHost(2);
    const failure = await failureOf(repoint());
    expect(failure.message).toMatch(/PostgreSQL at 127\..*ECONNREFUSED/);
  });
});
