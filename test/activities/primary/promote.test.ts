// promote against real nodes: what it refuses, what it prepares, what it proves, and a worker killed in between.
import type { PromoteInput, PromoteResult } from '../../../activities/primary/promote';
import { sshTarget } from '../../../activities/io/tools';
import type { WalPosition } from '../../../domain/facts/wal';
import { readRecord, sendSignal } from '../../../lab/processes';
import { holdLock } from '../io/host/other-act';
import { type Bed, createTools, dieDuring, failureOf, perform, startBed, waitFor } from '../support';

let bed: Bed;
let systemIdentifier: string;

beforeAll(async () => {
  bed = await startBed('promote');
  await bed.keep();
  ({ systemIdentifier } = (await bed.ask(
    0,
    'select system_identifier::text as "systemIdentifier" from pg_control_system()',
  )) as { systemIdentifier: string });
});
afterAll(() => bed.down());

/** The input that the plan was made on: node 1's own word. */
async function inputFor(more: Partial<PromoteInput> = {}): Promise<PromoteInput> {
  const position = (await bed.ask(
    1,
    `select 1 as timeline, greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())::text as lsn`,
  )) as unknown as WalPosition;
  const { configuration } = bed;
  return {
    configuration,
    candidate: 1,
    position,
    systemIdentifier,
    synchronousStandbyNames: '',
    notAsked: 0,
    passedOver: [],
    reserved: [],
    mayResume: true,
    isOnlyCandidate: false,
    ...more,
  };
}
const promote = async (more: Partial<PromoteInput> = {}): Promise<PromoteResult> =>
  perform(bed.tools, 'promote', await inputFor(more));

const stateQuery = `select pg_is_in_recovery() as readonly,
  case when not pg_is_in_recovery() then ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int end as timeline`;
/** Out of recovery on timeline 2 and able to write, asked on another connection. */
async function expectPrimary(node: number): Promise<void> {
  expect(await bed.ask(node, stateQuery)).toEqual({ readonly: false, timeline: 2 });
  await bed.ask(node, 'create table if not exists proof (id int)');
}
const expectStandby = async (node: number): Promise<void> => {
  expect(await bed.ask(node, stateQuery)).toEqual({ readonly: true, timeline: null });
};

describe('refusals, which change nothing', () => {
  beforeAll(() => bed.reset());
  afterEach(async () => {
    await expectStandby(1);
    await expectStandby(2);
  });

  it('refuses while another node accepts writes', async () => {
    const failure = await failureOf(promote({ notAsked: null }));
    expect(failure).toMatchObject({
      type: 'WorldChanged',
      nonRetryable: true,
      message: 'node 0 accepts writes: node 1 is not promoted',
    });
  });

  it('refuses a candidate that belongs to another cluster', async () => {
    const failure = await failureOf(promote({ systemIdentifier: '1' }));
    expect(failure).toMatchObject({ type: 'WorldChanged', message: 'node 1 now has another system identifier' });
  });

  it('reports a candidate that does not answer as unreachable', async () => {
    const { configuration } = bed;
    const nodes = configuration.nodes.map((node) => (node.id === 1 ? { ...node, port: 1 } : node));
    const failure = await failureOf(promote({ configuration: { ...configuration, nodes } }));
    // Nothing was sent: the plan is made anew, and nobody is stopped for it.
    expect(failure).toMatchObject({
      type: 'Unreachable',
      nonRetryable: true,
      details: [{ isTold: false, holdUp: null }],
    });
    expect(failure.message).toMatch(/^candidate node 1 does not answer: PostgreSQL at 127\..*:1: .*ECONNREFUSED/);
  });

  it('refuses when another standby holds more WAL', async () => {
    // Node 1 stops receiving, node 2 goes on.
    await bed.ask(1, `alter system set primary_conninfo = ''`);
    await bed.ask(1, 'select pg_reload_conf()');
    await waitFor(async () => (await bed.ask(1, 'select count(*)::int as n from pg_stat_wal_receiver'))['n'] === 0, {
      what: 'the end of the WAL receiver',
      timeoutMs: 5000,
    });
    const input = await inputFor();
    await bed.ask(0, 'create table more (id int)');
    const { lsn } = await bed.ask(0, 'select pg_current_wal_lsn()::text as lsn');
    await waitFor(
      async () => (await bed.ask(2, `select pg_last_wal_receive_lsn() >= '${String(lsn)}' as has`))['has'] === true,
      { what: 'node 2 to receive', timeoutMs: 5000 },
    );
    await bed.stop(0, 'immediate');
    const failure = await failureOf(perform(bed.tools, 'promote', input));
    expect(failure.type).toBe('WorldChanged');
    expect(failure.message).toMatch(/^node 2 holds more WAL \(.*\) than node 1 \(.*\)$/);
  });
});

