// verifyBackup against real copies: a good one is marked, a wrong one is removed with its jobs, and what says nothing about the copy keeps it.
import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  truncateSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import type { ClusterConfiguration } from '../../../domain/facts/cluster';
import type { VerifyBackupInput, VerifyBackupResult } from '../../../activities/data/verify-backup';
import { makeDirectoryFor } from '../../../lab/files';
import { planOf, rebuildId } from '../rebuild-support';
import { type Bed, createTools, dieDuring, failureOf, perform, startBed } from '../support';

let bed: Bed;

beforeAll(async () => {
  bed = await startBed('verify-backup', 2);
});
afterAll(() => bed.down());
beforeEach(() => copy());
afterEach(() => {
  for (const directory of [fresh(), jobs()]) rmSync(directory, { recursive: true, force: true });
});

const data = (): string => bed.node(1).dataDirectory;
const fresh = (): string => `${data()}.pgpool-runbook-rebuild`;
const inFresh = (name: string): string => path.join(fresh(), name);
const mark = (): string => inFresh('pgpool-runbook.rebuild');
const jobs = (): string => bed.jobs(1);
const verifyJob = (): string => path.join(jobs(), `verify-${rebuildId.toLowerCase()}`);

const inputFor = (more: Partial<VerifyBackupInput> = {}): VerifyBackupInput => ({
  configuration: bed.configuration,
  node: 1,
  rebuild: planOf(data()),
  ...more,
});
const verify = (more: Partial<VerifyBackupInput> = {}): Promise<VerifyBackupResult> =>
  perform(bed.tools, 'verifyBackup', inputFor(more));
const copy = () => perform(bed.tools, 'baseBackup', { ...inputFor(), primary: 0 });

function expectMarked(): void {
  expect(readFileSync(mark(), 'utf8').trim()).toBe(rebuildId);
  expect(existsSync(`${mark()}.new`)).toBe(false);
}

it('marks a copy only once it cannot be started as a primary', async () => {
  rmSync(inFresh('standby.signal'));
  expect(await verify()).toMatchObject({ changed: true });
  expect(existsSync(inFresh('standby.signal'))).toBe(true);
});

it('marks a good copy; the second time it is known to be good', async () => {
  expect(await verify()).toEqual({
    changed: true,
    line: `node 1: the fresh copy is what its source sent, file by file (${fresh()})`,
  });
  expectMarked();
  expect(await verify()).toEqual({ changed: false, line: 'node 1: the fresh copy was verified before' });
  expect(await copy()).toMatchObject({ changed: false });
});

/** One bit of one file, in the middle, its size unchanged. */
function flip(file: string): void {
  const descriptor = openSync(file, 'r+');
  const byte = Buffer.alloc(1);
  const at = Math.floor(statSync(file).size / 2);
  readSync(descriptor, byte, 0, 1, at);
  byte[0]! ^= 1;
  writeSync(descriptor, byte, 0, 1, at);
  closeSync(descriptor);
}

const largestTable = (): string => {
  const directory = readdirSync(inFresh('base'))[0]!;
  const files = readdirSync(inFresh(`base/${directory}`)).map((name) => `base/${directory}/${name}`);
  return files.sort((left, right) => statSync(inFresh(right)).size - statSync(inFresh(left)).size)[0]!;
};

it.each([
  ['with one bit flipped', flip, /checksum mismatch for file "base\//],
  [
    'with a file cut short',
    (file: string) => {
      truncateSync(file, 100);
    },
    /"base\/[^"]*" has size 100 on disk/,
  ],
  [
    'with a file missing',
    (file: string) => {
      rmSync(file);
    },
    /"base\/[^"]*" is present in the manifest but not on disk/,
  ],
])('removes a copy %s, and its jobs, so that the next one is made anew', async (_, damage, seen) => {
  damage(inFresh(largestTable()));
  const failure = await failureOf(verify());
  expect(failure).toMatchObject({ type: 'WorldChanged' });
  expect(failure.message).toMatch(/^node 1: the copy at .* is wrong and was removed: pg_verifybackup: error: /);
  expect(failure.message).toMatch(seen);
  expect(existsSync(fresh())).toBe(false);
  expect(readdirSync(jobs())).toEqual([]);
  expect(await copy()).toMatchObject({ changed: true });
  expect(await verify()).toMatchObject({ changed: true });
});

it('removes a copy whose WAL is damaged', async () => {
  const segment = readdirSync(inFresh('pg_wal')).find((name) => /^[0-9A-F]{24}$/.test(name))!;
  const descriptor = openSync(inFresh(`pg_wal/${segment}`), 'r+');
  writeSync(descriptor, Buffer.alloc(1024 * 1024), 0, 1024 * 1024, 0);
  closeSync(descriptor);
  const failure = await failureOf(verify());
  expect(failure.message).toMatch(/is wrong and was removed: .*WAL parsing failed/s);
  expect(existsSync(fresh())).toBe(false);
});

it('is completed by another worker when the first is killed half-way', async () => {
  await dieDuring(bed.lab.clusterFile, 'verifyBackup', inputFor(), { afterScript: 'setsid -f' });
  const elsewhere = createTools(bed.lab.clusterFile);
  const { line } = await perform(elsewhere, 'verifyBackup', inputFor());
  await elsewhere.close();
  expect(line).toMatch(/^node 1: the fresh copy (is what its source sent|was verified before)/);
  expectMarked();
});

it('is repeated when its job was lost, also between the verdict and the mark', async () => {
  makeDirectoryFor(bed.layout.user, verifyJob());
  writeSync(openSync(`${mark()}.new`, 'w'), 'half');
  const failure = await failureOf(verify());
  expect(failure).toMatchObject({ type: 'Unproven', nonRetryable: false });
  expect(failure.message).toMatch(/cannot verify the fresh copy at .*: its job was lost half-way$/);
  expect(await verify()).toMatchObject({ changed: true });
  expectMarked();
});

it('keeps a copy that it cannot verify for want of a program', async () => {
  const configuration: ClusterConfiguration = {
    ...bed.configuration,
    postgres: { ...bed.configuration.postgres, bin: '/nowhere' },
  };
  const failure = await failureOf(verify({ configuration }));
  expect(failure).toMatchObject({ type: 'Configuration' });
  expect(failure.message).toMatch(
    /cannot verify the fresh copy at .*: \/nowhere\/pg_verifybackup cannot be run: correct postgres\.bin/,
  );
  expect(await verify()).toMatchObject({ changed: true });
});

it('verifies nothing but a complete copy of this rebuild', async () => {
  const rebuild = planOf(data(), { rebuildId: '20261124T101530Z-00000000' });
  const failure = await failureOf(verify({ rebuild }));
  expect(failure).toMatchObject({ type: 'WorldChanged' });
  expect(failure.message).toMatch(/there is no complete base backup at .* to verify/);
  expect(existsSync(mark())).toBe(false);
  expect(existsSync(inFresh('backup_manifest'))).toBe(true);
});
