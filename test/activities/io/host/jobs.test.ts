// Durable jobs over a real sshd: started once, followed by whoever is there, ended as a group, and never in the way of the node's lock.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ActivityCancellationDetails, type ApplicationFailure } from '@temporalio/common';
import type { MockActivityEnvironment } from '@temporalio/testing';
import { mustAct } from '../../../../activities/io/host/act';
import { endJob, type JobEnd, listJobs, removeJobs, runJob } from '../../../../activities/io/host/jobs';
import { SshConnections } from '../../../../activities/io/ssh/ssh';
import type { WorkerTools } from '../../../../activities/io/tools';
import type { ClusterConfiguration, NodeConfiguration } from '../../../../domain/facts/cluster';
import { createEnvironment, failureOf, inAttempt, loader } from '../../support';
import { actOf, asScript } from '../../../host/support';
import { nodeBehind, startSshd, type TestSshd, waitUntil } from '../ssh/sshd';

let sshd: TestSshd;
let ssh: SshConnections;
let configuration: ClusterConfiguration;
let node: NodeConfiguration;

beforeAll(async () => {
  sshd = await startSshd();
  ({ configuration, node } = nodeBehind(sshd, 'its jobs'));
});
afterAll(() => sshd.stop());
beforeEach(() => {
  ssh = new SshConnections();
});
afterEach(async () => {
  jest.restoreAllMocks();
  await ssh.close();
  expect(holders(lockFile())).toEqual([]);
});

const lockFile = (): string => sshd.file('its jobs/shop.node0.lock');
const directoryOf = (name: string, id = 0): string => sshd.file(`its jobs/shop.node${id}/${name}`);
const toolsOf = (connections: SshConnections): WorkerTools => ({ ssh: connections }) as unknown as WorkerTools;

interface More {
  readonly args?: readonly string[];
  readonly on?: NodeConfiguration;
  readonly over?: SshConnections;
  readonly environment?: MockActivityEnvironment;
  readonly lookedAt?: number;
}

const run = (name: string, script: string, { args = [], on = node, over = ssh, environment, lookedAt }: More = {}) =>
  inAttempt(
    toolsOf(over),
    (tools): Promise<JobEnd> =>
      runJob(tools, { configuration, node: on, name, script: asScript(script), args, lookedAt }, (log) => ({
        last: log.slice(-20),
      })),
    environment,
  );
const end = (name: string): Promise<void> =>
  inAttempt(toolsOf(ssh), (tools) => endJob(tools, configuration, node, name));
const list = (): Promise<string[]> => inAttempt(toolsOf(ssh), (tools) => listJobs(tools, configuration, node));
const clean = (): Promise<void> => inAttempt(toolsOf(ssh), (tools) => removeJobs(tools, configuration, node));

/** Processes that have the file open, a lock's included. */
function holders(file: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && openFiles(name).includes(file))
    .map(Number);
}

function openFiles(pid: string): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
  } catch {
    return [];
  }
}

const groupOf = (name: string): number => Number(readFileSync(path.join(directoryOf(name), 'pid'), 'utf8'));
/** A job that runs until the file `go` exists, and counts its starts in `starts`. */
const waiting = 'echo x >>"$1/starts"; until [ -e "$1/go" ]; do sleep 0.02; done; echo went';

/** A directory for one test's files, writable by the node's user. */
async function makeRoom(name: string): Promise<string> {
  const directory = sshd.file(name);
  await inAttempt(toolsOf(ssh), (tools) =>
    mustAct(tools, {
      configuration,
      node,
      script: asScript(actOf('mkdir "$1" && done_')),
      args: [directory],
      timeoutMs: 5000,
      clockOffsetMs: 0,
      what: 'make a directory',
    }),
  );
  return directory;
}

const go = (room: string): void => {
  mkdirSync(path.join(room, 'go'));
};
const hasStarted = (room: string): boolean => existsSync(path.join(room, 'starts'));

