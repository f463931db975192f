// setDataAside against real nodes: renamed in an order in which nothing can start half-way, and never unless every guard holds at that moment.
import {
  chownSync,
  existsSync,
  mkdirSync,
  openSync,
  closeSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import type { SetDataAsideInput, SetDataAsideResult } from '../../../activities/data/set-data-aside';
import type { RebuildDirectory, RebuildPlan } from '../../../domain/facts/data-directory';
import {
  beside,
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
  readMark,
  writeMark,
} from '../data-support';
import { planOf, rebuildId } from '../rebuild-support';
import { type Bed, createTools, dieDuring, failureOf, perform, sleepAfterLook, startBed } from '../support';

let bed: Bed;

beforeAll(async () => {
  bed = await startBed('set-data-aside', 2);
  await prepare(bed);
});
afterAll(() => bed.down());
afterEach(() => putBack(bed));

const data = (): string => bed.node(1).dataDirectory;
const fresh = (): string => `${data()}.pgpool-runbook-rebuild`;
const aside = (): string => `${data()}.replaced-${rebuildId}`;
const inData = (name: string): string => path.join(data(), name);
const linksFile = (): string => bed.jobs(1, '.links');
// Only root may mount.
const itMounts = isRoot ? it : it.skip; // skipped: needs root

const inputFor = (more: Partial<SetDataAsideInput> = {}): SetDataAsideInput => ({
  configuration: bed.configuration,
  node: 1,
  primary: 0,
  rebuild: planOf(data()),
  ...more,
});
const setAside = (more: Partial<SetDataAsideInput> = {}): Promise<SetDataAsideResult> =>
  perform(bed.tools, 'setDataAside', inputFor(more));
const everything = (): string => listingOfNode(bed);

async function stopAndCopy(rebuild: RebuildPlan = planOf(data())): Promise<void> {
  await bed.stop(1);
  await makeCopy(bed, rebuild);
}

it('renames the data of a stopped node; the second time it has nothing to do', async () => {
  await stopAndCopy();
  const before = listing(data());
  expect(await setAside()).toEqual({ changed: true, line: `node 1: the old data is at ${aside()}` });
  expect(existsSync(data())).toBe(false);
  expect(listing(aside())).toBe(before);
  expect(readMark(fresh())).toBe(rebuildId);
  expect(await setAside()).toEqual({ changed: false, line: `node 1: the old data is at ${aside()}` });
  expect(listing(aside())).toBe(before);
});

it('makes a former primary’s data read-only for whoever starts it by hand, and keeps what a fence has written', async () => {
  await stopAndCopy();
  rmSync(inData('standby.signal'));
  await setAside();
  expect(existsSync(path.join(aside(), 'standby.signal'))).toBe(true);
  renameSync(aside(), data());
  writeFileSync(inData('standby.signal'), 'before-promotion\n');
  await setAside();
  expect(readFileSync(path.join(aside(), 'standby.signal'), 'utf8')).toBe('before-promotion\n');
});

describe('with a linked pg_wal and a tablespace', () => {
  let linked: Partial<RebuildDirectory>[];
  let rebuild: RebuildPlan;
  const [wal, tablespace] = [1, 2].map((at) => () => rebuild.directories[at]!);
  beforeEach(async () => {
    linked = await linkOut(bed);
    rebuild = planOf(data(), { linked });
    await makeCopy(bed, rebuild);
  });

  function expectAside(): void {
    for (const { current, aside: old } of rebuild.directories) {
      expect(existsSync(current)).toBe(false);
      expect(existsSync(old)).toBe(true);
    }
    // Nothing that is set aside uses what comes in its place.
    expect(readlinkSync(path.join(aside(), 'pg_wal'))).toBe(wal!().aside);
    expect(readlinkSync(path.join(aside(), 'pg_tblspc', tablespace!().link!))).toBe(tablespace!().aside);
    expect(realpathSync(path.join(fresh(), 'pg_wal'))).toBe(wal!().fresh);
    expect(readFileSync(linksFile(), 'utf8')).toBe(
      `pg_wal ${wal!().current}\n${tablespace!().link!} ${tablespace!().current}\n`,
    );
  }

  it('sets all of them aside, and what is aside stays whole', async () => {
    expect(await setAside({ rebuild })).toMatchObject({ changed: true });
    expectAside();
    expect(await setAside({ rebuild })).toMatchObject({ changed: false });
    expectAside();
  });

  it.each([
    ['before anything was renamed', { beforeScript: 'set_linked_aside' }],
    ['after everything was renamed', { afterScript: 'set_linked_aside' }],
  ])('is completed by another worker when the first is killed %s', async (_, moment) => {
    await dieDuring(bed.lab.clusterFile, 'setDataAside', inputFor({ rebuild }), moment);
    const elsewhere = createTools(bed.lab.clusterFile);
    await perform(elsewhere, 'setDataAside', inputFor({ rebuild })).finally(() => elsewhere.close());
    expectAside();
  });

  it('goes on where a node went down between two renames', async () => {
    await setAside({ rebuild });
    renameSync(tablespace!().aside, tablespace!().current);
    renameSync(wal!().aside, wal!().current);
    expect(await setAside({ rebuild })).toMatchObject({ changed: true });
    expectAside();
  });

  it('leaves alone what was put in place meanwhile', async () => {
    await setAside({ rebuild });
    renameSync(wal!().fresh, wal!().current);
    const before = everything();
    expect(await setAside({ rebuild })).toMatchObject({ changed: false });
    expect(everything()).toBe(before);
  });

  it('is completed by a newer rebuild, from what was written down', async () => {
    await setAside({ rebuild });
    renameSync(wal!().aside, wal!().current);
    const newer = planOf(data(), { linked, rebuildId: '20261124T000000Z-ffffffff' });
    for (const directory of rebuild.directories) rmSync(directory.fresh, { recursive: true });
    await makeCopy(bed, newer);
    expect(await setAside({ rebuild: newer })).toMatchObject({ changed: true });
    expect(existsSync(wal!().current)).toBe(false);
    expect(existsSync(newer.directories[1]!.aside)).toBe(true);
  });

  it('refuses a directory that no link of the old data leads to', async () => {
    const link = inData('pg_wal');
    rmSync(link);
    symlinkSync(beside(bed, 'wal elsewhere'), link);
    makeFor(bed, beside(bed, 'wal elsewhere'), ['x']);
    const failure = await failureOf(setAside({ rebuild }));
    expect(failure.type).toBe('WorldChanged');
    expect(failure.message).toMatch(/no link of the replaced data led there/);
    expect(existsSync(wal!().current)).toBe(true);
  });

  it('refuses when the copy of pg_wal is not there', async () => {
    rmSync(wal!().fresh, { recursive: true });
    const before = everything();
    expect(await failureOf(setAside({ rebuild }))).toMatchObject({ type: 'WorldChanged' });
    expect(everything()).toBe(before);
  });
});

const flip = (file: string): void => {
  const handle = openSync(file, 'r+');
  writeSync(handle, Buffer.from([7, 7, 7]), 0, 3, 0);
  closeSync(handle);
};

describe('refuses, and touches nothing, when', () => {
  it.each<[string, () => void, RegExp]>([
    [
      'there is no copy',
      () => {
        rmSync(fresh(), { recursive: true });
      },
      /not the verified copy/,
    ],
    [
      'the copy is not verified',
      () => {
        rmSync(path.join(fresh(), 'pgpool-runbook.rebuild'));
      },
      /not the verified copy/,
    ],
    [
      'the copy is of another rebuild',
      () => {
        writeMark(bed, fresh(), '20261124T000000Z-ffffffff');
      },
      /not the verified/,
    ],
    [
      'somebody has started the copy',
      () => {
        renameSync(path.join(fresh(), 'backup_label'), path.join(fresh(), 'backup_label.old'));
      },
      /was started by somebody/,
    ],
    [
      'PG_VERSION is missing',
      () => {
        rmSync(inData('PG_VERSION'));
      },
      /holds no PG_VERSION/,
    ],
    [
      'it is of another cluster',
      () => {
        flip(inData('global/pg_control'));
      },
      /belongs to another cluster/,
    ],
    [
      'the control file is empty',
      () => {
        writeFileSync(inData('global/pg_control'), '');
      },
      /cannot be read/,
    ],
    [
      'the name is taken',
      () => {
        mkdirSync(aside());
      },
      /exists already/,
    ],
    [
      'the path is a symbolic link',
      () => {
        renameSync(data(), beside(bed, 'data.real'));
        symlinkSync(beside(bed, 'data.real'), data());
      },
      /not a directory with that real path/,
    ],
  ])('%s', (_, change, says) => expectRefused(change, says));

  // skipped: needs root
  (isRoot ? it : it.skip)('another user owns it', () =>
    expectRefused(() => {
      chownSync(data(), 0, 0);
    }, /does not belong/),
  );

  async function expectRefused(change: () => void, says: RegExp): Promise<void> {
    await stopAndCopy();
    change();
    const before = everything();
    const failure = await failureOf(setAside());
    expect(failure).toMatchObject({ type: 'WorldChanged', nonRetryable: true });
    expect(failure.message).toMatch(says);
    expect(everything()).toBe(before);
  }

  it('PostgreSQL runs there', async () => {
    await makeCopy(bed, planOf(data()));
    expect((await failureOf(setAside())).message).toMatch(/PostgreSQL processes work in/);
    expect(await bed.ask(1, 'select 1 as alive')).toEqual({ alive: 1 });
  });

  it('an orphan backend works there', async () => {
    await stopAndCopy();
    const free = await occupy(bed, data());
    expect(await failureOf(setAside())).toMatchObject({ type: 'WorldChanged' });
    await free();
    expect(await setAside()).toMatchObject({ changed: true });
  });

  it('the node is the primary, or accepts writes beside it', async () => {
    await makeCopy(bed, planOf(data()));
    expect((await failureOf(setAside({ node: 0, primary: 0 }))).type).toBe('WorldChanged');
    expect((await failureOf(setAside({ node: 0, primary: 1 }))).message).toMatch(/not the primary any more/);
    await bed.ask(1, 'select pg_promote()');
    expect((await failureOf(setAside())).message).toMatch(/node 1 accepts writes, too/);
  });

  it('the worker was suspended after its look', async () => {
    await stopAndCopy();
    const before = everything();
    sleepAfterLook(bed.tools, 60_001);
    const failure = await failureOf(setAside()).finally(() => jest.restoreAllMocks());
    expect(failure).toMatchObject({ type: 'Unreachable', nonRetryable: false });
    expect(failure.message).toMatch(/looked at too long ago/);
    expect(everything()).toBe(before);
  });

  it('the primary does not answer', async () => {
    await stopAndCopy();
    await bed.stop(0);
    expect(await failureOf(setAside())).toMatchObject({ type: 'Unreachable' });
    expect(existsSync(data())).toBe(true);
  });
});

itMounts('refuses a mount point', async () => {
  await bed.stop(1);
  rmSync(data(), { recursive: true });
  mountSmall(bed, data(), 8);
  await makeCopy(bed, planOf(data()));
  expect((await failureOf(setAside())).message).toMatch(/is a mount point/);
});

it('has nothing to keep of an empty directory, and nothing to do without one', async () => {
  await stopAndCopy();
  rmSync(data(), { recursive: true });
  makeFor(bed, data());
  expect(await setAside()).toEqual({ changed: true, line: 'node 1: there is no old data' });
  expect(existsSync(data())).toBe(false);
  expect(await setAside()).toEqual({ changed: false, line: 'node 1: there is no old data' });
});

it('has nothing to do once the copy is in place, nor with removeFirst', async () => {
  await stopAndCopy();
  const before = everything();
  expect(await setAside({ rebuild: planOf(data(), { mode: 'removeFirst' }) })).toMatchObject({ changed: false });
  expect(everything()).toBe(before);
  await setAside();
  renameSync(fresh(), data());
  expect(await setAside()).toEqual({ changed: false, line: 'node 1: the copy is in place already' });
});
