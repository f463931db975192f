// inspectData against real nodes: what the plan then decides on, in every layout that a data directory can have; it changes nothing.
import { chmodSync, chownSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { DataFacts } from '../../../domain/facts/data-directory';
import { planRebuild, type RebuildDecision } from '../../../domain/plans/rebuild';
import { makeDirectoryFor } from '../../../lab/files';
import {
  beside,
  createTablespace,
  isRoot,
  linkWal,
  listing,
  makeCopy,
  makeFor,
  mountSmall,
  prepare,
  putBack,
  touchAsRoot,
} from '../data-support';
import { planOf, rebuildId } from '../rebuild-support';
import { type Bed, createTools, dieDuring, failureOf, perform, startBed } from '../support';

let bed: Bed;

beforeAll(async () => {
  bed = await startBed('inspect-data', 2);
  await prepare(bed);
});
afterAll(() => bed.down());
afterEach(() => putBack(bed));

const data = (): string => bed.node(1).dataDirectory;
const parent = (): string => path.dirname(data());
const input = () => ({ configuration: bed.configuration, node: 1, primary: 0 });
const inspect = async (): Promise<DataFacts> => (await perform(bed.tools, 'inspectData', input())).facts;
// Only root may mount.
const itMounts = isRoot ? it : it.skip; // skipped: needs root

async function plan(facts: DataFacts): Promise<RebuildDecision> {
  const observed = await perform(bed.tools, 'observe', { cluster: bed.configuration.cluster, suspect: null });
  return planRebuild(bed.configuration, { node: 1, primary: 0, rebuildId }, observed.facts, facts);
}

it('measures a running standby, and what the copy will need', async () => {
  const before = listing(data());
  const { line, facts } = await perform(bed.tools, 'inspectData', input());
  expect(facts).toMatchObject({
    exists: true,
    isEmpty: false,
    realPath: data(),
    isOwned: true,
    version: '15',
    isMountPoint: false,
    isRenamable: true,
    isPrimarys: false,
    leftoverBytes: 0,
    stranger: null,
    isUnfinished: false,
    hasControlFile: true,
    own: { state: 'in archive recovery', timeline: 1 },
    host: { processes: 'running', ssh: 'answered' },
    rebuildMark: null,
    linked: [],
    missing: [],
    source: { version: '15', timeline: 1, isInRecovery: false, tablespaces: [] },
  });
  expect(facts.own!.systemIdentifier).toBe(facts.source.systemIdentifier);
  for (const bytes of [facts.usedBytes!, facts.freeBytes!, facts.source.bytes, facts.source.walBytes])
    expect(bytes).toBeGreaterThan(5_000_000);
  expect(facts.source.bytes).toBeLessThan(facts.usedBytes!);
  expect(line).toMatch(/^node 1: .*data holds data of PostgreSQL 15; the primary is PostgreSQL 15$/);
  expect(listing(data())).toBe(before);
  expect(await plan(facts)).toMatchObject({ action: 'rebuild', plan: planOf(data()) });
});

it('sees what is stopped, marked, half-made or left over', async () => {
  await bed.stop(1);
  writeFileSync(path.join(data(), 'pgpool-runbook.rebuild'), `${rebuildId}\n`);
  expect(await inspect()).toMatchObject({
    host: { processes: 'none' },
    own: { state: 'shut down in recovery' },
    rebuildMark: rebuildId,
  });
  renameSync(path.join(data(), 'PG_VERSION'), path.join(data(), 'backup_label'));
  makeFor(bed, `${data()}.pgpool-runbook-rebuild`);
  writeFileSync(`${data()}.pgpool-runbook-rebuild/half`, Buffer.alloc(1_000_000, 1));
  const facts = await inspect();
  expect(facts).toMatchObject({ version: null, isUnfinished: true });
  expect(facts.leftoverBytes).toBeGreaterThan(900_000);
});

it('tells a directory that is gone from one that was removed under a running server', async () => {
  await bed.stop(1);
  renameSync(data(), beside(bed, 'data.away'));
  const gone = {
    exists: false,
    isEmpty: true,
    realPath: data(),
    version: null,
    isRenamable: true,
    hasControlFile: false,
  };
  expect(await inspect()).toMatchObject({ ...gone, own: null, host: { processes: 'none' } });
  renameSync(beside(bed, 'data.away'), data());
  await bed.lab.start(1);
  // The server notices within a minute at the latest: looked at before that.
  rmSync(data(), { recursive: true, force: true });
  expect(await inspect()).toMatchObject({ ...gone, host: { processes: 'orphans' } });
});

it('has the real path refused where a symbolic link is on the way', async () => {
  await bed.stop(1);
  renameSync(data(), beside(bed, 'data.real'));
  symlinkSync(beside(bed, 'data.real'), data());
  const facts = await inspect();
  expect(facts.realPath).toBe(beside(bed, 'data.real'));
  const decision = await plan(facts);
  expect(decision).toMatchObject({ action: 'refuse', reason: 'data-not-replaceable' });
  expect(decision.line).toContain(beside(bed, 'data.real'));
  rmSync(data());
});

it('follows a linked pg_wal, blanks included, and sees what else lies there', async () => {
  await bed.stop(1);
  const wal = beside(bed, 'wal of node 1');
  linkWal(bed, wal);
  const facts = await inspect();
  expect(facts.linked).toMatchObject([
    { kind: 'wal', link: 'pg_wal', path: wal, exists: true, isEmpty: false, isRenamable: true, stranger: null },
  ]);
  expect(facts.own!.timeline).toBe(1);
  expect(await plan(facts)).toMatchObject({
    plan: planOf(data(), { linked: [{ kind: 'wal', link: 'pg_wal', current: wal }] }),
  });
  mkdirSync(path.join(wal, 'lost+found'));
  expect((await inspect()).linked).toMatchObject([{ stranger: path.join(wal, 'lost+found') }]);
});

it('has a linked path refused that would be read differently', async () => {
  await bed.stop(1);
  linkWal(bed, beside(bed, 'wal\nplace missing 1'));
  const facts = await inspect();
  expect(facts.missing).toEqual([]);
  expect(await plan(facts)).toMatchObject({ action: 'refuse', reason: 'data-not-replaceable' });
});

it('finds a tablespace where the node has it, where it has none, and where it is the primary’s own', async () => {
  await bed.stop(1);
  const { oid, location } = await createTablespace(bed, 'one');
  const without = await inspect();
  expect(without.source.tablespaces).toMatchObject([{ oid, location }]);
  expect(without.source.tablespaces[0]!.bytes).toBeGreaterThan(8000);
  expect(without.missing).toMatchObject([{ link: oid, path: location, exists: true, isPrimarys: true }]);

  const own = beside(bed, 'ts own');
  const mapped = planOf(data(), {
    linked: [{ kind: 'tablespace', link: oid, sourceLocation: location, current: own }],
  });
  rmSync(data(), { recursive: true });
  const inPlace = mapped.directories.map((directory) => ({ ...directory, fresh: directory.current }));
  await makeCopy(bed, { ...mapped, directories: inPlace }, { mark: '' });
  const withOwn = await inspect();
  expect(withOwn).toMatchObject({
    own: { state: 'copied' },
    missing: [],
    linked: [{ link: oid, path: own, isPrimarys: false, stranger: null }],
  });
  expect(await plan(withOwn)).toMatchObject({ plan: mapped });

  // As it would be after a replay of CREATE TABLESPACE on the same machine.
  const link = path.join(data(), 'pg_tblspc', oid);
  rmSync(link);
  symlinkSync(location, link);
  const shared = await plan(await inspect());
  expect(shared).toMatchObject({ action: 'refuse', reason: 'data-not-replaceable' });
  expect(shared.line).toMatch(/in use by the primary/);
});

it('knows the links of data that is away from what was written down', async () => {
  await bed.stop(1);
  const wal = beside(bed, 'wal of node 1');
  renameSync(data(), beside(bed, 'data.away'));
  makeFor(bed, wal);
  const { jobs } = bed.configuration.paths;
  writeFileSync(path.join(jobs, `${bed.configuration.cluster}.node1.links`), `pg_wal ${wal}\n`);
  expect((await inspect()).linked).toMatchObject([{ link: 'pg_wal', path: wal, exists: true, isEmpty: true }]);
});

const barred: [string, () => void][] = [
  [
    'not writable',
    () => {
      chmodSync(parent(), 0o555);
    },
  ],
];
// Only root can give a directory away.
if (isRoot)
  barred.push([
    'root’s',
    () => {
      chownSync(parent(), 0, 0);
    },
  ]);

it.each(barred)('needs removeFirst where the parent is %s', async (_, change) => {
  change();
  const facts = await inspect();
  chmodSync(parent(), 0o755);
  if (isRoot) chownSync(parent(), bed.layout.user.uid, bed.layout.user.gid);
  expect(facts.isRenamable).toBe(false);
  expect(await plan(facts)).toMatchObject({ action: 'refuse', reason: 'rebuild-needs-removeFirst' });
});

itMounts('knows a mount point, its free space, and one inside', async () => {
  await bed.stop(1);
  renameSync(data(), beside(bed, 'data.away'));
  mountSmall(bed, data(), 64);
  const facts = await inspect();
  expect(facts).toMatchObject({ isMountPoint: true, isRenamable: false, isEmpty: true });
  expect(facts.freeBytes).toBeLessThanOrEqual(64 * 1024 ** 2);
  expect(await plan(facts)).toMatchObject({ action: 'refuse', reason: 'rebuild-needs-removeFirst' });
  mountSmall(bed, path.join(data(), 'inner mount'), 1);
  expect((await inspect()).stranger).toBe(path.join(data(), 'inner mount'));
});

itMounts('measures the space beside the data: a small filesystem cannot hold two copies', async () => {
  const small = beside(bed, 'ts small');
  mountSmall(bed, small, 100);
  const nodes = bed.configuration.nodes.map((node) =>
    node.id === 1 ? { ...node, dataDirectory: path.join(small, 'data') } : node,
  );
  makeDirectoryFor(bed.layout.user, path.join(small, 'data'), 0o700);
  touchAsRoot(path.join(small, 'data', 'PG_VERSION'));
  const configuration = { ...bed.configuration, nodes };
  const { facts } = await perform(bed.tools, 'inspectData', { ...input(), configuration });
  expect(facts).toMatchObject({ isMountPoint: false, isRenamable: true });
  expect(facts.freeBytes).toBeLessThanOrEqual(100 * 1024 ** 2);
});

it('is repeated by another worker when the first is killed', async () => {
  await dieDuring(bed.lab.clusterFile, 'inspectData', input(), { beforeScript: 'du -skx' });
  const elsewhere = createTools(bed.lab.clusterFile);
  try {
    const first = await perform(elsewhere, 'inspectData', input());
    expect(first).toMatchObject({ changed: false, facts: { version: '15' } });
  } finally {
    await elsewhere.close();
  }
});

it('is unreachable without the primary, and without the node', async () => {
  await bed.stop(0);
  expect(await failureOf(inspect())).toMatchObject({ type: 'Unreachable' });
  await bed.lab.start(0);
  await bed.lab.killHost(1);
  expect(await failureOf(inspect())).toMatchObject({ type: 'Unreachable' });
});
