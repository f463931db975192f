// saveUnarchivedWal on a real node whose archive is away: what its archiver was still to archive is saved, byte by byte, once.

import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import type { SaveUnarchivedWalResult } from '../../../activities/data/save-unarchived-wal';
import { type Bed, createTools, dieDuring, failureOf, perform, startBed, waitFor } from '../support';

let bed: Bed;

beforeAll(async () => {
  bed = await startBed('unarchived', 2);
  await bed.keep();
});
afterAll(() => bed.down());
afterEach(async () => {
  rmSync(set(), { recursive: true, force: true });
  await bed.reset();
});

const set = (): string => path.join(bed.saved(0), 'unarchived-wal');
const wal = (...names: readonly string[]): string => path.join(bed.node(0).dataDirectory, 'pg_wal', ...names);
const save = (): Promise<SaveUnarchivedWalResult> =>
  perform(bed.tools, 'saveUnarchivedWal', { configuration: bed.configuration, node: 0 });

/** Node 0 as a primary whose archive does not answer, with these many whole segments; then it is killed. */
async function dieUnarchived(segments: number): Promise<string[]> {
  await bed.stop(0);
  appendFileSync(
    path.join(bed.node(0).dataDirectory, 'postgresql.auto.conf'),
    `archive_mode = on\narchive_command = 'false'\n`,
  );
  await bed.lab.start(0);
  for (let segment = 0; segment < segments; segment += 1) {
    await bed.ask(0, `create table t${segment} as select 1`);
    await bed.ask(0, 'select pg_switch_wal()');
  }
  await waitFor(() => Promise.resolve(ready().length >= segments), { what: 'its segments', timeoutMs: 10_000 });
  await bed.stop(0, 'immediate');
  return ready();
}

function ready(): string[] {
  return readdirSync(wal('archive_status'))
    .filter((name) => name.endsWith('.ready'))
    .map((name) => name.replace(/[.]ready$/, ''))
    .sort();
}

it('saves what the archive does not have, says so, and saves nothing twice', async () => {
  const names = await dieUnarchived(3);
  expect(names.length).toBeGreaterThanOrEqual(3);
  const result = await save();
  expect(result).toEqual({
    changed: true,
    files: names.length,
    line: `node 0 holds ${names.length} WAL files that its archive does not have (${names[0]!} to ${names.at(-1)!}); saved in ${set()}: give them to the archive, or point-in-time recovery has a hole there`,
  });
  expect(readdirSync(set()).sort()).toEqual(names);
  for (const name of names) expect(readFileSync(path.join(set(), name)).equals(readFileSync(wal(name)))).toBe(true);
  expect(execFileSync('stat', ['-c', '%a', set()], { encoding: 'utf8' }).trim()).toBe('700');
  expect(await save()).toEqual({ ...result, changed: false });
  expect(existsSync(bed.jobs(0)) ? readdirSync(bed.jobs(0)) : []).toEqual([]);
});

it('a node that archives everything, or nothing, lacks nothing; nor does one without data', async () => {
  await bed.stop(0);
  expect(await save()).toEqual({ changed: false, files: 0, line: 'node 0: its archive lacks none of its WAL' });
  rmSync(bed.node(0).dataDirectory, { recursive: true });
  expect(await save()).toMatchObject({ changed: false, files: 0 });
  expect(existsSync(set())).toBe(false);
});

it('keeps a file of the same name that an earlier life of the node has left', async () => {
  const [name] = await dieUnarchived(1);
  await save();
  writeFileSync(path.join(set(), name!), 'another life');
  utimesSync(path.join(set(), name!), 1_700_000_000, 1_700_000_000);
  expect(await save()).toMatchObject({ changed: true });
  expect(readFileSync(path.join(set(), `${name!}.1700000000`), 'utf8')).toBe('another life');
  expect(readFileSync(path.join(set(), name!)).equals(readFileSync(wal(name!)))).toBe(true);
});

it('says what it cannot save, and where', async () => {
  await dieUnarchived(1);
  writeFileSync(set(), 'in the way');
  const failed = await failureOf(save());
  expect(failed).toMatchObject({ type: 'Unproven', nonRetryable: false });
  expect(failed.message).toContain('cannot save the WAL that its archive lacks to paths.savedConfiguration: ');
  expect(failed.message).toContain(`cannot make ${set()}`);
});

it('does not take a pg_wal that is away for one without anything to archive', async () => {
  await bed.stop(0);
  renameSync(wal(), `${wal()}.away`);
  symlinkSync('/nonexistent', wal());
  const failed = await failureOf(save());
  expect(failed.message).toContain('cannot look at its pg_wal/archive_status');
});

it.each([
  ['before it was begun', { beforeScript: 'setsid -f' }],
  ['after it was begun', { afterScript: 'setsid -f' }],
] as const)('is completed by another worker when the first is killed %s', async (_, moment) => {
  const names = await dieUnarchived(3);
  const input = { configuration: bed.configuration, node: 0 };
  await dieDuring(bed.lab.clusterFile, 'saveUnarchivedWal', input, moment);
  const elsewhere = createTools(bed.lab.clusterFile);
  try {
    expect(await perform(elsewhere, 'saveUnarchivedWal', input)).toMatchObject({ files: names.length });
    expect(readdirSync(set()).sort()).toEqual(names);
  } finally {
    await elsewhere.close();
  }
});