it('returns exit code and log, with its arguments as they are, and the same again when asked again', async () => {
  const script = 'printf "%s|" "$@"; echo; echo "on stderr" >&2; exit 7';
  const args = [`a b'"$(id)`, '', '~/x'];
  const wanted = { state: 'done', exitCode: 7, log: `a b'"$(id)||~/x|\non stderr\n` };
  expect(await run('plain', script, { args })).toEqual(wanted);
  expect(await run('plain', 'echo another script')).toEqual(wanted);
  expect(await list()).toEqual(['plain']);
});

it('runs once however many start it at once', async () => {
  const room = await makeRoom('many');
  const starting = Array.from({ length: 20 }, () => run('many', waiting, { args: [room] }));
  await waitUntil('it runs', () => hasStarted(room));
  go(room);
  const ends = await Promise.all(starting);
  expect(new Set(ends.map((each) => JSON.stringify(each)))).toEqual(
    new Set([JSON.stringify({ state: 'done', exitCode: 0, log: 'went\n' })]),
  );
  expect(readFileSync(path.join(room, 'starts'), 'utf8')).toBe('x\n');
});

it('is not started when what it relies on was looked at too long ago, but followed if it was', async () => {
  const lookedAt = Date.now() - 15_001;
  const failure = await failureOf(run('outdated', 'true', { lookedAt }));
  expect(failure).toMatchObject({ type: 'Unreachable', nonRetryable: false });
  expect(failure.message).toMatch(/looked at too long ago/);
  expect(await list()).not.toContain('outdated');
  expect(await run('outdated', 'true', { lookedAt: Date.now() })).toMatchObject({ exitCode: 0 });
  expect(await run('outdated', 'true', { lookedAt })).toMatchObject({ exitCode: 0 });
});

it('goes on when the connection drops, and is read on by another connection', async () => {
  const room = await makeRoom('dropped');
  const following = run('dropped', `echo first; ${waiting}`, { args: [room] });
  await waitUntil('it runs', () => hasStarted(room));
  sshd.dropConnections();
  const elsewhere = new SshConnections();
  const reattached = run('dropped', waiting, { args: [room], over: elsewhere });
  go(room);
  const wanted = { state: 'done', exitCode: 0, log: 'first\nwent\n' };
  expect(await Promise.all([following, reattached])).toEqual([wanted, wanted]);
  expect(readFileSync(path.join(room, 'starts'), 'utf8')).toBe('x\n');
  await elsewhere.close();
});

it('survives its worker: the next one re-attaches', async () => {
  const room = await makeRoom('orphan');
  const input = { configuration, node, name: 'orphan', script: `echo dying time; ${waiting}`, args: [room] };
  const module = path.join(__dirname, 'job-worker.ts');
  const worker = spawn(process.execPath, ['-e', loader, module, JSON.stringify(input)], { stdio: 'inherit' });
  const signal = await new Promise((resolve) =>
    worker.once('exit', (_, by) => {
      resolve(by);
    }),
  );
  expect(signal).toBe('SIGKILL');
  expect(await list()).toContain('orphan');
  const following = run('orphan', waiting, { args: [room] });
  go(room);
  expect(await following).toEqual({ state: 'done', exitCode: 0, log: 'dying time\nwent\n' });
  expect(readFileSync(path.join(room, 'starts'), 'utf8')).toBe('x\n');
});

it('is lost when all of its processes are killed, and starts anew once it was removed', async () => {
  const room = await makeRoom('lost');
  const following = run('lost', `echo so far; ${waiting}`, { args: [room] });
  await waitUntil('it runs', () => hasStarted(room));
  process.kill(-groupOf('lost'), 'SIGKILL');
  expect(await following).toEqual({ state: 'lost', log: 'so far\n' });
  expect(await run('lost', 'echo never')).toEqual({ state: 'lost', log: 'so far\n' });
  await end('lost');
  expect(await run('lost', 'echo anew')).toEqual({ state: 'done', exitCode: 0, log: 'anew\n' });
});

