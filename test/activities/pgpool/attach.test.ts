// attach against a real pgpool: asks only when needed, believes only what pgpool shows, and says what it saw when it gives up.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { AttachInput, AttachResult } from '../../../activities/pgpool/attach';
import { readNodeInfo } from '../../../activities/io/pcp/pcp';
import type { ClusterConfiguration } from '../../../domain/facts/cluster';
import { detachNode, startPgpool, type TestPgpool } from '../io/pcp/pgpool';
import { createEnvironment, createTools, dieDuring, failureOf, perform, waitFor } from '../support';

let pgpool: TestPgpool;
let configuration: ClusterConfiguration;
let settled: { noPgpool: Promise<Error>; noPrimary: Promise<Error> };
/** The words of the attempt without a primary while it looked. */
const looks: unknown[] = [];
const tools = createTools('');

const attach = (more: Partial<AttachInput> = {}, environment = createEnvironment()): Promise<AttachResult> =>
  perform(tools, 'attach', { configuration, pgpool: 'test', node: 1, primary: 0, ...more }, environment);

beforeAll(async () => {
  pgpool = await startPgpool();
  const known = { ...pgpool.target, port: 9999 };
  const gone = { ...known, name: 'gone', pcpPort: 1 };
  configuration = { cluster: 'test', nodes: [], pgpool: [known, gone] } as unknown as ClusterConfiguration;
  // These give up only after 20 s, so they wait beside the other tests.
  const environment = createEnvironment();
  environment.on('heartbeat', (look) => looks.push(look));
  const noPrimary = failureOf(attach({ node: 0, primary: 1 }, environment));
  settled = { noPgpool: failureOf(attach({ pgpool: 'gone' })), noPrimary };
});
afterAll(async () => {
  await Promise.all([pgpool.stop(), tools.close()]);
});

/** As people see it: pgpool's own command, and its first answer; it has none while pgpool restarts PCP after a change. */
async function readStatus(node: number): Promise<string> {
  const { host, pcpPort, pcpUser, passFile } = pgpool.target;
  const argv = ['-h', host, '-p', String(pcpPort), '-U', pcpUser, '-w', String(node)];
  let status = '';
  const ask = async (): Promise<boolean> => {
    const env = { ...process.env, PCPPASSFILE: passFile };
    const { stdout } = await promisify(execFile)('pcp_node_info', argv, { env });
    status = stdout.split(' ')[4] ?? '';
    return status !== '';
  };
  await waitFor(ask, { what: 'an answer of pcp_node_info', timeoutMs: 5000 });
  return status;
}

async function detach(): Promise<void> {
  await detachNode(pgpool, 1);
  await waitFor(async () => (await readNodeInfo(pgpool.target, 1, { timeoutMs: 1000 })).status === 'down', {
    what: 'pgpool to detach node 1',
    timeoutMs: 10_000,
  });
}

it('leaves a node alone that pgpool uses already', async () => {
  expect(await attach()).toEqual({ changed: false, line: 'pgpool test uses node 1' });
  expect(await readStatus(1)).toMatch(/^(up|waiting)$/);
});

it('attaches a detached node and returns when pgpool shows it up; the second time it only looks', async () => {
  await detach();
  expect(await attach()).toEqual({ changed: true, line: 'pgpool test uses node 1' });
  expect(await readStatus(1)).toMatch(/^(up|waiting)$/);
  expect(await attach()).toMatchObject({ changed: false });
});

it('is completed by another worker when the first is killed between the request and its proof', async () => {
  await detach();
  await dieDuring('', 'attach', { configuration, pgpool: 'test', node: 1, primary: 0 }, { proving: 2 });
  expect((await attach()).line).toBe('pgpool test uses node 1');
  expect(await readStatus(1)).toMatch(/^(up|waiting)$/);
});

it('stops at once when it is cancelled', async () => {
  const environment = createEnvironment();
  const input = { configuration, pgpool: 'gone', node: 1, primary: 0 };
  const failing = failureOf(perform(tools, 'attach', input, environment));
  environment.cancel();
  expect((await failing).name).toBe('CancelledFailure');
});

it('refuses a pgpool that the cluster file does not name', async () => {
  expect(await failureOf(attach({ pgpool: 'other' }))).toMatchObject({ type: 'Configuration', nonRetryable: true });
});

it('gives up on a pgpool that is down, and says so', async () => {
  const failure = await settled.noPgpool;
  expect(failure).toMatchObject({ type: 'Unproven', nonRetryable: false });
  expect(failure.message).toMatch(
    /^pgpool gone does not show node 1 up after 20 s: .*connection refused; is pgpool running/,
  );
});

it('does not believe "up" before pgpool shows the new primary', async () => {
  const failure = await settled.noPrimary;
  expect(failure.message).toMatch(/^pgpool test does not show node 0 up after 20 s: ./);
  // The last look may have met pgpool's restart of PCP.
  expect(looks).toContainEqual(expect.stringMatching(/^node 0 is (up|waiting), its primary is not yet node 1$/));
});

it('does not ask for a node that pgpool itself does not hear, because its next health check would give it up again', async () => {
  await detach();
  await pgpool.stopNodes();
  const environment = createEnvironment();
  const seen: string[] = [];
  environment.on('heartbeat', (look) => seen.push(String(look)));
  const logged = pgpool.log().length;
  const failing = failureOf(attach({ node: 1, primary: 1 }, environment));
  const isSaid = (): boolean =>
    seen.filter((look) => look.includes('test itself gets no answer from node 1')).length >= 3;
  await waitFor(() => Promise.resolve(isSaid()), { what: 'three looks that say why', timeoutMs: 15_000 });
  environment.cancel();
  await failing;
  expect(pgpool.log().slice(logged)).not.toMatch(/fail ?back/i);
});
