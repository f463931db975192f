// ssh.ts against a real sshd: what comes back, what happens when the other side misbehaves, and what is left running.
import { execFileSync } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { relative } from 'node:path';
import { SshConnections, SshFailure, type SshTarget } from '../../../../activities/io/ssh/ssh';
import { medianMs, startSshd, waitUntil, type TestSshd } from './sshd';

const timeoutMs = 15_000;

let sshd: TestSshd;
let connections: SshConnections;
let files = 0;

beforeAll(async () => {
  sshd = await startSshd();
});
afterAll(async () => {
  await sshd.stop();
});
beforeEach(() => {
  connections = new SshConnections();
});
afterEach(async () => {
  await connections.close();
});

/** A path of its own in the server's directory, which the remote user can write to. */
function newPath(): string {
  return sshd.file(`made-${++files}`);
}

async function failureOf(run: Promise<unknown>): Promise<SshFailure> {
  const error: unknown = await run.then(
    () => new Error('it succeeded'),
    (reason: unknown) => reason,
  );
  if (error instanceof SshFailure) return error;
  throw error as Error;
}

function tryTarget(change: Partial<SshTarget>, limitMs = timeoutMs): Promise<SshFailure> {
  return failureOf(connections.run({ ...sshd.target, ...change }, 'true', { timeoutMs: limitMs }));
}

