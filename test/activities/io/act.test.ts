// actOnNode over a real sshd: one act at a time, none after its deadline, and a dropped connection is "unknown", not "failed".
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { actOnNode } from '../../../activities/io/act';
import { actPreamble } from '../../../activities/io/scripts';
import { SshConnections } from '../../../activities/io/ssh';
import type { Tools } from '../../../activities/io/tools';
import type { ClusterConfiguration, NodeConfiguration } from '../../../domain/cluster';
import { createEnvironment, failureOf } from '../support';
import { startSshd, type TestSshd, waitUntil } from './sshd';

let sshd: TestSshd;
let ssh: SshConnections;
let configuration: ClusterConfiguration;
let node: NodeConfiguration;

beforeAll(async () => {
  sshd = await startSshd();
  const { knownHostsFile, ...target } = sshd.target;
  configuration = {
    cluster: 'shop',
    ssh: { knownHostsFile },
    paths: { jobs: sshd.file('jobs') },
  } as ClusterConfiguration;
  node = { id: 0, host: sshd.host, port: 5432, ssh: target } as NodeConfiguration;
});
afterAll(() => sshd.stop());
beforeEach(() => {
  ssh = new SshConnections();
});
afterEach(() => ssh.close());

const act = (script: string, args: string[] = [], more: { timeoutMs?: number; clockOffsetMs?: number | null } = {}) =>
  createEnvironment().run(() =>
    actOnNode({ ssh } as unknown as Tools, {
      configuration,
      node,
      script: `${actPreamble}\n${script}`,
      args,
      timeoutMs: more.timeoutMs ?? 10_000,
      clockOffsetMs: more.clockOffsetMs === undefined ? 0 : more.clockOffsetMs,
    }),
  );

it('makes paths.jobs, takes the lock, and returns the act’s own status', async () => {
  const nasty = `a b'"$(id)`;
  expect(await act('printf "%s|" "$@"; exit 7', [nasty, 'c'])).toMatchObject({ exitCode: 7, stdout: `${nasty}|c|` });
  expect(existsSync(sshd.file('jobs/shop.node0.lock'))).toBe(true);
});

it('lets one act run at a time', async () => {
  const file = sshd.file('order');
  const script = `echo "begin" >> "$1"; sleep 0.2; echo "end" >> "$1"`;
  await Promise.all([act(script, [file]), act(script, [file]), act(script, [file])]);
  expect(readFileSync(file, 'utf8')).toBe('begin\nend\n'.repeat(3));
});

it('does not start an act while another one holds the node for all of its time', async () => {
  const [held, touched] = [sshd.file('held'), sshd.file('touched')];
  const first = act(': > "$1"; sleep 2', [held]);
  await waitUntil('the first act runs', () => existsSync(held));
  const failure = await failureOf(act(': > "$1"', [touched], { timeoutMs: 900 }));
  expect(failure).toMatchObject({ type: 'Unreachable', nonRetryable: false });
  expect(failure.message).toBe(
    `node 0 (${sshd.host}): ${sshd.file('jobs')}/shop.node0.lock is held by unknown, run 00000000 of test; it is retried`,
  );
  expect((await first).exitCode).toBe(0);
  expect(existsSync(touched)).toBe(false);
});

it('is refused by the node after its deadline, by the node’s own clock', async () => {
  const touched = sshd.file('late');
  const failure = await failureOf(act(': > "$1"', [touched], { clockOffsetMs: -10_001 }));
  expect(failure.message).toMatch(/arrived after its deadline and was refused$/);
  expect(existsSync(touched)).toBe(false);
  expect((await act(': > "$1"', [touched], { clockOffsetMs: null })).exitCode).toBe(0);
});

it('explains a lock that cannot be made, once and for all', async () => {
  writeFileSync(sshd.file('plain'), '');
  mkdirSync(sshd.file('jobs'), { recursive: true });
  const usual = configuration;
  configuration = { ...configuration, paths: { ...configuration.paths, jobs: sshd.file('plain/jobs') } };
  const failure = await failureOf(act('true'));
  configuration = usual;
  expect(failure).toMatchObject({ type: 'Configuration', nonRetryable: true });
  expect(failure.message).toMatch(/cannot create paths\.jobs \(.*plain\/jobs\): .*Not a directory/);
});

it('is unknown, not failed, when the connection drops; the act goes on and keeps the lock', async () => {
  const [begun, done] = [sshd.file('begun'), sshd.file('done')];
  const dropped = act(': > "$1"; sleep 1; : > "$2"', [begun, done]);
  await waitUntil('the act runs', () => existsSync(begun));
  sshd.dropConnections();
  expect(await dropped).toMatchObject({ exitCode: null });
  expect(existsSync(done)).toBe(false);
  // The next act, on a new connection, finds the first one finished.
  expect((await act('test -e "$1"', [done])).exitCode).toBe(0);
});
