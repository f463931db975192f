// act() and look() over a real sshd: one act at a time, none after its deadline, and a dropped connection is "unknown", not "failed".
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { ActivityCancellationDetails } from '@temporalio/common';
import { type ActOrder, act as actOnNode, look, mustAct } from '../../../../activities/io/host/act';
import type { Answer } from '../../../../activities/io/host/answer';
import { SshConnections } from '../../../../activities/io/ssh/ssh';
import type { WorkerTools } from '../../../../activities/io/tools';
import type { ClusterConfiguration, NodeConfiguration } from '../../../../domain/facts/cluster';
import { createEnvironment, failureOf, inAttempt } from '../../support';
import { actOf, asScript } from '../../../host/support';
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
  more: Partial<ActOrder> = {},
  environment = createEnvironment(),
): Promise<Answer> =>
  inAttempt(
    { ssh } as unknown as WorkerTools,
    (tools) =>
      actOnNode(tools, {
        configuration,
        node,
        script: asScript(actOf(`${script}; done_`)),
        args,
        timeoutMs: 10_000,
        clockOffsetMs: 0,
        ...more,
      }),
    environment,
  );

it('makes paths.jobs, takes the lock, and returns the act’s own answer', async () => {
  const nasty = `a b'"$(id)`;
  const { kind, values } = await act('printf "said=%s\\n" "$@"', [nasty, 'c']);
  expect({ kind, said: values.all('said') }).toEqual({ kind: 'done', said: [nasty, 'c'] });
  expect(await act('refuse "not so"')).toMatchObject({ kind: 'refused', sentence: 'not so' });
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
  expect(await act(': > "$1"', [touched], { timeoutMs: 900 })).toMatchObject({
    kind: 'closed',
    sentence: expect.stringMatching(
      /shop\.node0\.lock is held by unknown, run 00000000 of test, process \d+; it is retried$/,
    ) as string,
  });
  expect((await first).kind).toBe('done');
  expect(existsSync(touched)).toBe(false);
});

it('is refused by the node after its deadline, by the node’s own clock', async () => {
  const touched = sshd.file('late');
  expect(await act(': > "$1"', [touched], { clockOffsetMs: -10_001 })).toMatchObject({
    kind: 'closed',
    sentence: 'the act arrived after its deadline and was refused',
  });
  expect(existsSync(touched)).toBe(false);
  expect((await act(': > "$1"', [touched], { clockOffsetMs: null })).kind).toBe('done');
});

it.each([-20_000, 20_000])(
  'acts, with a deadline by the node’s clock, which is %i ms off and unknown',
  async (offMs) => {
    const now = Date.now.bind(Date);
    jest.spyOn(Date, 'now').mockImplementation(() => now() + offMs);
    const touched = sshd.file(`off${offMs}`);
    expect((await act(': > "$1"', [touched], { clockOffsetMs: null })).kind).toBe('done');
    // An act that is not held up has its time; one that is has no more than that.
    const script = 'sleep 0.7; [ "$(date +%s%3N)" -lt "$DEADLINE" ] || exit 1';
    expect((await act(script, [], { clockOffsetMs: null, timeoutMs: 1500 })).kind).toBe('done');
    expect((await act(script, [], { clockOffsetMs: null, timeoutMs: 600 })).kind).not.toBe('done');
  },
);

describe('whose worker was suspended', () => {
  /** Nothing is sent, not even a question for the clock. */
  async function refusalOf(touched: string, more: Partial<ActOrder>, environment = createEnvironment()) {
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
    expect((await act(': > "$1"', [touched], { lookedAt: Date.now() - 1000 })).kind).toBe('done');
    expect(existsSync(touched)).toBe(true);
  });

  it('has its time counted from that look, also by the node and while the clock is asked', async () => {
    const touched = sshd.file('counted');
    const lookedAt = Date.now() - 9000;
    expect((await act(': > "$1"', [touched], { lookedAt, clockOffsetMs: -2000 })).kind).toBe('closed');
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
    expect((await act('sleep 0.1; : > "$1"', [touched], {}, environment)).kind).toBe('closed');
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
    expect((await act(': > "$1"', [touched], { isCleanup: true }, cancelled)).kind).toBe('done');
  });
});

