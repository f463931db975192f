// removeData against real nodes: emptied in place, never startable half-way, and never unless every guard holds at that moment.
import { chownSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { RemoveDataInput, RemoveDataResult } from '../../../activities/data/remove-data';
import type { RebuildDirectory, RebuildPlan } from '../../../domain/facts/data-directory';
import { writeFor } from '../../../lab/files';
import {
  beside,
  expectRows,
  expectStreaming,
  isRoot,
  linkOut,
  listing,
  listingOfNode,
  makeCopy,
  makeFor,
  mountSmall,
  occupy,
  prepare,
  putBack,
  writeMark,
} from '../data-support';
import { planOf, rebuildId } from '../rebuild-support';
import { type Bed, createTools, dieDuring, failureOf, perform, sleepAfterLook, startBed } from '../support';

let bed: Bed;

beforeAll(async () => {
  bed = await startBed('remove-data', 2);
  await prepare(bed);
});
afterAll(() => bed.down());
beforeEach(() => {
  makeFor(bed, saved());
  makeFor(bed, path.join(saved(), '20261123T101500Z'));
});
afterEach(async () => {
  rmSync(saved(), { recursive: true, force: true });
  await putBack(bed);
});

const data = (): string => bed.node(1).dataDirectory;
const inData = (name: string): string => path.join(data(), name);
const saved = (): string => bed.saved(1);
const job = (): string => path.join(bed.jobs(1), `remove-${rebuildId.toLowerCase()}`);
const planFirst = (linked: Partial<RebuildDirectory>[] = []): RebuildPlan =>
  planOf(data(), { mode: 'removeFirst', linked });
const inputFor = (more: Partial<RemoveDataInput> = {}): RemoveDataInput => ({
  configuration: bed.configuration,
  node: 1,
  primary: 0,
  rebuild: planFirst(),
  ...more,
});
const remove = (more: Partial<RemoveDataInput> = {}): Promise<RemoveDataResult> =>
  perform(bed.tools, 'removeData', inputFor(more));
const everything = (): string => listingOfNode(bed);
// Only root may mount.
const itMounts = isRoot ? it : it.skip; // skipped: needs root

it('empties the data directory in place; what comes there afterwards is never removed', async () => {
  await bed.stop(1);
  expect(await remove()).toEqual({ changed: true, line: `node 1: its data is removed, ${data()} empty` });
  expect(readdirSync(data())).toEqual([]);
  expect(await remove()).toMatchObject({ changed: false });
  rmSync(data(), { recursive: true });
  await makeCopy(bed, planFirst(), { mark: '' });
  const copy = listing(data());
  expect(await remove()).toMatchObject({ changed: false });
  expect(listing(data())).toBe(copy);
  writeMark(bed, data(), rebuildId);
  rmSync(job(), { recursive: true });
  expect(await remove()).toEqual({ changed: false, line: 'node 1: the new copy is there already' });
  await expectStreaming(bed);
});

it('removes what an earlier copy left beside it, or else removes nothing', async () => {
  await bed.stop(1);
  const leftover = `${data()}.pgpool-runbook-rebuild`;
  makeFor(bed, leftover, ['half']);
  const free = await occupy(bed, leftover);
  const before = everything();
  expect((await failureOf(remove())).message).toMatch(/pgpool-runbook-rebuild is in use or is not a plain directory/);
  expect(everything()).toBe(before);
  await free();
  expect(await remove()).toMatchObject({ changed: true });
  expect(existsSync(leftover)).toBe(false);
});

describe('with a linked pg_wal and a tablespace', () => {
  let linked: Partial<RebuildDirectory>[];
  beforeEach(async () => {
    linked = await linkOut(bed);
  });
  const current = (at: number): string => linked[at]!.current!;

  it('empties them, too, and the copy comes into the same places', async () => {
    const rebuild = planFirst(linked);
    makeFor(bed, `${current(1)}.pgpool-runbook-rebuild`, ['half']);
    expect(await remove({ rebuild })).toMatchObject({ changed: true });
    for (const directory of rebuild.directories) expect(readdirSync(directory.current)).toEqual([]);
    expect(existsSync(`${current(1)}.pgpool-runbook-rebuild`)).toBe(false);
    const { facts } = await perform(bed.tools, 'inspectData', { ...inputFor() });
    expect(facts.linked.map((entry) => entry.path)).toEqual(linked.map((entry) => entry.current));
    await makeCopy(bed, rebuild);
    expect(await perform(bed.tools, 'placeData', inputFor({ rebuild }))).toMatchObject({ changed: false });
    await expectStreaming(bed);
    await expectRows(bed, 'in_one', 1000);
  });

  it.each<[string, () => void, RegExp]>([
    [
      'lies in a tablespace',
      () => {
        mkdirSync(path.join(current(1), 'PG_14_202107181'));
      },
      /PG_14_202107181 is not PostgreSQL's own/,
    ],
    [
      'lies beside the WAL',
      () => {
        writeFileSync(path.join(current(0), 'lost+found'), '');
      },
      /lost\+found is not/,
    ],
    [
      'is where pg_wal does not lead',
      () => {
        rmSync(inData('pg_wal'));
        renameSync(current(0), inData('pg_wal'));
        makeFor(bed, current(0), ['mine']);
      },
      /no link of the old data led there/,
    ],
    [
      'is behind a link',
      () => {
        renameSync(current(0), beside(bed, 'wal-real'));
        symlinkSync(beside(bed, 'wal-real'), current(0));
      },
      /not a directory with that real path/,
    ],
  ])('refuses, and touches nothing, when something else %s', async (_, change, says) => {
    change();
    const before = everything();
    const failure = await failureOf(remove({ rebuild: planFirst(linked) }));
    expect(failure).toMatchObject({ type: 'WorldChanged', nonRetryable: true });
    expect(failure.message).toMatch(says);
    expect(everything()).toBe(before);
  });
});

it('cannot be started half-way, and goes on from there', async () => {
  await bed.stop(1);
  // As a node that goes down in the middle leaves it.
  writeFor(bed.layout.user, inData('pgpool-runbook.removing'), `${rebuildId}\n`);
  renameSync(inData('PG_VERSION'), inData('pgpool-runbook.version'));
  await expect(bed.lab.start(1)).rejects.toThrow(/ended|not/);
  rmSync(inData('global/pg_control'));
  rmSync(inData('base'), { recursive: true });
  expect(await remove()).toMatchObject({ changed: true });
  expect(readdirSync(data())).toEqual([]);
});

it.each([
  ['before the job was started', { beforeScript: 'setsid -f' }],
  ['after the job was started', { afterScript: 'setsid -f' }],
])('is completed by another worker when the first is killed %s', async (_, moment) => {
  await bed.stop(1);
  await dieDuring(bed.lab.clusterFile, 'removeData', inputFor(), moment);
  const elsewhere = createTools(bed.lab.clusterFile);
  await perform(elsewhere, 'removeData', inputFor()).finally(() => elsewhere.close());
  expect(readdirSync(data())).toEqual([]);
});

itMounts('empties a mount point, and leaves it mounted', async () => {
  await bed.stop(1);
  renameSync(data(), beside(bed, 'data.away'));
  mountSmall(bed, data(), 100);
  await makeCopy(bed, planFirst(), { mark: '' });
  await expectStreaming(bed);
  await bed.stop(1);
  expect(await remove()).toMatchObject({ changed: true });
  expect(readdirSync(data())).toEqual([]);
  expect(await remove()).toMatchObject({ changed: false });
});

itMounts('refuses, and touches nothing, when something is mounted inside', async () => {
  await bed.stop(1);
  mountSmall(bed, inData('pg_log'), 1);
  makeFor(bed, path.join(inData('pg_log'), 'x'));
  const before = everything();
  expect((await failureOf(remove())).message).toMatch(/something is mounted below/);
  expect(everything()).toBe(before);
});

describe('refuses, and touches nothing, when', () => {
  const wrong: [string, () => void, RegExp][] = [
    [
      'PG_VERSION is missing',
      () => {
        rmSync(inData('PG_VERSION'));
      },
      /holds no PG_VERSION/,
    ],
    [
      'it is of another major version',
      () => {
        writeFileSync(inData('PG_VERSION'), '14\n');
      },
      /not of PostgreSQL 15/,
    ],
    [
      'the control file is empty',
      () => {
        writeFileSync(inData('global/pg_control'), '');
      },
      /cannot be read/,
    ],
    [
      'its configuration is not saved',
      () => {
        rmSync(saved(), { recursive: true });
      },
      /is not saved/,
    ],
    [
      'the path is a symbolic link',
      () => {
        renameSync(data(), beside(bed, 'data.real'));
        symlinkSync(beside(bed, 'data.real'), data());
      },
      /not a directory with that real path/,
    ],
  ];
  // Only root can give a directory away.
  if (isRoot)
    wrong.push([
      'another user owns it',
      () => {
        chownSync(data(), 0, 0);
      },
      /does not belong/,
    ]);

  it.each(wrong)('%s', async (_, change, says) => {
    await bed.stop(1);
    change();
    const before = everything();
    const failure = await failureOf(remove());
    expect(failure).toMatchObject({ type: 'WorldChanged', nonRetryable: true });
    expect(failure.message).toMatch(says);
    expect(everything()).toBe(before);
    expect(existsSync(job())).toBe(false);
  });

  it('PostgreSQL runs there', async () => {
    expect((await failureOf(remove())).message).toMatch(/PostgreSQL processes work in/);
    expect(await bed.ask(1, 'select 1 as alive')).toEqual({ alive: 1 });
  });

  it('an orphan backend works there, but not once it is gone', async () => {
    await bed.stop(1);
    const free = await occupy(bed, data());
    expect(await failureOf(remove())).toMatchObject({ type: 'WorldChanged' });
    await free();
    expect(await remove()).toMatchObject({ changed: true });
  });

  it('the node is the primary, or accepts writes beside it', async () => {
    expect((await failureOf(remove({ node: 0, primary: 0 }))).message).toMatch(/is the primary/);
    expect((await failureOf(remove({ node: 0, primary: 1 }))).message).toMatch(/not the primary any more/);
    await bed.ask(1, 'select pg_promote()');
    expect((await failureOf(remove())).message).toMatch(/node 1 accepts writes, too/);
  });

  it('the worker was suspended after its look', async () => {
    await bed.stop(1);
    const before = everything();
    sleepAfterLook(bed.tools, 60_001);
    const failure = await failureOf(remove()).finally(() => jest.restoreAllMocks());
    expect(failure).toMatchObject({ type: 'Unreachable', nonRetryable: false });
    expect(failure.message).toMatch(/looked at too long ago/);
    expect(everything()).toBe(before);
  });

  it('the primary does not answer', async () => {
    await bed.stop(1);
    await bed.stop(0);
    expect(await failureOf(remove())).toMatchObject({ type: 'Unreachable' });
    expect(existsSync(inData('PG_VERSION'))).toBe(true);
  });

  it('the plan is not removeFirst', async () => {
    await bed.stop(1);
    expect(await failureOf(remove({ rebuild: planOf(data()) }))).toMatchObject({ type: 'Configuration' });
    expect(existsSync(inData('PG_VERSION'))).toBe(true);
  });
});
