// setSynchronousStandbys against a real primary: names exactly who streams, by policy, and no commit waits for anybody else.
import type { PolicyConfiguration } from '../../../domain/facts/cluster';
import { type Bed, createTools, dieDuring, perform, startBed, waitFor } from '../support';

let bed: Bed;

beforeAll(async () => {
  bed = await startBed('synchronous');
  const streaming = `select count(*)::int as n from pg_stat_replication where state = 'streaming'`;
  await waitFor(async () => (await bed.ask(0, streaming))['n'] === 2, { what: 'two streams', timeoutMs: 10_000 });
});
afterAll(() => bed.down());

const inputFor = (synchronous: PolicyConfiguration['synchronous']) => ({
  configuration: { ...bed.configuration, policy: { ...bed.configuration.policy, synchronous } },
  primary: 0,
});
const one = { standbys: 1, whenNone: 'degrade' } as const;
const set = (synchronous: PolicyConfiguration['synchronous']) =>
  perform(bed.tools, 'setSynchronousStandbys', inputFor(synchronous));
const inForce = async (): Promise<unknown> =>
  (await bed.ask(0, 'show synchronous_standby_names'))['synchronous_standby_names'];
const expectInForce = (wanted: string): Promise<void> =>
  waitFor(async () => (await inForce()) === wanted, { what: wanted, timeoutMs: 5000 });
const commit = (): Promise<unknown> => bed.ask(0, 'create temporary table commits (id int)');

async function stopStandby(node: number): Promise<void> {
  await bed.stop(node);
  const gone = `select count(*)::int as n from pg_stat_replication where application_name = 'node${node}'`;
  await waitFor(async () => (await bed.ask(0, gone))['n'] === 0, {
    what: `node ${node} to go`,
    timeoutMs: 5000,
  });
}

it('leaves an asynchronous cluster alone', async () => {
  expect(await set({ standbys: 0, whenNone: 'degrade' })).toEqual({
    changed: false,
    line: 'replication is asynchronous',
  });
  expect(await inForce()).toBe('');
});

it('names the standbys that stream; the second time it changes nothing', async () => {
  const wanted = 'ANY 1 ("node1", "node2")';
  expect(await set(one)).toEqual({ changed: true, line: `commits wait for ${wanted}` });
  await expectInForce(wanted);
  // Each sender reads the new setting in its own time.
  const quorum = `select count(*)::int as n from pg_stat_replication where sync_state = 'quorum'`;
  await waitFor(async () => (await bed.ask(0, quorum))['n'] === 2, { what: 'both in the quorum', timeoutMs: 5000 });
  expect(await set(one)).toEqual({ changed: false, line: `commits wait for ${wanted}` });
});

it('names a standby as it is named, not as the cluster file or the default would', async () => {
  const nodes = bed.configuration.nodes.map((node) => ({ ...node, applicationName: node.id === 1 ? null : 'other' }));
  const renamed = { ...inputFor(one), configuration: { ...inputFor(one).configuration, nodes } };
  const wanted = 'ANY 1 ("node1", "node2")';
  expect((await perform(bed.tools, 'setSynchronousStandbys', renamed)).line).toBe(`commits wait for ${wanted}`);
});

it('is completed by another worker when the first is killed between the setting and its reload', async () => {
  const both = { standbys: 2, whenNone: 'degrade' } as const;
  await dieDuring(bed.lab.clusterFile, 'setSynchronousStandbys', inputFor(both), { beforeQuery: 'pg_reload_conf' });
  expect(await inForce()).toBe('ANY 1 ("node1", "node2")');
  const elsewhere = createTools(bed.lab.clusterFile);
  try {
    const result = await perform(elsewhere, 'setSynchronousStandbys', inputFor(both));
    expect(result.changed).toBe(true);
    await expectInForce('ANY 2 ("node1", "node2")');
  } finally {
    await elsewhere.close();
  }
});

it('with "wait", names every other node, although only one streams: whoever comes back releases the commits', async () => {
  await bed.lab.freeze(2);
  expect((await set({ standbys: 2, whenNone: 'wait' })).line).toBe('commits wait for ANY 2 ("node1", "node2")');
  bed.lab.thaw(2);
});

it('drops a standby that confirms nothing, although it is listed as streaming', async () => {
  await bed.lab.freeze(2);
  const state = `select state from pg_stat_replication where application_name = 'node2'`;
  expect(await bed.ask(0, state)).toEqual({ state: 'streaming' });
  expect((await set(one)).line).toBe('commits wait for ANY 1 ("node1")');
  await commit();
  bed.lab.thaw(2);
  await set({ standbys: 2, whenNone: 'degrade' });
  await expectInForce('ANY 2 ("node1", "node2")');
});

it('drops a standby that is gone, and frees the commits that wait for it', async () => {
  await stopStandby(2);
  const client = await bed.connect(0);
  let isCommitted = false;
  const committing = client.query('create table waits (id int)').then(() => (isCommitted = true));
  await waitFor(
    async () =>
      (await bed.ask(0, `select count(*)::int as n from pg_stat_activity where wait_event = 'SyncRep'`))['n'] === 1,
    { what: 'a commit that waits', timeoutMs: 5000 },
  );
  expect(isCommitted).toBe(false);
  expect((await set({ standbys: 2, whenNone: 'degrade' })).line).toBe('commits wait for ANY 1 ("node1")');
  await committing;
  await client.end();
});

it('without any standby, commits go on or wait, as the policy says', async () => {
  await stopStandby(1);
  await set(one);
  await expectInForce('');
  await commit();
  const { line } = await set({ standbys: 1, whenNone: 'wait' });
  expect(line).toBe('commits wait for ANY 1 ("node1", "node2")');
});
