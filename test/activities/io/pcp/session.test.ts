// One PCP connection for some questions: what pgpool logs of it, and why it must not stay open.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { PcpFailure, pcp } from '../../../../activities/io/pcp/pcp';
import { detachNode, startPgpool, type TestPgpool } from './pgpool';

const options = { timeoutMs: 3000 };
let pgpool: TestPgpool;
beforeAll(async () => {
  pgpool = await startPgpool();
});
afterAll(() => pgpool.stop());

const ends = (): number => pgpool.log().split('exit with SUCCESS').length;

test('many questions cost pgpool’s log as much as one', async () => {
  const before = ends();
  const session = pcp.openSession(pgpool.target);
  for (let count = 0; count < 50; count += 1)
    expect(await session.readNodeInfo(count % 2, options)).toMatchObject({
      role: count % 2 === 0 ? 'primary' : 'standby',
    });
  session.close();
  await pause(500);
  expect(ends() - before).toBe(1);
});

test('an id that pgpool does not list is rejected, and the next question is answered', async () => {
  const session = pcp.openSession(pgpool.target);
  await expect(session.readNodeInfo(7, options)).rejects.toMatchObject({ kind: 'rejected' });
  expect(await session.readNodeInfo(1, options)).toMatchObject({ role: 'standby' });
  session.close();
});

test('while one is open pgpool cannot restart PCP, and its main process waits for that: so none may stay open', async () => {
  const session = pcp.openSession(pgpool.target);
  expect(await session.readNodeInfo(1, options)).toMatchObject({ status: 'waiting' });
  const restarts = (): number => pgpool.log().split('fork a new PCP child').length;
  const before = restarts();
  await detachNode(pgpool, 1);
  await pause(3000);
  expect(restarts()).toBe(before);
  session.close();
  const closedAt = Date.now();
  while (restarts() === before && Date.now() - closedAt < 5000) await pause(20);
  expect(restarts()).toBe(before + 1);
  expect(await session.readNodeInfo(1, options)).toMatchObject({ status: 'down' });
  session.close();
});

test('a question that is not answered in time closes the connection, and the next one opens another', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'pcp-session-'));
  const sockets: Socket[] = [];
  const server = createServer((socket) => sockets.push(socket.on('error', () => undefined).resume()));
  try {
    const passFile = join(directory, 'pass');
    await writeFile(passFile, '*:*:*:x\n', { mode: 0o600 });
    await new Promise<void>((resolve) => server.listen(0, '127.88.0.2', resolve));
    const { port } = server.address() as AddressInfo;
    const session = pcp.openSession({ name: 'mute', host: '127.88.0.2', pcpPort: port, pcpUser: 'pgpool', passFile });
    for (let count = 1; count <= 2; count += 1) {
      const failure = await session.readNodeInfo(0, { timeoutMs: 150 }).catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(PcpFailure);
      expect(failure).toMatchObject({ kind: 'silent', message: expect.stringContaining('within 150 ms') as string });
      expect(sockets).toHaveLength(count);
    }
    await pause(50);
    expect(sockets.every((socket) => socket.destroyed)).toBe(true);
  } finally {
    server.close();
    await rm(directory, { recursive: true });
  }
});
