// PCP calls against a real pgpool with a real primary and standby, and against peers that misbehave.
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import fc from 'fast-check';
import {
  PcpFailure,
  type PcpNodeInfo,
  type PcpTarget,
  readNodeCount,
  readNodeInfo,
  readSetting,
  requestAttach,
  requestDetach,
  requestPromote,
} from '../../../../activities/io/pcp/pcp';
import { pcpPassword, startPgpool, type TestPgpool } from './pgpool';

const options = { timeoutMs: 3000 };

async function until(
  isTrue: () => boolean | Promise<boolean>,
  describe: () => string = () => isTrue.toString(),
): Promise<void> {
  const deadline = Date.now() + 8000;
  while (!(await isTrue())) {
    if (Date.now() > deadline) throw new Error(`in vain for 8 s: ${describe()}`);
    await pause(20);
  }
}

/** Asks until the answer is the awaited one; retryable failures are expected, as pgpool restarts PCP after each change. */
async function pollInfo(
  target: PcpTarget,
  node: number,
  isAwaited: (info: PcpNodeInfo) => boolean,
): Promise<PcpNodeInfo> {
  let last: PcpNodeInfo | PcpFailure | undefined;
  const isNow = async (): Promise<boolean> => {
    last = await readNodeInfo(target, node, options).catch(failureFrom);
    if (last instanceof PcpFailure && !last.isRetryable) throw last;
    return !(last instanceof PcpFailure) && isAwaited(last);
  };
  await until(isNow, () => JSON.stringify(last));
  return last as PcpNodeInfo;
}

function failureFrom(error: unknown): PcpFailure {
  if (error instanceof PcpFailure) return error;
  throw error;
}

async function failureOf(call: Promise<unknown>): Promise<PcpFailure> {
  const result = await call.catch(failureFrom);
  if (result instanceof PcpFailure) return result;
  throw new Error(`succeeded with ${JSON.stringify(result)}`);
}