function isRunning(pid: number): boolean {
  try {
    // A zombie has ended; it only waits to be collected.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

/** A script that writes its child's pid to $1 and then waits for a long time. */
const longScript = 'sleep 300 & echo "$!" > "$1.new"; mv "$1.new" "$1"; wait';

async function readPid(path: string): Promise<number> {
  await waitUntil(`${path} exists`, () => existsSync(path));
  return Number(readFileSync(path, 'utf8'));
}

describe('a script', () => {
  test('gets its arguments unchanged, whatever is in them', async () => {
    const args = [
      '',
      'two words',
      `it's "quoted"`,
      'line\nbreak\n',
      '$HOME `id` $(id)',
      'back\\slash\\',
      '-n',
      '*',
      'é€',
      '!x',
    ];
    const result = await connections.run(sshd.target, 'printf "<%s>" "$@"; echo "$#"', { args, timeoutMs });
    expect(result.stdout).toBe(`${args.map((argument) => `<${argument}>`).join('')}${args.length}\n`);
  });

  test('returns its exit code and both outputs separately', async () => {
    const result = await connections.run(sshd.target, 'echo out; echo problem >&2; exit 7', { timeoutMs });
    expect(result).toEqual({ exitCode: 7, signal: null, stdout: 'out\n', stderr: 'problem\n' });
  });

  test('may be empty, or end in a comment, or hold a here-document', async () => {
    for (const script of ['', '# nothing', 'cat > /dev/null <<END\n$1\nEND']) {
      const result = await connections.run(sshd.target, script, { timeoutMs });
      expect(result).toEqual({ exitCode: 0, signal: null, stdout: '', stderr: '' });
    }
  });

  test('that is killed by a signal has no exit code but a signal', async () => {
    const result = await connections.run(sshd.target, 'kill -KILL $$', { timeoutMs });
    expect(result).toEqual({ exitCode: null, signal: 'SIGKILL', stdout: '', stderr: '' });
  });

  test('is not eaten by a command that reads stdin', async () => {
    expect((await connections.run(sshd.target, 'cat\necho after', { timeoutMs })).stdout).toBe('after\n');
  });

  test('that is cut off does nothing at all', async () => {
    const path = newPath();
    const result = await connections.run(sshd.target, 'touch "$1"\nif true; then', { args: [path], timeoutMs });
    expect(result.exitCode).toBe(2);
    expect(existsSync(path)).toBe(false);
  });

  test('may write a mebibyte, and more is cut with a note', async () => {
    const script = 'head -c "$1" /dev/zero | tr "\\0" a; head -c 3000000 /dev/zero | tr "\\0" b >&2';
    const result = await connections.run(sshd.target, script, { args: ['1048576'], timeoutMs });
    expect(result.exitCode).toBe(0);
    expect(result.stdout).toBe('a'.repeat(1_048_576));
    expect(result.stderr).toBe(`${'b'.repeat(1_048_576)}\n[truncated: the first 1048576 of 3000000 bytes]\n`);
  });

  test('with the character NUL is refused before anything is sent', async () => {
    await expect(connections.run(sshd.target, 'true', { args: ['a\0b'], timeoutMs })).rejects.toThrow(RangeError);
  });
});

describe('connections', () => {
  test('are shared: 20 runs at once use one connection, 8 at a time', async () => {
    const directory = newPath();
    mkdirSync(directory);
    chownSync(directory, sshd.user.uid, sshd.user.gid);
    await waitUntil('earlier connections are gone', () => sshd.sessionPids.length === 0);
    await connections.run(sshd.target, 'true', { timeoutMs });
    const shared = sshd.sessionPids;
    const script = 'mkdir "$1/$$"; ls "$1" | wc -l; sleep 0.5; rmdir "$1/$$"';
    const run = () => connections.run(sshd.target, script, { args: [directory], timeoutMs });
    const results = await Promise.all(Array.from({ length: 20 }, run));
    expect(results.map((result) => result.exitCode)).toEqual(Array(20).fill(0));
    expect(Math.max(...results.map((result) => Number(result.stdout)))).toBe(8);
    expect(sshd.sessionPids).toEqual(shared);
  });

  test('are opened once by concurrent first runs, and by warm', async () => {
    await waitUntil('earlier connections are gone', () => sshd.sessionPids.length === 0);
    await Promise.all([connections.warm(sshd.target), connections.warm(sshd.target)]);
    expect(sshd.sessionPids).toHaveLength(1);
    await connections.run(sshd.target, 'true', { timeoutMs });
    expect(sshd.sessionPids).toHaveLength(1);
  });

  test('make a warm run fast: Nagle would cost 40 ms each', async () => {
    await connections.warm(sshd.target);
    let median = Infinity;
    // Several rounds, because a busy machine makes any one slow; the median, because Nagle makes most but not all runs slow.
    for (let round = 0; round < 20 && median >= 25; round++)
      median = await medianMs(50, () => connections.run(sshd.target, 'true', { timeoutMs }));
    expect(median).toBeLessThan(25);
  });

  test('survive a restart of sshd without a failed run', async () => {
    await connections.run(sshd.target, 'true', { timeoutMs });
    await sshd.halt();
    await sshd.start();
    expect((await connections.run(sshd.target, 'echo back', { timeoutMs })).stdout).toBe('back\n');
  });

  test('that turn out dead when they are used are replaced within the same run', async () => {
    await connections.run(sshd.target, 'true', { timeoutMs });
    // The run begins in the same turn of the event loop, so that the client cannot have noticed.
    sshd.dropConnections();
    expect((await connections.run(sshd.target, 'echo back', { timeoutMs })).stdout).toBe('back\n');
  });

  test('are gone after close, which leaves running commands unknown and refuses new ones', async () => {
    const path = newPath();
    const running = connections.run(sshd.target, longScript, { args: [path], timeoutMs });
    const pid = await readPid(path);
    await connections.close();
    expect((await running).exitCode).toBeNull();
    expect((await failureOf(connections.run(sshd.target, 'true', { timeoutMs }))).message).toMatch(/were closed/);
    await waitUntil('sshd has no session', () => sshd.sessionPids.length === 0);
    process.kill(pid, 'SIGKILL');
  });

  test('with few sessions take turns, and output of a start-up file is not the script’s', async () => {
    const noisy = await startSshd((directory) => ['MaxSessions 1', `SetEnv BASH_ENV=${directory}/noise`]);
    try {
      writeFileSync(noisy.file('noise'), 'echo welcome; printf "no newline"\n');
      await connections.warm(noisy.target);
      const [first, second, third] = await Promise.allSettled([
        connections.run(noisy.target, 'sleep 4; echo first', { timeoutMs }),
        connections.run(noisy.target, 'echo second', { timeoutMs }),
        failureOf(connections.run(noisy.target, 'echo third', { timeoutMs: 2000 })),
      ]);
      expect(first).toMatchObject({ value: { stdout: 'first\n' } });
      expect(second).toMatchObject({ value: { stdout: 'second\n' } });
      expect(third).toMatchObject({ value: { kind: 'protocol', isRetryable: true } });
      expect(third).toHaveProperty('value.message', expect.stringMatching(/MaxSessions/));
    } finally {
      await noisy.stop();
    }
  });
});

describe('a run that cannot start', () => {
  test('is refused when no sshd listens', async () => {
    await sshd.halt();
    const failure = await tryTarget({});
    await connections.warm(sshd.target);
    await sshd.start();
    expect(failure).toMatchObject({ kind: 'refused', isRetryable: true });
    expect(failure.message).toContain(`ssh ${sshd.user.name}@${sshd.host}:`);
  });

  test('names a host that does not resolve', async () => {
    expect((await tryTarget({ host: 'no-such-host.invalid' })).kind).toBe('unknown-host');
  });

  test('is silent, within its time, when sshd is frozen before the connection', async () => {
    sshd.freeze();
    const startedAt = performance.now();
    const failure = await tryTarget({}, 500);
    const tookMs = performance.now() - startedAt;
    sshd.thaw();
    expect(failure).toMatchObject({ kind: 'silent', isRetryable: true });
    expect(failure.message).toMatch(
      /within 500 ms: the TCP connection was accepted but the SSH handshake did not finish/,
    );
    expect(tookMs).toBeGreaterThan(490);
    expect(tookMs).toBeLessThan(3000);
  });

  test('is silent, within its time, when a warm connection freezes; the next run works', async () => {
    await connections.warm(sshd.target);
    sshd.freeze();
    const startedAt = performance.now();
    const failure = await tryTarget({}, 500);
    const tookMs = performance.now() - startedAt;
    sshd.thaw();
    expect(failure.kind).toBe('silent');
    expect(failure.message).toMatch(/the connection was open but sshd did not answer/);
    expect(tookMs).toBeLessThan(3000);
    expect((await connections.run(sshd.target, 'echo back', { timeoutMs })).stdout).toBe('back\n');
  });

  test('waits for a place no longer than its time', async () => {
    const busy = Array.from({ length: 8 }, () => connections.run(sshd.target, 'sleep 2', { timeoutMs }));
    const failure = await tryTarget({}, 300);
    expect(failure).toMatchObject({ kind: 'protocol', isRetryable: true });
    await Promise.all(busy);
    expect((await connections.run(sshd.target, 'echo back', { timeoutMs })).stdout).toBe('back\n');
  });

  test('says which key sshd did not accept', async () => {
    const identityFile = sshd.makeKey('stranger', 'ed25519');
    const failure = await tryTarget({ identityFile });
    expect(failure).toMatchObject({ kind: 'authentication', isRetryable: false });
    expect(failure.message).toContain(identityFile);
    expect(failure.message).toContain('authorized_keys');
  });

  test.each([
    ['is missing', () => newPath(), 'does not exist'],
    ['is a directory', () => sshd.directory, 'is a directory'],
    ['is encrypted', () => sshd.makeKey('encrypted', 'ed25519', 'some passphrase'), 'is protected by a passphrase'],
    ['is a public key', () => sshd.file('identity.pub'), 'holds a public key'],
    ['is something else', () => sshd.file('sshd_config'), 'holds no key that we can read'],
  ])('says that the identity file %s', async (_title, makePath, expected) => {
    const identityFile = makePath();
    const failure = await tryTarget({ identityFile });
    expect(failure).toMatchObject({ kind: 'identity-file', isRetryable: false });
    expect(failure.message).toContain(`${identityFile} `);
    expect(failure.message).toContain(expected);
  });

  test('says that the known hosts file is missing', async () => {
    const failure = await tryTarget({ knownHostsFile: newPath() });
    expect(failure).toMatchObject({ kind: 'known-hosts-file', isRetryable: false });
    expect(failure.message).toMatch(/does not exist.*ssh-keyscan/);
  });
});

describe('a host key', () => {
  function writeKnownHosts(...lines: string[]): string {
    const path = newPath();
    writeFileSync(path, lines.map((line) => `${line}\n`).join(''));
    return path;
  }

  test('that is unknown is refused, with its fingerprint and what to do', async () => {
    const knownHostsFile = writeKnownHosts('# nothing yet');
    const failure = await tryTarget({ knownHostsFile });
    expect(failure).toMatchObject({ kind: 'host-key', isRetryable: false });
    const printed = execFileSync('ssh-keygen', ['-lf', sshd.file('host_ed25519.pub')], { encoding: 'utf8' });
    expect(failure.message).toContain(printed.split(' ')[1]);
    expect(failure.message).toMatch(/ssh-keyscan -p \d+ -t ed25519 127\.[0-9.]+ >> /);
    expect(failure.message).toContain(knownHostsFile);
  });

  test('that has changed is refused, with the line that differs, and the file is left alone', async () => {
    sshd.makeKey('another_host', 'ed25519');
    const knownHostsFile = writeKnownHosts('# first', `${sshd.knownHostName} ${sshd.readPublicKey('another_host')}`);
    const before = readFileSync(knownHostsFile, 'utf8');
    const failure = await tryTarget({ knownHostsFile });
    expect(failure).toMatchObject({ kind: 'host-key', isRetryable: false });
    expect(failure.message).toContain(`${knownHostsFile} line 2 holds another key`);
    expect(readFileSync(knownHostsFile, 'utf8')).toBe(before);
  });

  test('that is revoked is refused, even if it is also known', async () => {
    const key = sshd.readPublicKey('host_ed25519');
    const lines = [`${sshd.knownHostName} ${key}`, `@revoked * ${key}`];
    const failure = await tryTarget({ knownHostsFile: writeKnownHosts(...lines) });
    expect(failure.kind).toBe('host-key');
    expect(failure.message).toMatch(/line 2 marks as revoked/);
  });

  test('of which only the RSA one is known is asked for as RSA', async () => {
    const knownHostsFile = writeKnownHosts(`${sshd.knownHostName} ${sshd.readPublicKey('host_rsa')}`);
    const target = { ...sshd.target, knownHostsFile };
    expect((await connections.run(target, 'echo ok', { timeoutMs })).stdout).toBe('ok\n');
  });

  test('is read from the home directory when the path begins with ~/', async () => {
    const fromHome = (path: string): string => `~/${relative(homedir(), path)}`;
    const { identityFile, knownHostsFile } = sshd.target;
    const target = { ...sshd.target, identityFile: fromHome(identityFile), knownHostsFile: fromHome(knownHostsFile) };
    expect((await connections.run(target, 'echo ok', { timeoutMs })).stdout).toBe('ok\n');
  });
});

describe('a command that does not end', () => {
  // The first command's time includes the handshake.
  beforeEach(() => connections.warm(sshd.target));

  test('is unknown after its time, keeps its output so far, and its process group is ended', async () => {
    const path = newPath();
    const script = `trap 'touch "$1.term"; exit' TERM; echo started; ${longScript}`;
    const result = await connections.run(sshd.target, script, { args: [path], timeoutMs: 3000 });
    expect(result).toMatchObject({ exitCode: null, signal: null, stdout: 'started\n' });
    expect(result.stderr).toMatch(/no exit status within 3000 ms/);
    const pid = await readPid(path);
    await waitUntil('the remote child has ended', () => !isRunning(pid));
    await waitUntil('the script has heard TERM', () => existsSync(`${path}.term`));
  });

  test('and ignores TERM is killed', async () => {
    const path = newPath();
    const script = `trap '' TERM; ${longScript}`;
    const run = connections.run(sshd.target, script, { args: [path], timeoutMs: 3000 });
    const pid = await readPid(path);
    expect((await run).exitCode).toBeNull();
    expect(isRunning(pid)).toBe(true);
    await waitUntil('the remote child has ended', () => !isRunning(pid));
  });

  test('gives its place back, also if 8 run out of time at once', async () => {
    const paths = Array.from({ length: 8 }, newPath);
    const runs = paths.map((path) => connections.run(sshd.target, longScript, { args: [path], timeoutMs: 3000 }));
    const pids = await Promise.all(paths.map(readPid));
    expect((await Promise.all(runs)).map((result) => result.exitCode)).toEqual(Array(8).fill(null));
    const next = Array.from({ length: 8 }, () => connections.run(sshd.target, 'echo next', { timeoutMs }));
    expect((await Promise.all(next)).map((result) => result.stdout)).toEqual(Array(8).fill('next\n'));
    await waitUntil('the remote children have ended', () => !pids.some(isRunning));
  });

  test('is ended when its caller aborts, even if close follows at once; the run rejects with the reason', async () => {
    const path = newPath();
    const controller = new AbortController();
    const run = connections.run(sshd.target, longScript, { args: [path], timeoutMs, signal: controller.signal });
    const pid = await readPid(path);
    const reason = new Error('preempted');
    controller.abort(reason);
    await expect(run).rejects.toBe(reason);
    await connections.close();
    await waitUntil('the remote child has ended', () => !isRunning(pid));
  });

  test('is unknown when the connection drops, and is not run again', async () => {
    const path = newPath();
    const run = connections.run(sshd.target, `echo once >> "$1.log"; ${longScript}`, { args: [path], timeoutMs });
    const pid = await readPid(path);
    sshd.dropConnections();
    const result = await run;
    expect(result).toMatchObject({ exitCode: null, signal: null });
    expect(result.stderr).toMatch(/the connection was lost while the command ran/);
    expect((await connections.run(sshd.target, 'cat "$1.log"', { args: [path], timeoutMs })).stdout).toBe('once\n');
    expect(isRunning(pid)).toBe(true);
    process.kill(pid, 'SIGKILL');
  });

  test('is unknown a few seconds after its host froze, long before its time is over', async () => {
    const path = newPath();
    const run = connections.run(sshd.target, longScript, { args: [path], timeoutMs: 25_000 });
    const pid = await readPid(path);
    sshd.freeze();
    const frozenAt = performance.now();
    const result = await run;
    sshd.thaw();
    expect(result.exitCode).toBeNull();
    expect(performance.now() - frozenAt).toBeLessThan(15_000);
    process.kill(pid, 'SIGKILL');
  });
});