describe('with the primary gone', () => {
  beforeEach(async () => {
    await bed.reset();
    await bed.stop(0, 'immediate');
  });

  it('promotes, and the second time only proves it', async () => {
    const input = await inputFor();
    const first = await perform(bed.tools, 'promote', input);
    expect(first).toEqual({ changed: true, timeline: 2, line: 'node 1 accepts writes on timeline 2' });
    await expectPrimary(1);
    const again = await perform(bed.tools, 'promote', input);
    expect(again).toEqual({ changed: false, timeline: 2, line: 'node 1 was promoted already, timeline 2' });
    await expectPrimary(1);
    await expectStandby(2);
  });

  it('refuses a candidate that is out of recovery without a new timeline', async () => {
    const input = await inputFor();
    const position = { ...input.position, timeline: 2 };
    await perform(bed.tools, 'promote', input);
    const failure = await failureOf(perform(bed.tools, 'promote', { ...input, position }));
    expect(failure).toMatchObject({
      type: 'WorldChanged',
      message: 'node 1 is out of recovery but not on a newer timeline',
    });
  });

  it('resumes a paused replay, so that what was received is not lost', async () => {
    await bed.lab.start(0);
    await bed.ask(1, 'select pg_wal_replay_pause()');
    await bed.ask(0, 'create table while_paused as select 1 as id');
    const { lsn } = await bed.ask(0, 'select pg_current_wal_lsn()::text as lsn');
    await waitFor(
      async () => (await bed.ask(1, `select pg_last_wal_receive_lsn() >= '${String(lsn)}' as has`))['has'] === true,
      { what: 'node 1 to receive', timeoutMs: 10_000 },
    );
    await bed.stop(0, 'immediate');
    expect((await promote()).changed).toBe(true);
    await expectPrimary(1);
    expect(await bed.ask(1, 'select id from while_paused')).toEqual({ id: 1 });
  });

  it('replaces synchronous_standby_names first, so that the first commit does not wait for an absent standby', async () => {
    await bed.ask(1, `alter system set synchronous_standby_names = 'ANY 1 (nobody, "it''s gone")'`);
    await bed.ask(1, 'select pg_reload_conf()');
    await promote();
    const startedAt = Date.now();
    await expectPrimary(1);
    expect(Date.now() - startedAt).toBeLessThan(4000);
    expect(await bed.ask(1, 'show synchronous_standby_names')).toEqual({ synchronous_standby_names: '' });
  });

  it('writes the synchronous set that the policy asks for, quotes included', async () => {
    const wanted = `ANY 1 ("node2", "it's")`;
    await promote({ synchronousStandbyNames: wanted });
    expect(await bed.ask(1, 'show synchronous_standby_names')).toEqual({ synchronous_standby_names: wanted });
  });

  it('does not promote while another act holds the candidate, and does when that is done', async () => {
    const { jobs } = bed.configuration.paths;
    const release = await holdLock(`${jobs}/${bed.configuration.cluster}.node1.lock`);
    const failure = await failureOf(promote());
    expect(failure).toMatchObject({ type: 'Unreachable', nonRetryable: true, details: [{ isTold: false }] });
    expect(failure.message).toMatch(
      /^node 1 \(.*node1\.lock is held by rebuild of somebody, process \d+; it is retried$/,
    );
    await expectStandby(1);
    expect(bed.isPromoteRequested(1)).toBe(false);
    setTimeout(release, 1000);
    expect((await promote()).changed).toBe(true);
  });

  it('does not need ssh to the candidate', async () => {
    // Nobody listens there.
    const nodes = bed.configuration.nodes.map((node) =>
      node.id === 1 ? { ...node, ssh: { ...node.ssh, port: 1 } } : node,
    );
    const configuration = { ...bed.configuration, nodes };
    const target = sshTarget(configuration, nodes[1]!);
    await expect(bed.tools.ssh.run(target, 'true', { timeoutMs: 5000 })).rejects.toThrow('refused');
    expect((await perform(bed.tools, 'promote', { ...(await inputFor()), configuration })).changed).toBe(true);
    await expectPrimary(1);
  });

  /** Holds the candidate in recovery: the promotion is asked for, and nobody carries it out. */
  async function stopStartupProcess(): Promise<number> {
    const { pid } = await bed.ask(1, `select pid from pg_stat_activity where backend_type = 'startup'`);
    sendSignal(readRecord(Number(pid))!, 'SIGSTOP');
    return Number(pid);
  }

  it('is unproven, soon, when the candidate dies while it is promoted', async () => {
    await stopStartupProcess();
    const input = await inputFor();
    const startedAt = Date.now();
    const failing = failureOf(perform(bed.tools, 'promote', input));
    await waitFor(() => bed.isPromoteRequested(1), { what: 'pg_promote', timeoutMs: 5000 });
    await bed.lab.killHost(1);
    const failure = await failing;
    expect(failure).toMatchObject({ type: 'Unproven', nonRetryable: false, details: [{ isTold: true }] });
    expect(failure.message).toMatch(/^node 1 was told to promote but is not proven .*ECONNREFUSED/);
    expect(Date.now() - startedAt).toBeLessThan(12_000);
  });

  it.each([
    ['after the settings and before pg_promote', { beforeQuery: 'pg_promote' } as const, true],
    ['after pg_promote and before its proof', { proving: 1 } as const, true],
    ['between the setting and its reload', { beforeQuery: 'pg_reload_conf' } as const, true],
  ])('is completed by another worker when the first is killed %s', async (_, moment, changed) => {
    const input = await inputFor({ synchronousStandbyNames: 'ANY 1 ("node2")' });
    await dieDuring(bed.lab.clusterFile, 'promote', input, moment);
    if ('proving' in moment) {
      await waitFor(async () => (await bed.ask(1, stateQuery))['readonly'] === false, {
        what: 'the promotion that the dead worker had asked for',
        timeoutMs: 10_000,
      });
    } else await expectStandby(1);
    const elsewhere = createTools(bed.lab.clusterFile);
    try {
      const result = await perform(elsewhere, 'promote', input);
      expect(result).toMatchObject({ changed: 'proving' in moment ? false : changed, timeline: 2 });
      expect(await bed.ask(1, stateQuery)).toEqual({ readonly: false, timeline: 2 });
      expect(await bed.ask(1, 'show synchronous_standby_names')).toEqual({
        synchronous_standby_names: 'ANY 1 ("node2")',
      });
    } finally {
      await elsewhere.close();
    }
  });
});