it('runs while a child of it runs, even without its supervisor; then it is lost', async () => {
  const room = await makeRoom('supervisor');
  const environment = createEnvironment();
  const following = run('supervisor', waiting, { args: [room], environment });
  let hasEnded = false;
  void following.finally(() => (hasEnded = true));
  await waitUntil('it runs', () => hasStarted(room));
  process.kill(groupOf('supervisor'), 'SIGKILL');
  await new Promise((resolve) => environment.once('heartbeat', resolve));
  await new Promise((resolve) => environment.once('heartbeat', resolve));
  expect(hasEnded).toBe(false);
  go(room);
  expect(await following).toEqual({ state: 'lost', log: 'went\n' });
});

it('ends by a signal to its group with a result, as when the host shuts down', async () => {
  const room = await makeRoom('terminated');
  const following = run('terminated', waiting, { args: [room] });
  await waitUntil('it runs', () => hasStarted(room));
  process.kill(-groupOf('terminated'), 'SIGTERM');
  expect(await following).toMatchObject({ state: 'done', exitCode: 143 });
});

it('claims nothing that cannot be followed: a starter that died after its claim leaves a lost job', async () => {
  const name = await makeRoom('its jobs/shop.node0/claimed');
  expect(await run('claimed', 'echo never')).toEqual({ state: 'lost', log: '' });
  await end('claimed');
  expect(existsSync(name)).toBe(false);
});

it.each([
  ['heeds TERM', 'echo x >"$1/starts"; sleep 60'],
  ['ignores TERM', `trap '' TERM; echo x >"$1/starts"; sleep 60`],
])('endJob leaves nothing of a job that %s', async (_, script) => {
  const name = script.startsWith('trap') ? 'stubborn' : 'obedient';
  const room = await makeRoom(name);
  const following = run(name, script, { args: [room] }).catch((error: unknown) => error as ApplicationFailure);
  await waitUntil('it runs', () => hasStarted(room));
  const lock = path.join(directoryOf(name), 'lock');
  expect(holders(lock).length).toBeGreaterThan(1);
  await end(name);
  expect(holders(lock)).toEqual([]);
  expect(holders(`${lock} (deleted)`)).toEqual([]);
  expect(await list()).not.toContain(name);
  // A follower sees the job's end, or that it is gone, whichever comes first.
  const seen = await following;
  if ('state' in seen) expect(seen).not.toMatchObject({ state: 'done', exitCode: 0 });
  else
    expect(`${seen.type ?? ''}: ${seen.message}`).toMatch(/^WorldChanged: .* was ended and removed by somebody else$/);
  await end(name);
});

it('is ended by the cancellation of its activity, but not by a worker that shuts down or by a timed-out attempt', async () => {
  const room = await makeRoom('cancelled');
  const [leaving, cancelled] = [createEnvironment(), createEnvironment()];
  const left = failureOf(run('cancelled', waiting, { args: [room], environment: leaving }));
  await waitUntil('it runs', () => hasStarted(room));
  leaving.cancel('WORKER_SHUTDOWN', new ActivityCancellationDetails({ workerShutdown: true }));
  expect(await left).toMatchObject({ name: 'CancelledFailure' });
  const lock = path.join(directoryOf('cancelled'), 'lock');
  expect(holders(lock).length).toBeGreaterThan(1);

  const following = failureOf(run('cancelled', waiting, { args: [room], environment: cancelled }));
  await new Promise((resolve) => cancelled.once('heartbeat', resolve));
  cancelled.cancel();
  expect(await following).toMatchObject({ name: 'CancelledFailure' });
  expect(await list()).not.toContain('cancelled');
  expect(holders(`${lock} (deleted)`)).toEqual([]);
});

