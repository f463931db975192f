// withNodeLock over a real sshd: acts over SQL and acts over ssh exclude each other, and no lock outlives its worker.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { appendFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { act as actOnNode } from '../../../../activities/io/host/act';
import type { Answer } from '../../../../activities/io/host/answer';
import { type NodeLock, withNodeLock } from '../../../../activities/io/host/node-lock';
import { scripts } from '../../../../activities/io/host/scripts';
import { SshConnections } from '../../../../activities/io/ssh/ssh';
import type { WorkerTools } from '../../../../activities/io/tools';
import type { ClusterConfiguration, NodeConfiguration } from '../../../../domain/facts/cluster';
import { failureOf, inAttempt } from '../../support';
import { actOf, asScript } from '../../../host/support';
import { holdLock } from './other-act';
import { nodeBehind, startSshd, type TestSshd, waitUntil } from '../ssh/sshd';

let sshd: TestSshd;
let ssh: SshConnections;
let configuration: ClusterConfiguration;
let node: NodeConfiguration;
const lockFile = (): string => sshd.file('jobs/shop.node0.lock');

beforeAll(async () => {
  sshd = await startSshd();
  ({ configuration, node } = nodeBehind(sshd));
});
afterAll(() => sshd.stop());
beforeEach(async () => {
  ssh = new SshConnections();
  await act('true');
});
afterEach(() => ssh.close());

const tools = (): WorkerTools => ({ ssh }) as unknown as WorkerTools;

const act = (script: string, ...args: string[]): Promise<Answer> =>
  inAttempt(tools(), (given) =>
    actOnNode(given, {
      configuration,
      node,
      script: asScript(actOf(`${script}; done_`)),
      args,
      timeoutMs: 10_000,
      clockOffsetMs: 0,
    }),
  );

interface Options {
  readonly waitMs?: number;
  readonly timeoutMs?: number;
  readonly isRequired?: boolean;
}

const locked = <T>(body: (lock: NodeLock) => Promise<T>, options: Options = {}): Promise<T> =>
  inAttempt(tools(), (given) =>
    withNodeLock(given, { configuration, node, waitMs: 5000, timeoutMs: 60_000, isRequired: true, ...options }, body),
  );

/** Asked without the code under test. */
function isFree(): boolean {
  try {
    execFileSync('flock', ['-n', lockFile(), 'true']);
    return true;
  } catch {
    return false;
  }
}

it('lets go at once, long before its deadline, and returns what the act returned', async () => {
  const seen = await locked(({ confirm }) => {
    confirm();
    expect(readFileSync(lockFile(), 'utf8')).toMatch(/^unknown, run 00000000 of test, process \d+\n$/);
    return Promise.resolve(isFree());
  });
  expect(seen).toBe(false);
  await waitUntil('the lock is free', isFree);
});

it('lets go when the act fails, with the act’s own failure', async () => {
  await expect(locked(() => Promise.reject(new Error('its own')))).rejects.toThrow('its own');
  await waitUntil('the lock is free', isFree);
});

it('excludes acts over ssh, and is excluded by them', async () => {
  const [begun, order] = [sshd.file('begun'), sshd.file('order')];
  writeFileSync(order, '');
  chownSync(order, sshd.user.uid, sshd.user.gid);
  let waiting: Promise<unknown> = Promise.resolve();
  await locked(async () => {
    waiting = act(': > "$1"; sleep 0.3; echo ssh >>"$2"', begun, order);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(existsSync(begun)).toBe(false);
    await appendFile(order, 'sql\n');
  });
  await waitUntil('the act over ssh begins', () => existsSync(begun));
  await locked(async () => {
    await appendFile(order, 'sql\n');
  });
  await waiting;
  expect(readFileSync(order, 'utf8')).toBe('sql\nssh\nsql\n');
});

it.each([true, false])('fails while another act holds the node (required: %s)', async (isRequired) => {
  const release = await holdLock(lockFile());
  const body = jest.fn(() => Promise.resolve());
  const failure = await failureOf(locked(body, { isRequired, waitMs: 900 }));
  release();
  expect(failure).toMatchObject({ type: 'Unreachable', nonRetryable: false });
  expect(failure.message).toMatch(/shop\.node0\.lock is held by rebuild of somebody, process \d+; it is retried$/);
  expect(body).not.toHaveBeenCalled();
});

