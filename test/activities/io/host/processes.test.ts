// Processes that are not easily seen: a server under another name of its directory, or one that its own user may not look into.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Values } from '../../../../activities/io/host/answer';
import { parseHostFacts } from '../../../../activities/io/host/host-facts';
import { scripts } from '../../../../activities/io/host/scripts';
import { findTestUser, waitUntil } from '../ssh/sshd';

const isRoot = process.getuid?.() === 0;
const itRoot = isRoot ? it : it.skip; // skipped: needs root
// Where every test is skipped nothing is cleared up either.
const directory = isRoot ? mkdtempSync(join(tmpdir(), 'processes-')) : tmpdir();
const data = join(directory, 'data');
const { uid, gid } = findTestUser();
let server: ChildProcess | undefined;
const bin = join(directory, 'bin');
beforeAll(() => {
  mkdirSync(bin);
  mkdirSync(join(data, 'global'), { recursive: true });
  copyFileSync('/bin/sleep', join(bin, 'postgres'));
  for (const path of [directory, bin, join(bin, 'postgres')]) chmodSync(path, 0o755);
  spawnSync('chown', ['-R', `${uid}:${gid}`, data]);
});
afterEach(async () => {
  server?.kill('SIGKILL');
  await waitUntil('it has ended', () => server?.exitCode !== null || server.signalCode !== null);
  rmSync(join(data, 'postmaster.pid'), { force: true });
  rmSync(join(data, 'standby.signal'), { force: true });
});

const serve = async (cwd: string, prefix: readonly string[]): Promise<number> => {
  const [program, ...args] = [...prefix, join(bin, 'postgres'), '60'];
  const child = spawn(program, args, { cwd, stdio: 'ignore' });
  server = child;
  const name = (): string => readFileSync(`/proc/${String(child.pid)}/comm`, 'utf8');
  await waitUntil('it runs', () => name() === 'postgres\n');
  return child.pid!;
};
const user = ['setpriv', '--reuid', String(uid), '--regid', String(gid), '--clear-groups'];
/** A capability more than the asker's, as AmbientCapabilities= of a unit gives it. */
const capable = [...user, '--inh-caps', '+net_bind_service', '--ambient-caps', '+net_bind_service'];
const asUser = (script: string, args: readonly string[]) =>
  spawnSync(user[0]!, [...user.slice(1), 'sh', '-s', ...args], { input: script, encoding: 'utf8' });
const seen = () => parseHostFacts(new Values(asUser(scripts.look, [data, bin]).stdout), Date.now());
const locked = () => [
  `/tmp/${directory.split('/').at(-1)!}.lock`,
  String(Date.now()),
  String(Date.now() + 20_000),
  'a test',
];
afterAll(() => {
  rmSync(directory, { recursive: true });
  // The lock, and what stands beside it.
  for (const ending of ['.lock', '.log', '.changed']) rmSync(locked()[0]!.replace(/[.]lock$/, ending), { force: true });
});
const fence = () => asUser(scripts.fence, [...locked(), data, bin, 'true', 'no', 'before-promotion']);
const stop = () => asUser(scripts.stop, [...locked(), data, bin, 'true', 'no', 'no']);

itRoot('one that was started through a bind mount is seen, and stopped', async () => {
  const other = join(directory, 'other');
  mkdirSync(other);
  expect(spawnSync('mount', ['--bind', data, other]).status).toBe(0);
  try {
    await serve(other, user);
    expect(seen().processes).toBe('orphans');
    expect(stop().stdout).toContain('how=orphans-killed');
    expect(seen().processes).toBe('none');
  } finally {
    spawnSync('umount', [other]);
  }
});

itRoot(
  'one whose directory nobody may see is never none: unknown, not fenced, not stopped, nothing started beside it',
  async () => {
    await serve(data, capable);
    expect(seen()).toMatchObject({ processes: 'unknown', seen: expect.stringContaining('unknown') as string });
    const start = () => asUser(scripts.start, [...locked(), data, bin, 'true', 'no']);
    for (const { status, stdout, stderr } of [fence(), stop(), start()]) {
      expect({ status, stderr }).toEqual({
        status: 1,
        stderr: expect.stringContaining('may not be looked into') as string,
      });
      expect(stdout).not.toContain('how=');
    }
    expect(server?.exitCode).toBeNull();
  },
);

itRoot('it is known by postmaster.pid, and then fenced or stopped', async () => {
  for (const end of [fence, stop]) {
    const pid = await serve(data, capable);
    writeFileSync(join(data, 'postmaster.pid'), `${pid}\n${data}\n`);
    expect(seen().processes).toBe('running');
    expect(end().stdout).toContain('how=killed');
    expect(seen().processes).toBe('none');
  }
});

itRoot('another program in the directory, and a server of another user, are none', async () => {
  server = spawn('sleep', ['60'], { cwd: data, stdio: 'ignore' });
  expect(seen().processes).toBe('none');
  server.kill('SIGKILL');
  await serve(data, []);
  expect(seen().processes).toBe('none');
});
