// clearReplacedData against real nodes: after a rebuild only what policy keeps is left, and nothing that is not ours is ever removed.
import {
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import type { ClearReplacedDataInput, ClearReplacedDataResult } from '../../../activities/data/clear-replaced-data';
import type { ClusterConfiguration, PolicyConfiguration } from '../../../domain/facts/cluster';
import type { RebuildPlan } from '../../../domain/facts/data-directory';
import { writeFor } from '../../../lab/files';
import {
  beside,
  expectRows,
  expectStreaming,
  linkOut,
  listing,
  makeCopy,
  makeFor,
  occupy,
  prepare,
  putBack,
  readMark,
  writeMark,
} from '../data-support';
import { planOf, rebuildId } from '../rebuild-support';
import { type Bed, createTools, dieDuring, failureOf, perform, startBed } from '../support';

let bed: Bed;

beforeAll(async () => {
  bed = await startBed('clear-data', 2);
  await prepare(bed);
});
afterAll(() => bed.down());
afterEach(() => putBack(bed));

const data = (): string => bed.node(1).dataDirectory;
const aside = (id = rebuildId): string => `${data()}.replaced-${id}`;
const leftover = (): string => `${data()}.pgpool-runbook-rebuild`;
const jobs = (): string => bed.jobs(1);
const olderId = '20261101T000000Z-ffffffff';
const newerId = '20261124T000000Z-ffffffff';

const withPolicy = (replacedData: PolicyConfiguration['replacedData']): ClusterConfiguration => ({
  ...bed.configuration,
  policy: { ...bed.configuration.policy, replacedData },
});
const inputFor = (more: Partial<ClearReplacedDataInput> = {}): ClearReplacedDataInput => ({
  configuration: bed.configuration,
  node: 1,
  primary: 0,
  rebuild: planOf(data()),
  ...more,
});
const clear = (more: Partial<ClearReplacedDataInput> = {}): Promise<ClearReplacedDataResult> =>
  perform(bed.tools, 'clearReplacedData', inputFor(more));
/** Of the node's directory, the server's own things left out. */
const names = (): string[] =>
  readdirSync(path.dirname(data()))
    .filter((name) => /^(data|wal|ts-own)/.test(name))
    .sort();

/** A rebuild up to here: node 1 streams from its copy, which is marked. */
async function replace(rebuild: RebuildPlan = planOf(data())): Promise<void> {
  await makeCopy(bed, rebuild);
  for (const verb of ['setDataAside', 'placeData'] as const) await perform(bed.tools, verb, { ...inputFor(), rebuild });
  await expectStreaming(bed);
}

/** Something that looks like data that a rebuild has set aside. */
function makeAside(id: string, files: readonly string[] = ['PG_VERSION']): string {
  makeFor(bed, aside(id), files);
  return aside(id);
}

describe('once the node streams', () => {
  beforeEach(async () => {
    await bed.stop(1);
    await replace();
  });

  it('keeps the replaced data, says where, and removes everything else of ours; the second time nothing is left', async () => {
    makeAside(olderId);
    makeFor(bed, leftover(), ['half']);
    const restored = path.join(data(), 'pgpool-runbook.restored');
    writeFor(bed.layout.user, restored, `${rebuildId}\n`);
    const kept = listing(aside());
    const result = await clear();
    expect(result).toMatchObject({ changed: true, kept: aside() });
    expect(result.line).toMatch(
      /^node 1: the replaced data is kept in .*, [0-9.]+ MB; remove it when you no longer need it; removed .*$/,
    );
    expect(names()).toEqual(['data', path.basename(aside())]);
    expect(listing(aside())).toBe(kept);
    expect(readMark(data())).toBeNull();
    expect(existsSync(restored)).toBe(false);
    expect(existsSync(jobs())).toBe(false);
    expect(existsSync(`${jobs()}.links`)).toBe(false);
    expect(await clear()).toEqual({ changed: false, line: 'node 1: nothing is left to clear up', kept: null });
    expect(listing(aside())).toBe(kept);
    expect(await bed.ask(1, 'select pg_is_in_recovery() as standby')).toEqual({ standby: true });
  });

  it('removes it with policy remove', async () => {
    makeAside(olderId);
    const result = await clear({ configuration: withPolicy('remove') });
    expect(result).toMatchObject({ changed: true, kept: null });
    expect(result.line).toBe(`node 1: removed ${aside(olderId)}, ${aside()}`);
    expect(names()).toEqual(['data']);
  });

  it('never touches what is not ours', async () => {
    makeFor(bed, `${data()}.replaced-by-hand`, ['PG_VERSION']);
    makeFor(bed, `${data()}.replaced-${olderId}.mine`, ['PG_VERSION']);
    makeFor(bed, beside(bed, 'data.old'), ['PG_VERSION']);
    symlinkSync(beside(bed, 'data.old'), aside('20261102T000000Z-ffffffff'));
    writeFileSync(aside('20261103T000000Z-ffffffff'), 'a file');
    // Made by this process: only root's is another user's.
    if (process.getuid?.() === 0) mkdirSync(aside('20261104T000000Z-ffffffff'));
    makeAside('20261105T000000Z-ffffffff', ['notes.txt']);
    makeAside(newerId);
    const before = names();
    await clear({ configuration: withPolicy('remove') });
    expect(names()).toEqual(before.filter((name) => name !== path.basename(aside())));
    expect(existsSync(beside(bed, 'data.old/PG_VERSION'))).toBe(true);
  });

  it('keeps the last data that served rather than a copy that failed', async () => {
    renameSync(aside(), aside(olderId));
    const failed = makeAside('20261110T000000Z-ffffffff', ['PG_VERSION', 'backup_label']);
    writeMark(bed, failed, '20261110T000000Z-ffffffff');
    expect(await clear()).toMatchObject({ kept: aside(olderId) });
    expect(names()).toEqual(['data', path.basename(aside(olderId))]);
  });

  it('keeps data that was a primary, although the end of its own rebuild was skipped', async () => {
    writeMark(bed, aside(), olderId);
    const file = path.join(aside(), 'global/pg_control');
    execFileSync('cp', [path.join(bed.node(0).dataDirectory, 'global/pg_control'), file]);
    chownSync(file, bed.layout.user.uid, bed.layout.user.gid);
    makeAside(olderId);
    expect(await clear()).toMatchObject({ kept: aside() });
  });

  it('keeps data that was a primary, was fenced, and came up once more', async () => {
    writeMark(bed, aside(), olderId);
    writeFor(bed.layout.user, path.join(aside(), 'standby.signal'), 'after-return\n');
    makeAside(olderId);
    expect(await clear()).toMatchObject({ kept: aside() });
  });

  it('leaves what somebody works in, and says so', async () => {
    const free = await occupy(bed, makeAside(olderId));
    const { line } = await clear();
    await free();
    expect(line).toContain(`${aside(olderId)} should go, but is in use`);
    expect(existsSync(path.join(aside(olderId), 'PG_VERSION'))).toBe(true);
  });

  it('goes on where a node went down half-way', async () => {
    renameSync(aside(), leftover());
    rmSync(path.join(leftover(), 'PG_VERSION'));
    expect(await clear({ configuration: withPolicy('remove') })).toMatchObject({ changed: true });
    expect(names()).toEqual(['data']);
  });

  it.each([
    ['before anything was removed', { beforeScript: 'setsid -f' }],
    ['after the job was started', { afterScript: 'setsid -f' }],
    ['before the mark is removed', { beforeScript: 'finished=yes' }],
    ['after the mark was removed', { afterScript: 'finished=yes' }],
  ])('is completed by another worker when the first is killed %s', async (_, moment) => {
    await dieDuring(bed.lab.clusterFile, 'clearReplacedData', inputFor(), moment);
    const elsewhere = createTools(bed.lab.clusterFile);
    await perform(elsewhere, 'clearReplacedData', inputFor()).finally(() => elsewhere.close());
    expect(names()).toEqual(['data', path.basename(aside())]);
    expect(readMark(data())).toBeNull();
    expect(existsSync(jobs())).toBe(false);
  });

  it('removes nothing when the node does not stream, or from somebody else', async () => {
    await bed.stop(1);
    const before = names();
    const remove = { configuration: withPolicy('remove') };
    const failure = await failureOf(clear(remove));
    expect(failure).toMatchObject({ type: 'Unproven', nonRetryable: false });
    expect(failure.message).toMatch(/does not stream from node 0 .*: nothing of what was replaced is removed/);
    await bed.lab.start(1);
    expect(await failureOf(clear({ ...remove, primary: 1 }))).toMatchObject({ type: 'Unproven' });
    expect(names()).toEqual(before);
    expect(readMark(data())).toBe(rebuildId);
  });

  it('removes nothing for a rebuild that is not the last', async () => {
    const before = names();
    const older = { configuration: withPolicy('remove'), rebuild: planOf(data(), { rebuildId: olderId }) };
    expect(await failureOf(clear(older))).toMatchObject({ type: 'WorldChanged' });
    mkdirSync(path.join(jobs(), `base-backup-${newerId.toLowerCase()}`), { recursive: true });
    const late = await failureOf(clear({ configuration: withPolicy('remove') }));
    expect(late).toMatchObject({ type: 'WorldChanged' });
    expect(late.message).toMatch(/a newer rebuild has begun/);
    rmSync(jobs(), { recursive: true });
    writeMark(bed, data(), newerId);
    expect(await failureOf(clear({ configuration: withPolicy('remove') }))).toMatchObject({ type: 'WorldChanged' });
    expect(names()).toEqual(before);
  });

  it('with removeFirst removes no directory that is in use', async () => {
    const rebuild = planOf(data(), { mode: 'removeFirst' });
    expect(await clear({ configuration: withPolicy('removeFirst'), rebuild })).toMatchObject({ kept: aside() });
    expect(await bed.ask(1, 'select pg_is_in_recovery() as standby')).toEqual({ standby: true });
  });
});

describe('with a linked pg_wal and a tablespace', () => {
  const pathsOf = (rebuild: RebuildPlan, which: 'current' | 'aside'): string[] =>
    rebuild.directories.map((directory) => path.basename(directory[which])).sort();

  it('keeps and removes the linked directories with the data that they belong to', async () => {
    const linked = await linkOut(bed);
    const first = planOf(data(), { linked, rebuildId: olderId });
    await replace(first);
    expect(await clear({ rebuild: first })).toMatchObject({ kept: aside(olderId) });
    expect(names()).toEqual([...pathsOf(first, 'current'), ...pathsOf(first, 'aside')].sort());
    for (const { current } of first.directories) expect(readMark(current)).toBeNull();
    const kept = realpathSync(path.join(aside(olderId), 'pg_wal'));
    expect(kept).toBe(first.directories[1]!.aside);

    await bed.stop(1);
    const second = planOf(data(), { linked });
    await replace(second);
    expect(await clear({ rebuild: second })).toMatchObject({ kept: aside() });
    expect(names()).toEqual([...pathsOf(second, 'current'), ...pathsOf(second, 'aside')].sort());
    await expectRows(bed, 'in_one', 1000);

    await bed.stop(1);
    const third = planOf(data(), { linked, rebuildId: newerId });
    await replace(third);
    expect(await clear({ rebuild: third, configuration: withPolicy('remove') })).toMatchObject({ kept: null });
    expect(names()).toEqual(pathsOf(third, 'current'));
    await expectRows(bed, 'in_one', 1000);
  });
});