it('names nobody whose name is only left over in the file', async () => {
  const holder = spawn('flock', [lockFile(), 'sh', '-c', 'echo held; read line'], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  await new Promise((resolve) => holder.stdout.once('data', resolve));
  const failure = await failureOf(locked(() => Promise.resolve(), { waitMs: 900 }));
  holder.stdin.end();
  expect(failure.message).toMatch(
    /is held by an unknown process \(last by unknown, run 00000000 of test, process \d+\); it/,
  );
});

describe('another local user', () => {
  // A directory that anybody may enter, as the ssh user's home often is.
  let open: string;
  let usual: ClusterConfiguration;
  beforeEach(() => {
    open = mkdtempSync(path.join(tmpdir(), 'open-'));
    chmodSync(open, 0o755);
    chownSync(open, sshd.user.uid, sshd.user.gid);
    usual = configuration;
    configuration = { ...configuration, paths: { ...configuration.paths, jobs: `${open}/pgpool-runbook/jobs` } };
  });
  afterEach(() => {
    configuration = usual;
    rmSync(open, { recursive: true });
  });
  const lock = (): string => `${open}/pgpool-runbook/jobs/shop.node0.lock`;
  const expectClosed = (): void => {
    expect(statSync(lock()).mode & 0o077).toBe(0);
    expect(statSync(path.dirname(lock())).mode & 0o077).toBe(0);
  };

  it('cannot open the lock, nor what stands beside it', async () => {
    await act(': >"${LOCK%.lock}.log"');
    expectClosed();
    expect(statSync(`${open}/pgpool-runbook/jobs/shop.node0.log`).mode & 0o077).toBe(0);
  });

  it('cannot open a lock that an earlier version left open to all', async () => {
    execFileSync('sh', [
      '-c',
      'umask 022; mkdir -p "${1%/*}"; echo somebody >"$1"; chown -R "$2" "$0"',
      open,
      lock(),
      sshd.user.name,
    ]);
    await act('true');
    expectClosed();
  });

  const itRoot = process.getuid?.() === 0 ? it : it.skip; // skipped: only root can become somebody else
  itRoot('cannot hold it against an act', async () => {
    await act('true');
    const held = spawnSync('runuser', ['-u', 'nobody', '--', 'flock', '-n', lock(), 'true'], { encoding: 'utf8' });
    expect(held.stderr).toMatch(/Permission denied/);
    expect(held.status).not.toBe(0);
  });
});

it('takes the lock as soon as the other act lets go', async () => {
  const release = await holdLock(lockFile());
  setTimeout(release, 400);
  expect(await locked(({ waitedMs }) => Promise.resolve(waitedMs))).toBeGreaterThan(200);
});

it('is held no longer than its deadline by a worker that neither dies nor goes on', async () => {
  let output = '';
  const holding = ssh.run(sshd.target, scripts.holdLock, {
    args: [lockFile(), '5000', 'somebody', '1200'],
    timeoutMs: 60_000,
    onOutput: (text) => (output += text),
  });
  await waitUntil('it is held', () => output.startsWith('here\nheld\n'));
  expect(isFree()).toBe(false);
  expect((await holding).exitCode).toBe(0);
  expect(isFree()).toBe(true);
});

it('is let go long before its deadline when the worker is gone, and the act knows', async () => {
  const failure = await failureOf(
    locked(async ({ confirm }) => {
      sshd.dropConnections();
      await waitUntil('the lock is free', isFree);
      confirm();
    }),
  );
  expect(failure).toMatchObject({ type: 'Unreachable', nonRetryable: false });
  expect(failure.message).toBe(`node 0 (${sshd.host}): ${lockFile()} was lost, so the act went no further`);
});

it('does not let an act go on after its time', async () => {
  const failure = await failureOf(
    locked(
      async ({ confirm }) => {
        confirm();
        await new Promise((resolve) => setTimeout(resolve, 1001));
        confirm();
      },
      { waitMs: 500, timeoutMs: 1000 },
    ),
  );
  expect(failure.message).toBe(`node 0 (${sshd.host}): the act took longer than 1000 ms and went no further`);
});

describe('where the lock is not required', () => {
  const optional = { isRequired: false, timeoutMs: 2000 };
  const confirm = (lock: NodeLock): Promise<string> => {
    lock.confirm();
    return Promise.resolve('acted');
  };

  it('takes it all the same', async () => {
    expect(await locked(() => Promise.resolve(isFree()), optional)).toBe(false);
    await waitUntil('the lock is free', isFree);
  });

  it('acts without it when nobody listens on the host', async () => {
    await sshd.halt();
    try {
      expect(await locked(confirm, optional)).toBe('acted');
      const failure = await failureOf(locked(confirm));
      expect(failure).toMatchObject({ type: 'Unreachable', nonRetryable: false });
      expect(failure.message).toMatch(/refused/);
    } finally {
      await sshd.start();
    }
  });

  it('acts without it when the host is silent, and no late holder keeps it', async () => {
    await ssh.warm(sshd.target);
    sshd.freeze();
    try {
      expect(await locked(confirm, optional)).toBe('acted');
    } finally {
      sshd.thaw();
    }
    expect((await act('true')).kind).toBe('done');
    await waitUntil('the lock is free', isFree);
  });

  it('acts without it when the connection is lost meanwhile', async () => {
    const acted = locked(
      async (lock) => {
        sshd.dropConnections();
        await waitUntil('the lock is free', isFree);
        return confirm(lock);
      },
      { ...optional, timeoutMs: 20_000 },
    );
    expect(await acted).toBe('acted');
  });

  it('acts without it when the lock cannot be made', async () => {
    writeFileSync(sshd.file('plain'), '');
    const usual = configuration;
    configuration = { ...configuration, paths: { ...configuration.paths, jobs: sshd.file('plain/jobs') } };
    try {
      expect(await locked(confirm, optional)).toBe('acted');
      expect(await failureOf(locked(confirm))).toMatchObject({ type: 'Configuration', nonRetryable: true });
    } finally {
      configuration = usual;
      rmSync(sshd.file('plain'));
    }
  });
});
