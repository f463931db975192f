// readHostFacts and probeFrom over a real sshd: what is PostgreSQL and what only looks like it, and whose silence proves nothing.
import { spawn } from 'node:child_process';
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Values } from '../../../../activities/io/host/answer';
import { classifyProbe, parseHostFacts, probeFrom, readHostFacts } from '../../../../activities/io/host/host-facts';
import type { HostFacts } from '../../../../domain/facts/facts';
import { type Bed, startBed, waitFor } from '../../support';

let bed: Bed;

beforeAll(async () => {
  bed = await startBed('host', 2);
});
afterAll(() => bed.down());

const read = (dataDirectory = bed.node(0).dataDirectory, timeoutMs = 5000): Promise<HostFacts> =>
  readHostFacts(bed.tools, bed.configuration, { ...bed.node(0), dataDirectory }, timeoutMs);
const probe = (more: { port?: number; passFile?: string; bin?: string; timeoutMs?: number } = {}) => {
  const postgres = { ...bed.configuration.postgres, ...(more.passFile && { passFile: more.passFile }) };
  const configuration = { ...bed.configuration, postgres: { ...postgres, ...(more.bin && { bin: more.bin }) } };
  const about = { ...bed.node(0), ...(more.port && { port: more.port }) };
  return probeFrom(bed.tools, configuration, bed.node(0), about, more.timeoutMs ?? 5000);
};

it('finds the processes through a symbolic link to the data directory, too', async () => {
  const link = path.join(bed.layout.directory, 'linked');
  symlinkSync(bed.node(0).dataDirectory, link);
  for (const directory of [bed.node(0).dataDirectory, link]) {
    expect(await read(directory)).toMatchObject({ ssh: 'answered', processes: 'running', controlFile: null });
  }
});

it('proves nothing about a data directory that is missing or belongs to somebody else', async () => {
  const missing = path.join(bed.layout.directory, 'missing');
  expect(await read(missing)).toMatchObject({ processes: 'unknown', seen: `no data directory at ${missing}` });
  expect(await read('/etc')).toMatchObject({ processes: 'unknown', controlFile: null });
  expect((await read('/etc')).seen).toMatch(/^\/etc belongs to another user than /);
});

it('sees an empty directory of ours as one without processes, data or control file', async () => {
  expect(await read(bed.configuration.paths.jobs)).toMatchObject({
    processes: 'none',
    hasDataDirectory: false,
    controlFile: null,
  });
});

it('says that there is no data directory only where that is certain', async () => {
  const within = (...parts: string[]): string => path.join(bed.layout.directory, ...parts);
  const hasData = async (directory: string): Promise<boolean | null> => (await read(directory)).hasDataDirectory;
  expect(await hasData(bed.node(0).dataDirectory)).toBe(true);
  expect(await hasData(within('missing'))).toBe(false);
  expect(await hasData(within('missing', 'too', 'main'))).toBe(false);
  // The disk behind a dangling link may only not be mounted.
  symlinkSync(within('nowhere'), within('dangling'));
  expect(await hasData(within('dangling'))).toBeNull();
  expect(await hasData(within('dangling', 'main'))).toBeNull();
  expect(await hasData('/etc')).toBeNull();
});

it('knows the closed directory of another user from a missing one', async () => {
  const closed = path.join(bed.layout.directory, 'closed');
  mkdirSync(closed, { mode: 0o700 });
  // Without root there is no other user to make it for.
  const expected = process.getuid?.() === 0 ? null : false;
  expect((await read(path.join(closed, 'main'))).hasDataDirectory).toBe(expected);
});

it('misses a control file as it misses the directory', async () => {
  const file = path.join(bed.node(1).dataDirectory, 'global', 'pg_control');
  renameSync(file, `${file}.aside`);
  const facts = await read(bed.node(1).dataDirectory);
  renameSync(`${file}.aside`, file);
  expect(facts).toMatchObject({ processes: 'running', hasDataDirectory: false });
});

it.each([
  ['before-promotion\n', 'before-promotion'],
  ['after-return', 'after-return'],
  ['', 'none'],
  ['before-promotion, says somebody\n', 'none'],
])('reads the mark of a fence from standby.signal: %j is %s', async (text, fenceMark) => {
  const file = path.join(bed.node(0).dataDirectory, 'standby.signal');
  expect(await read()).toMatchObject({ hasStandbySignal: false, fenceMark: 'none' });
  writeFileSync(file, text);
  const facts = await read();
  rmSync(file);
  expect(facts).toMatchObject({ hasStandbySignal: true, fenceMark });
});

it('is a fact, not an error, when sshd does not answer in time', async () => {
  await bed.lab.freeze(0, { withSsh: true });
  const startedAt = Date.now();
  expect(await read(undefined, 300)).toMatchObject({ ssh: 'silent', processes: 'unknown', clockOffsetMs: null });
  expect(Date.now() - startedAt).toBeLessThan(1500);
  bed.lab.thaw(0);
  expect(await read()).toMatchObject({ ssh: 'answered', processes: 'running' });
});