describe('a real pgpool', () => {
  let pgpool: TestPgpool;
  let target: PcpTarget;

  beforeAll(async () => {
    pgpool = await startPgpool();
    ({ target } = pgpool);
  }, 30_000);
  afterAll(() => pgpool.stop(), 20_000);

  /** Calls that do not poll could be cut by the restart that follows each change of a node. */
  const restartOfPcp = (count: number): Promise<void> =>
    until(() => pgpool.log().split('fork a new PCP child').length > count);

  test('counts the nodes and describes each', async () => {
    expect(await readNodeCount(target, options)).toBe(2);
    // Each second pgpool's check clears these two before it fills them.
    const isChecked = (info: PcpNodeInfo): boolean =>
      info.replicationState === 'streaming' && info.replicationDelay === '0';
    const standby = await pollInfo(target, 1, isChecked);
    const shared = { status: 'waiting', isQuarantined: false, pgStatus: 'up', replicationDelay: '0' };
    expect(standby).toMatchObject({ ...pgpool.nodes[1], ...shared, role: 'standby', pgRole: 'standby', weight: 0.25 });
    expect(standby).toMatchObject({ replicationState: 'streaming', replicationSyncState: 'async' });
    expect(Math.abs(Date.now() - Date.parse(standby.statusChangedAt))).toBeLessThan(60_000);
    const primary = await readNodeInfo(target, 0, options);
    expect(primary).toMatchObject({ ...pgpool.nodes[0], ...shared, role: 'primary', pgRole: 'primary', weight: 0.75 });
  });

  test('says what a parameter is now, and nothing of one that it does not have', async () => {
    expect(await readSetting(target, 'search_primary_node_timeout', options)).toBe('1');
    expect(await readSetting(target, 'no_such_parameter', options)).toBeNull();
  });

  test('says what its own pcp_node_info prints', async () => {
    const args = ['-w', '-h', target.host, '-p', String(target.pcpPort), '-U', target.pcpUser, '-n', '1'];
    const env = { ...process.env, PCPPASSFILE: target.passFile };
    let words: string[] = [];
    let info!: PcpNodeInfo;
    const isChecked = async (): Promise<boolean> => {
      const { stdout } = await promisify(execFile)('pcp_node_info', args, { env, timeout: 5000 });
      words = stdout.trim().split(' ');
      info = await readNodeInfo(target, 1, options);
      return [words[9], info.replicationState].every((state) => state !== '' && state !== 'none');
    };
    // Each second pgpool's check clears the state before it fills it.
    await until(isChecked, () => words.join(' '));
    const [host, port, , weight, status, pgStatus, role, pgRole, delay, state, syncState] = words;
    expect([host, Number(port), status, pgStatus, role]).toEqual([
      info.host,
      info.port,
      info.status,
      info.pgStatus,
      info.role,
    ]);
    expect([pgRole, delay, state, syncState]).toEqual([
      info.pgRole,
      info.replicationDelay,
      info.replicationState,
      info.replicationSyncState,
    ]);
    expect(Number(weight)).toBeCloseTo(info.weight, 6);
  });

  test('refuses a wrong password and an unknown user, and neither is worth a retry', async () => {
    const passFile = join(pgpool.directory, 'wrong');
    await writeFile(passFile, '*:*:*:not-the-password\n', { mode: 0o600 });
    for (const pcpUser of ['pgpool', 'nobody']) {
      const failure = await failureOf(readNodeCount({ ...target, passFile, pcpUser }, options));
      expect(failure).toMatchObject({ kind: 'authentication', isRetryable: false });
      expect(failure.message).toMatch(
        /node count at pgpool test \(PCP at 127\.88\.0\.1:\d+\): FATAL: authentication failed/,
      );
      expect(String(failure.stack)).not.toContain('not-the-password');
    }
  });

  test('rejects ids that pgpool.conf does not list, and attaches none of them', async () => {
    for (const call of [requestPromote, requestAttach, requestDetach, readNodeInfo]) {
      expect(await failureOf(call(target, 7, options))).toMatchObject({ kind: 'rejected', isRetryable: false });
    }
    expect(pgpool.log()).not.toContain('received failback request');
  });

  test('rejects the promotion of the node that is its primary already', async () => {
    const failure = await failureOf(requestPromote(target, 0, options));
    expect(failure).toMatchObject({ kind: 'rejected' });
    expect(failure.message).toMatch(/promote of node 0 .*FATAL: .*already primary/);
  });

  test('detaches a node and attaches it again; a second detach is rejected', async () => {
    await requestDetach(target, 1, options);
    await pollInfo(target, 1, (info) => info.status === 'down');
    await restartOfPcp(1);
    expect((await failureOf(requestDetach(target, 1, options))).kind).toBe('rejected');
    await requestAttach(target, 1, options);
    const attached = await pollInfo(target, 1, (info) => info.status !== 'down');
    expect(attached).toMatchObject({ status: 'waiting', pgStatus: 'up' });
    await restartOfPcp(2);
  }, 15_000);

  test('takes a promoted node for the primary without promoting PostgreSQL', async () => {
    await requestPromote(target, 1, options);
    await pollInfo(target, 0, (info) => info.status === 'down');
    expect(await pollInfo(target, 1, (info) => info.role === 'primary')).toMatchObject({ pgRole: 'standby' });
    expect(pgpool.log()).toContain('promote option: n');
    await restartOfPcp(3);
  }, 15_000);

  test('closes each connection properly, so that pgpool logs no lost client', async () => {
    await readNodeCount(target, options);
    await readNodeInfo(target, 0, options);
    expect(pgpool.log()).not.toMatch(/unable to read from|broken pipe|connection reset/i);
  });

  test('is not mistaken for PCP on its other ports', async () => {
    const { host, port } = pgpool.nodes[0]!;
    const failure = await failureOf(
      readNodeCount({ ...target, host, pcpPort: port, passFile: await anyPassFile() }, options),
    );
    expect(['lost', 'protocol']).toContain(failure.kind);
  });

  test('still answers when every node is dead and down', async () => {
    await pgpool.stopNodes();
    expect(await readNodeInfo(target, 1, options)).toMatchObject({
      status: 'waiting',
      pgStatus: 'down',
      pgRole: 'unknown',
    });
    await requestDetach(target, 1, options);
    for (const node of [0, 1]) await pollInfo(target, node, (info) => info.status === 'down');
  }, 15_000);
});

let directory: string;
/** A file that has a password for everybody. */
const anyPassFile = async (): Promise<string> => {
  const file = join(directory, 'any');
  await writeFile(file, `*:*:*:${pcpPassword.replace(/[\\:]/g, '\\$&')}\n`, { mode: 0o600 });
  return file;
};
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'pcp-test-'));
});
afterAll(() => rm(directory, { recursive: true }));

const loginReplies = 'm\x00\x00\x00\x08saltr\x00\x00\x00\x15AuthenticationOK\x00';

