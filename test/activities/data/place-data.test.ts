// placeData against real nodes: the copy comes into its place whole, with its links right, and nodes start from it and stream.
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import type { PlaceDataInput, PlaceDataResult } from '../../../activities/data/place-data';
import type { RebuildDirectory, RebuildPlan } from '../../../domain/facts/data-directory';
import {
  beside,
  expectRows,
  expectStreaming,
  linkOut,
  listingOfNode,
  makeCopy,
  makeFor,
  prepare,
  putBack,
  readMark,
  writeMark,
} from '../data-support';
import { planOf, rebuildId } from '../rebuild-support';
import { type Bed, createTools, dieDuring, failureOf, perform, startBed } from '../support';

let bed: Bed;

beforeAll(async () => {
  bed = await startBed('place-data', 2);
  await prepare(bed);
});
afterAll(() => bed.down());
afterEach(() => putBack(bed));

const data = (): string => bed.node(1).dataDirectory;
const fresh = (): string => `${data()}.pgpool-runbook-rebuild`;
const inputFor = (rebuild: RebuildPlan = planOf(data())): PlaceDataInput => ({
  configuration: bed.configuration,
  node: 1,
  rebuild,
});
const place = (rebuild?: RebuildPlan): Promise<PlaceDataResult> => perform(bed.tools, 'placeData', inputFor(rebuild));
const everything = (): string => listingOfNode(bed);

/** Node 1 is stopped, its data aside, the verified copy beside it. */
async function copyAndSetAside(rebuild: RebuildPlan = planOf(data())): Promise<void> {
  await makeCopy(bed, rebuild);
  await perform(bed.tools, 'setDataAside', { ...inputFor(rebuild), primary: 0 });
}

it('puts the copy in place; the second time it has nothing to do; the node streams from it', async () => {
  await bed.stop(1);
  await copyAndSetAside();
  const line = `node 1: the verified copy is in place at ${data()}`;
  expect(await place()).toEqual({ changed: true, line });
  expect(existsSync(fresh())).toBe(false);
  expect(readMark(data())).toBe(rebuildId);
  expect(await place()).toEqual({ changed: false, line });
  await expectStreaming(bed);
  expect(await place()).toEqual({ changed: false, line });
});

it('puts nothing in place that would accept writes if somebody started it before it is configured', async () => {
  const configuration = readFileSync(path.join(data(), 'postgresql.conf'));
  await perform(bed.tools, 'baseBackup', { ...inputFor(), primary: 0 });
  await perform(bed.tools, 'verifyBackup', inputFor());
  await bed.stop(1);
  rmSync(path.join(fresh(), 'standby.signal'));
  await perform(bed.tools, 'setDataAside', { ...inputFor(), primary: 0 });
  await place();
  // The primary's port is taken on this machine.
  writeFileSync(path.join(data(), 'postgresql.conf'), configuration);
  await bed.lab.start(1);
  expect(await bed.ask(1, 'select pg_is_in_recovery() as standby')).toEqual({ standby: true });
});