it('probes another node from this one', async () => {
  expect(await probe()).toEqual({
    ...{ from: 0, about: 0, answer: 'answered' },
    ...{ isInRecovery: false, seen: 'answers, accepts writes' },
  });
  expect(await probe({ port: 1 })).toMatchObject({ answer: 'refused' });
});

it('does not take its own want of a password or of psql for the other node’s fault', async () => {
  expect(await probe({ passFile: '/nowhere/pass' })).toMatchObject({ answer: 'unknown' });
  expect(await probe({ bin: '/nowhere' })).toMatchObject({ answer: 'unknown' });
});

it('finds a frozen server silent, within its time', async () => {
  await probe();
  await bed.lab.freeze(0);
  let facts = await probe({ timeoutMs: 2000 });
  // A stalled machine may have left no time for psql's end; the server stays frozen.
  for (let again = 0; again < 2 && facts.answer === 'unknown'; again++) facts = await probe({ timeoutMs: 2000 });
  expect(facts).toMatchObject({ answer: 'silent', seen: 'no answer in time' });
  bed.lab.thaw(0);
});

it('does not take a shell in the data directory for PostgreSQL, and reads the control file when it is stopped', async () => {
  await bed.stop(0);
  const shell = spawn('/bin/sh', ['-c', 'echo here; read line'], {
    cwd: bed.node(0).dataDirectory,
    stdio: ['pipe', 'pipe', 'ignore'],
    ...(process.getuid?.() === 0 && { uid: bed.layout.user.uid, gid: bed.layout.user.gid }),
  });
  await new Promise((resolve) => shell.stdout.once('data', resolve));
  const { controlFile, ...facts } = await read();
  shell.stdin.end();
  expect(facts).toMatchObject({ processes: 'none', hasStandbySignal: false });
  expect(controlFile).toMatchObject({ state: 'shut down', checkpoint: { timeline: 1 } });
  expect(controlFile!.systemIdentifier).toMatch(/^\d{19}$/);
  expect(controlFile!.checkpoint.lsn).toMatch(/^0\/[0-9A-F]+$/);
});

it('tells a server in recovery', async () => {
  const goOn = await bed.startInRecovery(0);
  expect(await probe()).toMatchObject({ answer: 'recovering' });
  expect(await read()).toMatchObject({ processes: 'running', hasStandbySignal: true });
  await goOn();
  await waitFor(async () => (await probe()).answer === 'answered', { what: 'an answer', timeoutMs: 5000 });
});

it('is refused when nothing listens on the host', async () => {
  await bed.lab.killHost(0);
  expect(await read()).toMatchObject({ ssh: 'refused', processes: 'unknown' });
  expect(await probe()).toMatchObject({ answer: 'unknown', seen: expect.stringMatching(/^no probe: ssh /) as string });
});

it.each([
  ['1\nexit=0\n', 'answered'],
  ['exit=124\n', 'silent'],
  ['exit=137\n', 'silent'],
  ['psql: error: connection to server at "h" failed: No route to host\nexit=2', 'silent'],
  ['psql: error: connection to server at "h" failed: timeout expired\nexit=2', 'silent'],
  ['psql: error: connection to server at "h" failed: Connection refused\nexit=2', 'refused'],
  ['psql: error: ... FATAL:  the database system is starting up\nexit=2', 'recovering'],
  ['psql: error: ... FATAL:  sorry, too many clients already\nexit=2', 'rejected'],
  ['psql: error: ... fe_sendauth: no password supplied\nexit=2', 'unknown'],
  ['sh: 1: /x/psql: not found\nexit=127', 'unknown'],
  ['', 'unknown'],
] as const)('classifies %j as %s', (output, answer) => {
  expect(classifyProbe(new Values(output.replace(/^(?!exit=)/gm, 'said='))).answer).toBe(answer);
});

it('reads only what is there: half a control file is none, a strange clock is none', () => {
  const values = new Values('processes=none\nstate=shut down\nidentifier=7\nclock=12:30\n');
  expect(parseHostFacts(values, 0)).toEqual({
    ssh: 'answered',
    seen: 'host answers',
    processes: 'none',
    clockOffsetMs: null,
    hasDataDirectory: null,
    hasStandbySignal: null,
    neededSettings: null,
    synchronousStandbyNames: null,
    walTimeline: null,
    fenceMark: null,
    controlFile: null,
  });
  expect(parseHostFacts(new Values('clock=1700000000500\nprocesses=many\n'), 1_700_000_000_000)).toMatchObject({
    clockOffsetMs: 500,
    processes: 'unknown',
  });
});
