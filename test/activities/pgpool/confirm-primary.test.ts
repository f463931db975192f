// confirmPrimary against a real pgpool: already so, given up by pgpool, promoted behind pgpool's back, and a pgpool that is away.
import { Client } from 'pg';
import { Cancelled } from '../../../activities/io/attempt';
import type { Tools } from '../../../activities/io/tools';
import { confirmPrimary } from '../../../activities/pgpool/confirm-primary';
import { type PcpNodeInfo, readNodeInfo, requestPromote } from '../../../activities/io/pcp/pcp';
import type { ClusterConfiguration } from '../../../domain/facts/cluster';
import { detachNode, startPgpool, type TestPgpool } from '../io/pcp/pgpool';
import { createTools, dieDuring, failureOf, perform, waitFor } from '../support';

let pgpool: TestPgpool;
let configuration: ClusterConfiguration;
let noPgpool: Promise<Error>;
const tools = createTools('');

const inputFor = (primary: number, name = 'test') => ({ configuration, pgpool: name, primary });
const confirm = (primary: number, name?: string) => perform(tools, 'confirmPrimary', inputFor(primary, name));

beforeAll(async () => {
  pgpool = await startPgpool();
  const known = { ...pgpool.target, port: 9999 };
  const gone = { ...known, name: 'gone', pcpPort: 1 };
  configuration = { cluster: 'test', nodes: [], pgpool: [known, gone] } as unknown as ClusterConfiguration;
  // Gives up only after 25 s, so it waits beside the other tests.
  noPgpool = failureOf(confirm(0, 'gone'));
});
afterAll(async () => {
  await Promise.all([pgpool.stop(), tools.close()]);
});

const readInfo = (node: number) => readNodeInfo(pgpool.target, node, { timeoutMs: 2000 });
/** pgpool restarts PCP after a change: a broken call is asked again. */
const expectPrimary = (node: number): Promise<void> =>
  waitFor(async () => (await readInfo(node)).role === 'primary', { what: 'role primary', timeoutMs: 5000 });

async function loseFromPgpool(node: number): Promise<void> {
  await detachNode(pgpool, node);
  await waitFor(async () => (await readInfo(node)).status === 'down', { what: 'pgpool to give up', timeoutMs: 10_000 });
}

it('only looks when pgpool shows the primary already', async () => {
  const expected = { changed: false, line: 'pgpool test shows node 0 as its primary' };
  expect(await confirm(0)).toEqual(expected);
  expect(await confirm(0)).toEqual(expected);
});

it('attaches a working primary that pgpool has given up', async () => {
  await loseFromPgpool(0);
  expect(await confirm(0)).toEqual({ changed: true, line: 'pgpool test shows node 0 as its primary' });
  await expectPrimary(0);
  expect(await confirm(0)).toMatchObject({ changed: false });
});

it('is completed by another worker when the first is killed between the request and its proof', async () => {
  await loseFromPgpool(0);
  await dieDuring('', 'confirmPrimary', inputFor(0), { proving: 2 });
  expect((await confirm(0)).line).toBe('pgpool test shows node 0 as its primary');
  await expectPrimary(0);
});

it('leads a pgpool back that somebody told to take a standby for the primary', async () => {
  await requestPromote(pgpool.target, 1, { timeoutMs: 2000 });
  await waitFor(async () => (await readInfo(0)).status === 'down', { what: 'pgpool to turn away', timeoutMs: 10_000 });
  const startedAt = Date.now();
  expect(await confirm(0)).toEqual({ changed: true, line: 'pgpool test shows node 0 as its primary' });
  expect(Date.now() - startedAt).toBeLessThan(6500);
  await expectPrimary(0);
});

it('makes pgpool take a node for the primary that was promoted while it did not look', async () => {
  const client = new Client({ ...pgpool.nodes[1]!, user: 'postgres', database: 'postgres' });
  await client.connect();
  await client.query('select pg_promote(true)');
  await client.end();
  let info: PcpNodeInfo | undefined;
  await waitFor(async () => !!(info = await readInfo(1)), { what: 'an answer of PCP', timeoutMs: 5000 });
  expect(info!.role).toBe('standby');
  const startedAt = Date.now();
  expect(await confirm(1)).toEqual({ changed: true, line: 'pgpool test shows node 1 as its primary' });
  // pgpool's own search is given its time first: our request would change pgpool's view while it looks.
  expect(Date.now() - startedAt).toBeGreaterThan(6500);
  await expectPrimary(1);
});

it('says how long pgpool may search when an attach has no effect', async () => {
  const told: unknown[] = [];
  let requests = 0;
  const down = { status: 'down', role: 'standby', pgRole: 'primary' };
  const stubborn = {
    readNodeInfo: () => Promise.resolve(down),
    requestAttach: () => Promise.resolve((requests += 1)),
    readSetting: () => Promise.resolve('300'),
  };
  const attempt = {
    tell: (said: unknown) => told.push(said),
    sleep: () => (String(told.at(-1)).includes('searches') ? Promise.reject(new Cancelled()) : Promise.resolve()),
  };
  const stubbornTools = { ...tools, pcp: stubborn, attempt } as unknown as Tools;
  await expect(confirmPrimary(stubbornTools, inputFor(0))).rejects.toThrow(Cancelled);
  expect(told.at(-1)).toMatch(
    /status down.*which searches for a primary for up to 300 s \(search_primary_node_timeout\)/,
  );
  expect(requests).toBe(4);
});

it('gives up on a pgpool that is down: what it saw, and what to do', async () => {
  const failure = await noPgpool;
  expect(failure).toMatchObject({ type: 'Unproven', nonRetryable: false });
  expect(failure.message).toMatch(
    /^pgpool gone does not show node 0 as its primary: .*connection refused.*; try pcp_promote_node 0$/,
  );
});