describe('with a linked pg_wal and a tablespace', () => {
  let linked: Partial<RebuildDirectory>[];
  let rebuild: RebuildPlan;
  const [wal, tablespace] = [1, 2].map((at) => () => rebuild.directories[at]!);
  beforeEach(async () => {
    linked = await linkOut(bed);
    rebuild = planOf(data(), { linked });
    await copyAndSetAside(rebuild);
  });

  async function expectPlaced(): Promise<void> {
    for (const { current, fresh: copy } of rebuild.directories) {
      expect(existsSync(copy)).toBe(false);
      expect(readMark(current)).toBe(rebuildId);
    }
    expect(readlinkSync(path.join(data(), 'pg_wal'))).toBe(wal!().current);
    expect(readlinkSync(path.join(data(), 'pg_tblspc', tablespace!().link!))).toBe(tablespace!().current);
    expect(existsSync(path.join(data(), 'pgpool-runbook.link'))).toBe(false);
    await bed.ask(0, 'create table later as select generate_series(1, 7) as id');
    await expectStreaming(bed);
    await expectRows(bed, 'in_one', 1000);
    await expectRows(bed, 'later', 7);
  }

  it('puts all of them in place with their links, and the node streams', async () => {
    expect(await place(rebuild)).toMatchObject({ changed: true });
    expect(await place(rebuild)).toMatchObject({ changed: false });
    await expectPlaced();
    expect(await place(rebuild)).toMatchObject({ changed: false });
  });

  it.each([
    ['before anything was renamed', { beforeScript: 'place_linked' }],
    ['after everything was renamed', { afterScript: 'place_linked' }],
  ])('is completed by another worker when the first is killed %s', async (_, moment) => {
    await dieDuring(bed.lab.clusterFile, 'placeData', inputFor(rebuild), moment);
    const elsewhere = createTools(bed.lab.clusterFile);
    await perform(elsewhere, 'placeData', inputFor(rebuild)).finally(() => elsewhere.close());
    await expectPlaced();
  });

  it('goes on where a node went down after the first rename, its link not yet made', async () => {
    renameSync(wal!().fresh, wal!().current);
    symlinkSync('/nowhere', path.join(fresh(), 'pgpool-runbook.link'));
    // The other act is repeated first, as the runbook does from the top.
    await perform(bed.tools, 'setDataAside', { ...inputFor(rebuild), primary: 0 });
    expect(await place(rebuild)).toMatchObject({ changed: true });
    await expectPlaced();
  });

  it('mends a link of data that is in place already', async () => {
    await place(rebuild);
    const link = path.join(data(), 'pg_wal');
    rmSync(link);
    symlinkSync(wal!().fresh, link);
    expect(await place(rebuild)).toMatchObject({ changed: true });
    expect(realpathSync(link)).toBe(wal!().current);
    await expectPlaced();
  });

  it('is content with right links when the marks of the linked ones are gone', async () => {
    await place(rebuild);
    for (const { current } of rebuild.directories.slice(1)) rmSync(path.join(current, 'pgpool-runbook.rebuild'));
    expect(await place(rebuild)).toMatchObject({ changed: false });
  });

  it('needs no directory for a tablespace that the primary has dropped before the copy', async () => {
    rmSync(path.join(fresh(), 'pg_tblspc', tablespace!().link!));
    rmSync(tablespace!().fresh, { recursive: true });
    expect(await place(rebuild)).toMatchObject({ changed: true });
    expect(existsSync(tablespace!().current)).toBe(false);
  });

  it.each<[string, () => void, RegExp]>([
    [
      'the copy of pg_wal is gone',
      () => {
        rmSync(wal!().fresh, { recursive: true });
      },
      /neither there nor/,
    ],
    [
      'the copy of a tablespace is gone',
      () => {
        rmSync(tablespace!().fresh, { recursive: true });
      },
      /neither there nor/,
    ],
    [
      'something else is where pg_wal belongs',
      () => {
        makeFor(bed, wal!().current, ['x']);
      },
      /exists already/,
    ],
    [
      'pg_wal is no link',
      () => {
        const link = path.join(fresh(), 'pg_wal');
        rmSync(link);
        mkdirSync(link);
      },
      /is not a link/,
    ],
  ])('refuses when %s, and does not put the data in place', async (_, change, says) => {
    change();
    const failure = await failureOf(place(rebuild));
    expect(failure).toMatchObject({ type: 'WorldChanged', nonRetryable: true });
    expect(failure.message).toMatch(says);
    expect(existsSync(data())).toBe(false);
  });
});

it.each<[string, () => void, RegExp]>([
  ['the old data is still there', () => undefined, /is there and is not the copy/],
  [
    'the copy of another rebuild is there',
    () => {
      writeMark(bed, data(), '20261124T000000Z-ffffffff');
    },
    /is not the copy/,
  ],
  [
    'there is nothing',
    () => {
      for (const at of [data(), fresh()]) rmSync(at, { recursive: true });
    },
    /not the verified copy/,
  ],
  [
    'the copy is not verified',
    () => {
      rmSync(data(), { recursive: true });
      rmSync(path.join(fresh(), 'pgpool-runbook.rebuild'));
    },
    /not the verified copy/,
  ],
  [
    'the copy is a symbolic link',
    () => {
      rmSync(data(), { recursive: true });
      renameSync(fresh(), beside(bed, 'data.x'));
      symlinkSync(beside(bed, 'data.x'), fresh());
    },
    /not the verified copy/,
  ],
])('refuses, and touches nothing, when %s', async (_, change, says) => {
  await bed.stop(1);
  await makeCopy(bed, planOf(data()));
  change();
  const before = everything();
  const failure = await failureOf(place());
  expect(failure).toMatchObject({ type: 'WorldChanged', nonRetryable: true });
  expect(failure.message).toMatch(says);
  expect(everything()).toBe(before);
});

it('takes a path with blanks, brackets and a dollar sign as it is', async () => {
  await bed.stop(1);
  const odd = beside(bed, 'data. [1] of $HOME *');
  renameSync(data(), odd);
  const nodes = bed.configuration.nodes.map((node) => (node.id === 1 ? { ...node, dataDirectory: odd } : node));
  const rebuild = planOf(odd);
  const input = { ...inputFor(rebuild), configuration: { ...bed.configuration, nodes }, primary: 0 };
  const { facts } = await perform(bed.tools, 'inspectData', input);
  expect(facts).toMatchObject({ realPath: odd, version: '15', host: { processes: 'none' } });
  await makeCopy(bed, rebuild);
  expect(await perform(bed.tools, 'setDataAside', input)).toMatchObject({ changed: true });
  expect(await perform(bed.tools, 'placeData', input)).toMatchObject({ changed: true });
  expect(existsSync(path.join(`${odd}.replaced-${rebuildId}`, 'PG_VERSION'))).toBe(true);
  renameSync(odd, data());
  await expectStreaming(bed);
});

it('with removeFirst only looks whether the verified copy is there', async () => {
  await bed.stop(1);
  const rebuild = planOf(data(), { mode: 'removeFirst' });
  expect(await failureOf(place(rebuild))).toMatchObject({ type: 'WorldChanged' });
  rmSync(data(), { recursive: true });
  await makeCopy(bed, rebuild);
  expect(await place(rebuild)).toMatchObject({ changed: false });
  await expectStreaming(bed);
});