describe('that another act overtakes on its way', () => {
  /** The act is sent, and until it arrives another activity acts on the node, as `text` says. */
  async function overtake(touched: string, more: Partial<ActOrder>, text: string): Promise<Answer> {
    const run = ssh.run.bind(ssh);
    jest.spyOn(ssh, 'run').mockImplementationOnce(async (...sent) => {
      await act(text, [], {}, createEnvironment({ activityType: 'start' }));
      return await run(...sent);
    });
    return await act(': > "$1"', [touched], more);
  }

  it('is refused by the node, which then is looked at again', async () => {
    const touched = sshd.file('overtaken');
    const answer = await overtake(touched, {}, 'sleep 0.1');
    expect(answer).toMatchObject({
      kind: 'closed',
      sentence: expect.stringMatching(/^another act \(start, run 00000000 of test\) ended after this one/) as string,
    });
    expect(existsSync(touched)).toBe(false);
    expect((await act(': > "$1"', [touched])).kind).toBe('done');
  });

  it('acts all the same where it relies on no look, and somebody still waits for it', async () => {
    const touched = sshd.file('repeated');
    expect((await overtake(touched, { reliesOnNoLook: true }, 'sleep 0.1')).kind).toBe('done');
    expect(existsSync(touched)).toBe(true);
  });
});

it('explains a lock that cannot be made, once and for all', async () => {
  writeFileSync(sshd.file('plain'), '');
  mkdirSync(sshd.file('jobs'), { recursive: true });
  const usual = configuration;
  configuration = { ...configuration, paths: { ...configuration.paths, jobs: sshd.file('plain/jobs') } };
  const answer = await act('true');
  configuration = usual;
  expect(answer).toMatchObject({
    kind: 'wrong',
    sentence: expect.stringMatching(/^cannot create paths\.jobs \(.*plain\/jobs\): .*Not a directory/) as string,
  });
});

it('is unknown, not failed, when the connection drops; the act goes on and keeps the lock', async () => {
  const [begun, done] = [sshd.file('begun'), sshd.file('done')];
  const dropped = act(': > "$1"; sleep 1; : > "$2"', [begun, done]);
  await waitUntil('the act runs', () => existsSync(begun));
  sshd.dropConnections();
  expect(await dropped).toMatchObject({ kind: 'unknown' });
  expect(existsSync(done)).toBe(false);
  // The next act, on a new connection, finds the first one finished.
  expect((await act('test -e "$1" || exit 1', [done])).kind).toBe('done');
});

it('means one failure for each answer that is not "done"', async () => {
  const must = (script: string) =>
    inAttempt({ ssh } as unknown as WorkerTools, (tools) =>
      mustAct(tools, {
        ...{ configuration, node, script: asScript(actOf(script)), args: [], timeoutMs: 10_000, clockOffsetMs: 0 },
        what: 'do it',
      }),
    );
  expect((await must('echo a=b; done_')).get('a')).toBe('b');
  const name = `node 0 (${sshd.host})`;
  const failures = await Promise.all(
    ['refuse "not so"', 'wrong "not so"', 'fail "not so"', 'true'].map((script) => failureOf(must(script))),
  );
  expect(failures.map(({ type, message }) => `${type ?? ''}: ${message}`)).toEqual([
    `WorldChanged: ${name}: refused to do it: not so`,
    `Configuration: ${name}: cannot do it: not so`,
    `Unproven: ${name}: cannot do it: not so`,
    `Unreachable: ${name}: cannot do it, as far as is known: its answer was cut off`,
  ]);
});

it('looks without the lock', async () => {
  const held = sshd.file('locked');
  const acting = act('true >"$1"; sleep 1', [held]);
  await waitUntil('the act runs', () => existsSync(held));
  const order = { configuration, node, script: 'readClock', args: [], timeoutMs: 5000 } as const;
  const { values } = await look({ ssh }, order);
  expect(Math.abs(Number(values.get('clock')) - Date.now())).toBeLessThan(500);
  expect((await acting).kind).toBe('done');
});