it('reads a log of any length and any text', async () => {
  const script = `awk 'BEGIN { for (i = 1; i <= 40000; i++) printf "%d äöü€\\n", i }'; printf '€%.0s' 1 2 3; sleep 0.7; printf '\\342\\202'; sleep 0.7; printf '\\254'`;
  const result = await run('long', script);
  const lines = result.log.split('\n');
  expect(Buffer.byteLength(result.log)).toBeGreaterThan(255 * 1024);
  expect(lines.at(-1)).toBe('€€€€');
  expect(lines.at(-2)).toBe('40000 äöü€');
});

it('tells what the log says in its heartbeats, even while the node is silent', async () => {
  const room = await makeRoom('silent');
  const environment = createEnvironment();
  const beats: { at: number; details: unknown }[] = [];
  environment.on('heartbeat', (details) => beats.push({ at: Date.now(), details }));
  // As regular as this process can be on a busy machine.
  const ticks: number[] = [];
  const clock = setInterval(() => ticks.push(Date.now()), 500);
  const following = run('silent', `echo "41 % of it"; ${waiting}`, { args: [room], environment });
  const isSaid = () => beats.some(({ details }) => JSON.stringify(details) === '{"last":"41 % of it\\n"}');
  await waitUntil('the log is told', isSaid);
  sshd.freeze();
  const frozenAt = Date.now();
  await waitUntil('three beats', () => beats.filter(({ at }) => at > frozenAt).length >= 3);
  sshd.thaw();
  go(room);
  expect(await following).toMatchObject({ exitCode: 0 });
  clearInterval(clock);
  const longestGap = (times: readonly number[]): number =>
    Math.max(...times.slice(1).map((at, index) => at - times[index]!));
  expect(longestGap(beats.map(({ at }) => at))).toBeLessThan(longestGap(ticks) + 1000);
});

it('gives up after a minute without an answer, and leaves the job to the next attempt', async () => {
  const room = await makeRoom('away');
  const following = failureOf(run('away', waiting, { args: [room] }));
  await waitUntil('it runs', () => hasStarted(room));
  await sshd.halt();
  const minute = Date.now() + 61_000;
  jest.spyOn(Date, 'now').mockImplementation(() => minute);
  expect(await following).toMatchObject({ type: 'Unreachable', nonRetryable: false });
  jest.restoreAllMocks();
  await sshd.start();
  go(room);
  expect(await run('away', waiting)).toEqual({ state: 'done', exitCode: 0, log: 'went\n' });
});

it('keeps the jobs of two nodes apart that share a host', async () => {
  const other = { ...node, id: 1 };
  const ends = await Promise.all([run('same', 'echo node 0'), run('same', 'echo node 1', { on: other })]);
  expect(ends.map(({ log }) => log)).toEqual(['node 0\n', 'node 1\n']);
});

it('removes what has ended and keeps what runs', async () => {
  const room = await makeRoom('kept');
  const following = run('kept', waiting, { args: [room] });
  await waitUntil('it runs', () => hasStarted(room));
  expect((await list()).length).toBeGreaterThan(1);
  await clean();
  expect(await list()).toEqual(['kept']);
  go(room);
  await following;
  await clean();
  expect(existsSync(sshd.file('its jobs/shop.node0'))).toBe(false);
  expect(await list()).toEqual([]);
});

it('lets go of the node’s lock: an act finds it free while a job runs', async () => {
  const room = await makeRoom('unlocked');
  const following = run('unlocked', waiting, { args: [room] });
  await waitUntil('it runs', () => hasStarted(room));
  await waitUntil('the starter is gone', () => holders(lockFile()).length === 0);
  go(room);
  await following;
});

it('says why a job cannot be started', async () => {
  await run('first', 'true');
  await clean();
  const file = sshd.file('its jobs/shop.node0');
  writeFileSync(file, '');
  const failure = await failureOf(run('refused', 'true'));
  expect(failure).toMatchObject({ type: 'Unproven' });
  expect(failure.message).toMatch(/^node 0 \(.*\): cannot start job refused in .*shop\.node0: mkdir: .*File exists/);
  rmSync(file);
});