describe('a peer that is no pgpool', () => {
  let server: Server;
  let onConnection: (socket: Socket) => void;
  let target: PcpTarget;

  beforeAll(async () => {
    server = createServer((socket) => {
      socket.on('error', () => undefined).resume();
      onConnection(socket);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.88.0.2', resolve));
    const { port } = server.address() as AddressInfo;
    target = { name: 'fake', host: '127.88.0.2', pcpPort: port, pcpUser: 'pgpool', passFile: await anyPassFile() };
  });
  afterAll(() => new Promise((resolve) => server.close(resolve)));

  test('and accepts but says nothing is silent within the time given, and is hung up on', async () => {
    const closed = new Promise((resolve) => {
      onConnection = (socket) => socket.once('close', resolve);
    });
    const startedAt = performance.now();
    const failure = await failureOf(readNodeInfo(target, 0, { timeoutMs: 200 }));
    expect(performance.now() - startedAt).toBeLessThan(2000);
    expect(failure).toMatchObject({ kind: 'silent', isRetryable: true });
    expect(failure.message).toContain('within 200 ms');
    await closed;
  });

  test('and drips bytes for ever is silent after the total time, not after each byte', async () => {
    onConnection = (socket) => {
      socket.write('N\x00\x00\xff\x00');
      const drip = setInterval(() => socket.write('x'), 10);
      socket.once('close', () => {
        clearInterval(drip);
      });
    };
    expect((await failureOf(readNodeCount(target, { timeoutMs: 150 }))).kind).toBe('silent');
  });

  test('and hangs up is lost, which is worth a retry', async () => {
    onConnection = (socket) => socket.end();
    expect(await failureOf(readNodeCount(target, options))).toMatchObject({ kind: 'lost', isRetryable: true });
    onConnection = (socket) => socket.resetAndDestroy();
    expect(await failureOf(readNodeCount(target, options))).toMatchObject({ kind: 'lost', isRetryable: true });
  });

  test('and sends anything gets a value or a PcpFailure without the password, in time', async () => {
    const login = Buffer.from(loginReplies, 'latin1');
    const reply = fc.oneof(
      fc.uint8Array({ maxLength: 64 }),
      fc
        .tuple(fc.constantFrom('m', 'r', 'l', 'i', 'c', 'd', 'E', 'N'), fc.uint8Array({ maxLength: 30 }))
        .map(([type, body]) => {
          return Buffer.from([type.charCodeAt(0), 0, 0, 0, body.length + 4, ...body]);
        }),
    );
    const property = fc.asyncProperty(reply, fc.boolean(), fc.boolean(), async (bytes, isLoggedIn, hangsUp) => {
      onConnection = (socket) => {
        socket.write(isLoggedIn ? Buffer.concat([login, bytes]) : bytes);
        if (hangsUp) socket.end();
      };
      const startedAt = performance.now();
      const failure = await failureOf(readNodeInfo(target, 0, { timeoutMs: 60 }));
      expect(failure.message).not.toContain(pcpPassword);
      expect(performance.now() - startedAt).toBeLessThan(2000);
    });
    await fc.assert(property, { numRuns: 60 });
  });

  test('but answers in the one message of pgpool 4.2 gives a node, without waiting for more', async () => {
    const fields = ['127.0.0.1', '5433', '2', '0', '2147483647.000000', '2', '0', '', '', '1795422011'];
    const body = ['CommandComplete', ...fields, ''].join('\0');
    onConnection = (socket) =>
      socket.write(Buffer.from(`${loginReplies}i\x00\x00\x00${String.fromCharCode(body.length + 4)}${body}`, 'latin1'));
    expect(await readNodeInfo(target, 0, options)).toMatchObject({
      ...{ host: '127.0.0.1', port: 5433, status: 'up', isQuarantined: false, weight: 1, role: 'primary' },
      ...{ pgStatus: 'unknown', pgRole: 'unknown', replicationState: '' },
    });
  });

  test('and is not there at all is refused, which is worth a retry', async () => {
    const failure = await failureOf(readNodeCount({ ...target, host: '127.88.0.3' }, options));
    expect(failure).toMatchObject({ kind: 'refused', isRetryable: true });
    expect(failure.message).toContain('is pgpool running');
  });

  test('and has no such name is silent', async () => {
    expect((await failureOf(readNodeCount({ ...target, host: 'no-such-host.invalid' }, options))).kind).toBe('silent');
  });

  test('is not even called without a password or without time', async () => {
    onConnection = () => {
      throw new Error('called');
    };
    const passFile = join(directory, 'none');
    expect((await failureOf(readNodeCount({ ...target, passFile }, options))).kind).toBe('pass-file');
    expect((await failureOf(readNodeCount(target, { timeoutMs: -5 }))).kind).toBe('silent');
  });
});
