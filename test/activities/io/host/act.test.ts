// actOnNode over a real sshd: one act at a time, none after its deadline, and a dropped connection is "unknown", not "failed".
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { ActivityCancellationDetails } from '@temporalio/common';
import { type ActInput, actOnNode } from '../../../../activities/io/host/act';
import { type CommandResult, SshConnections } from '../../../../activities/io/ssh/ssh';
import type { WorkerTools } from '../../../../activities/io/tools';
import type { ClusterConfiguration, NodeConfiguration } from '../../../../domain/facts/cluster';
import { createEnvironment, failureOf, inAttempt } from '../../support';
import { actOf } from '../../../host/support';
import { nodeBehind, startSshd, type TestSshd, waitUntil } from '../ssh/sshd';

let sshd: TestSshd;
let ssh: SshConnections;
let configuration: ClusterConfiguration;
let node: NodeConfiguration;

beforeAll(async () => {
  sshd = await startSshd();
  ({ configuration, node } = nodeBehind(sshd));
});
afterAll(() => sshd.stop());
beforeEach(() => {
  ssh = new SshConnections();
});
afterEach(async () => {
  jest.restoreAllMocks();
  await ssh.close();
});

const act = (
  script: string,
  args: string[] = [],
  more: Partial<ActInput> = {},
  environment = createEnvironment(),
): Promise<CommandResult> =>
  inAttempt(
    { ssh } as unknown as WorkerTools,
    (tools) =>
      actOnNode(tools, {
        configuration,
        node,
        script: actOf(script),
        args,
        timeoutMs: 10_000,
        clockOffsetMs: 0,
        ...more,
      }),
    environment,
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
  expect(failure.message).toMatch(
    /shop\.node0\.lock is held by unknown, run 00000000 of test, process \d+; it is retried$/,
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

it.each([-20_000, 20_000])(
  'acts, with a deadline by the node’s clock, which is %i ms off and unknown',
  async (offMs) => {
    const now = Date.now.bind(Date);
    jest.spyOn(Date, 'now').mockImplementation(() => now() + offMs);
    const touched = sshd.file(`off${offMs}`);
    expect((await act(': > "$1"', [touched], { clockOffsetMs: null })).exitCode).toBe(0);
    // What is not held up has its time; what is, has no more than that.
    const script = 'sleep 0.7; [ "$(date +%s%3N)" -lt "$DEADLINE" ]';
    expect((await act(script, [], { clockOffsetMs: null, timeoutMs: 1500 })).exitCode).toBe(0);
    expect((await act(script, [], { clockOffsetMs: null, timeoutMs: 600 })).exitCode).not.toBe(0);
  },
);

describe('whose worker was suspended', () => {
  /** Nothing is sent, not even a question for the clock. */
  async function refusalOf(touched: string, more: Partial<ActInput>, environment = createEnvironment()) {
    const send = jest.spyOn(ssh, 'run');
    const failure = await failureOf(act(': > "$1"', [touched], { clockOffsetMs: 'measure', ...more }, environment));
    expect(send).not.toHaveBeenCalled();
    expect(existsSync(touched)).toBe(false);
    return failure;
  }

  it('is refused when what it relies on was looked at too long ago', async () => {
    const touched = sshd.file('outdated');
    const failure = await refusalOf(touched, { lookedAt: Date.now() - 10_001 });
    expect(failure).toMatchObject({ type: 'Unreachable', nonRetryable: false });
    expect(failure.message).toMatch(/^node 0 .*: nothing was done, .*looked at too long ago \(10 s\)/);
    expect((await act(': > "$1"', [touched], { lookedAt: Date.now() - 1000 })).exitCode).toBe(0);
    expect(existsSync(touched)).toBe(true);
  });

  it('has its time counted from that look, also by the node and while the clock is asked', async () => {
    const touched = sshd.file('counted');
    const lookedAt = Date.now() - 9000;
    const failure = await failureOf(act(': > "$1"', [touched], { lookedAt, clockOffsetMs: -2000 }));
    expect(failure.message).toMatch(/arrived after its deadline and was refused$/);
    const run = ssh.run.bind(ssh);
    jest.spyOn(ssh, 'run').mockImplementationOnce(async (...question) => {
      const answer = await run(...question);
      const later = Date.now() + 2000;
      jest.spyOn(Date, 'now').mockImplementation(() => later);
      return answer;
    });
    const measured = await failureOf(
      act(': > "$1"', [touched], { lookedAt: lookedAt + 500, clockOffsetMs: 'measure' }),
    );
    jest.restoreAllMocks();
    expect(measured.message).toMatch(/looked at too long ago/);
    expect(existsSync(touched)).toBe(false);
  });

  it('is refused by the node once nobody waits for its attempt any more', async () => {
    const touched = sshd.file('overdue');
    const environment = createEnvironment({ startToCloseTimeoutMs: 1 });
    const failure = await failureOf(act('sleep 0.1; : > "$1"', [touched], {}, environment));
    expect(failure.message).toMatch(/arrived after its deadline and was refused$/);
    expect(existsSync(touched)).toBe(false);
  });

  it('is not sent for an attempt that was cancelled or has timed out; what a cancellation leaves to be done is', async () => {
    const touched = sshd.file('cancelled');
    const [cancelled, late] = [createEnvironment(), createEnvironment()];
    cancelled.cancel();
    late.cancel('TIMED_OUT', new ActivityCancellationDetails({ timedOut: true }));
    for (const environment of [cancelled, late])
      expect(await refusalOf(touched, {}, environment)).toMatchObject({ name: 'CancelledFailure' });
    expect(await refusalOf(touched, { isCleanup: true }, late)).toMatchObject({ name: 'CancelledFailure' });
    expect((await act(': > "$1"', [touched], { isCleanup: true }, cancelled)).exitCode).toBe(0);
  });
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
