// saveConfiguration on a real node and on made-up data directories: what is saved, what is not, which sets survive.
import {
  chmodSync,
  existsSync,
  lchownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
} from 'node:fs';
import path from 'node:path';
import type { SaveConfigurationInput, SaveConfigurationResult } from '../../../activities/data/save-configuration';
import type { ClusterConfiguration } from '../../../domain/facts/cluster';
import { rebuildMarkName } from '../../../domain/facts/data-directory';
import { makeDirectoryFor, writeFor } from '../../../lab/files';
import { type Bed, createTools, dieDuring, failureOf, perform, startBed } from '../support';

let bed: Bed;
let made = 0;

beforeAll(async () => {
  bed = await startBed('save', 2);
});
afterAll(() => bed.down());

const save = (input: SaveConfigurationInput): Promise<SaveConfigurationResult> =>
  perform(bed.tools, 'saveConfiguration', input);

interface Place {
  readonly input: SaveConfigurationInput;
  readonly data: string;
  readonly saved: string;
}

/** A data directory of a stopped node, with sets of its own: everything that makes it whole, and these files. */
function make(files: Readonly<Record<string, string>> = {}): Place {
  const directory = path.join(bed.layout.directory, `made${++made}`);
  const data = path.join(directory, 'data');
  for (const part of ['', 'data', 'data/global', 'data/base', 'data/pg_tblspc', 'saved', 'jobs'])
    makeDirectoryFor(bed.layout.user, path.join(directory, part), 0o700);
  const configuration: ClusterConfiguration = {
    ...bed.configuration,
    nodes: bed.configuration.nodes.map((node) => ({ ...node, dataDirectory: data })),
    paths: { jobs: path.join(directory, 'jobs'), savedConfiguration: path.join(directory, 'saved') },
  };
  const saved = path.join(directory, 'saved', `${configuration.cluster}.node0`);
  for (const [name, text] of Object.entries({
    PG_VERSION: '15\n',
    'global/pg_control': 'x',
    'postmaster.opts': 'x',
    ...files,
  }))
    writeFor(bed.layout.user, path.join(data, name), text);
  return { input: { configuration, node: 0, rebuildId: null }, data, saved };
}

/** A job that began a minute ago. */
const makeJob = ({ input: { configuration } }: Place, name: string): void => {
  const jobs = path.join(configuration.paths.jobs, `${configuration.cluster}.node0`);
  for (const directory of [jobs, path.join(jobs, name)]) makeDirectoryFor(bed.layout.user, directory);
  const script = path.join(jobs, name, 'script');
  writeFor(bed.layout.user, script, '');
  utimesSync(script, Date.now() / 1000 - 60, Date.now() / 1000 - 60);
};
const write = (place: Place, name: string, text: string): void => {
  writeFor(bed.layout.user, path.join(place.data, name), text);
};

const whole = { 'postgresql.conf': 'port = 5433\n', 'pg_hba.conf': 'local all all peer\n', 'postgresql.auto.conf': '' };

describe('a running node', () => {
  it('has everything saved that is not PostgreSQL’s own, with modes and links; the second time nothing changes', async () => {
    const { user } = bed.layout;
    const data = bed.node(1).dataDirectory;
    const at = (name: string): string => path.join(data, name);
    for (const name of ['conf.d', 'log', 'pg_hba.d']) makeDirectoryFor(user, at(name), 0o750);
    writeFor(user, at('conf.d/own settings.conf'), "work_mem = '5MB'\n");
    writeFor(user, at('pg_hba.d/own.conf'), 'local all all peer\n');
    writeFor(user, at('log/today'), 'lines');
    writeFor(user, at('server.key'), 'key');
    writeFor(user, at('recovery_1st_stage'), '#!/bin/sh\n', 0o755);
    writeFor(user, at('-x back\\slash.conf'), '1');
    writeFor(user, at('.hidden.conf'), 'h');
    symlinkSync('../elsewhere/ca.crt', at('ca.crt'));
    lchownSync(at('ca.crt'), user.uid, user.gid);
    writeFor(user, at('dump.sql'), 'x'.repeat(17 * 1024 * 1024));
    writeFor(user, at('core.4711'), 'x');

    const input = { configuration: bed.configuration, node: 1, rebuildId: null };
    const first = await save(input);
    expect(first.changed).toBe(true);
    const set = first.set!;
    const directory = path.join(bed.layout.directory, 'saved', `${bed.configuration.cluster}.node1`);
    expect(set).toMatch(new RegExp(`^${directory}/[0-9]{8}T[0-9]{6}Z$`));
    expect(readdirSync(set).sort()).toEqual(
      [
        ...['postgresql.conf', 'pg_hba.conf', 'pg_ident.conf', 'postgresql.auto.conf', 'conf.d', 'pg_hba.d'],
        ...['server.key', 'recovery_1st_stage', 'ca.crt', '-x back\\slash.conf', '.hidden.conf'],
      ].sort(),
    );
    expect(first.line).toBe(
      `node 1: its configuration is saved in ${set} (11 entries); left out: dump.sql (larger than 16 MiB)`,
    );
    for (const name of ['postgresql.conf', 'postgresql.auto.conf', 'conf.d/own settings.conf', 'server.key'])
      expect(readFileSync(path.join(set, name))).toEqual(readFileSync(at(name)));
    for (const [name, mode] of Object.entries({ '.': 0o700, 'server.key': 0o600, recovery_1st_stage: 0o755 }))
      expect([name, statSync(path.join(set, name)).mode & 0o777]).toEqual([name, mode]);
    expect(statSync(path.join(set, 'conf.d')).mode & 0o777).toBe(0o750);
    expect(readlinkSync(path.join(set, 'ca.crt'))).toBe('../elsewhere/ca.crt');

    const again = await save(input);
    expect(again).toEqual({
      changed: false,
      line: `node 1: its configuration is as in ${set}; left out: dump.sql (larger than 16 MiB)`,
      ...{ set, mark: null },
    });
    expect(readdirSync(directory)).toEqual([path.basename(set)]);
    await bed.stop(1);
    expect(await save(input)).toEqual(again);
    await bed.lab.start(1);
  });

  it('keeps a password of primary_conninfo on the node: neither result nor failure holds it', async () => {
    await bed.ask(1, `alter system set primary_conninfo = 'host=127.0.0.1 password=hunter2'`);
    const input = { configuration: bed.configuration, node: 1, rebuildId: null };
    const result = await save(input);
    expect(readFileSync(path.join(result.set!, 'postgresql.auto.conf'), 'utf8')).toContain('hunter2');
    expect(JSON.stringify(result)).not.toContain('hunter2');
    const paths = { ...bed.configuration.paths, savedConfiguration: '/proc/nowhere' };
    const failure = await failureOf(save({ ...input, configuration: { ...bed.configuration, paths } }));
    expect(failure).toMatchObject({ type: 'Unproven', nonRetryable: false });
    expect(failure.message).toMatch(/^node 1 \(127\..*\): cannot save its configuration: mkdir: .*\/proc\/nowhere/);
    expect(JSON.stringify([failure, failure.message, failure.stack])).not.toContain('hunter2');
  });
});

it('is content with postgresql.auto.conf alone, as on Debian, and notices a changed mode or content', async () => {
  const place = make({ 'postgresql.auto.conf': '# none\n' });
  const { set } = await save(place.input);
  expect(readdirSync(set!)).toEqual(['postgresql.auto.conf']);
  chmodSync(path.join(place.data, 'postgresql.auto.conf'), 0o640);
  expect((await save(place.input)).changed).toBe(true);
  write(place, 'postgresql.auto.conf', '# some\n');
  const last = await save(place.input);
  expect(last.changed).toBe(true);
  expect(readFileSync(path.join(last.set!, 'postgresql.auto.conf'), 'utf8')).toBe('# some\n');
});

it('saves nothing of a tablespace or an extension that lies in the data directory', async () => {
  const place = make(whole);
  for (const name of ['space', 'space/PG_15_202209061', 'pg_tde', 'orioledb_data'])
    makeDirectoryFor(bed.layout.user, path.join(place.data, name), 0o700);
  for (const name of ['space/PG_15_202209061/1', 'pg_tde/key', 'orioledb_data/1']) write(place, name, 'data');
  symlinkSync(path.join(place.data, 'space'), path.join(place.data, 'pg_tblspc', '16400'));
  expect(readdirSync((await save(place.input)).set!).sort()).toEqual(Object.keys(whole).sort());
});

it('keeps the five newest sets, and touches nothing else beside them', async () => {
  const place = make(whole);
  const sets: string[] = [];
  for (let turn = 0; turn < 7; turn++) {
    write(place, 'postgresql.conf', `port = ${turn}\n`);
    const { changed, set } = await save(place.input);
    expect(changed).toBe(true);
    sets.push(path.basename(set!));
    if (turn === 0)
      for (const name of ['20200101T000000Z-0a1b2c3d', 'wal', '.tmp-20200101T000000Z'])
        makeDirectoryFor(bed.layout.user, path.join(place.saved, name), 0o700);
  }
  expect([...sets].sort()).toEqual(sets);
  expect(readdirSync(place.saved).sort()).toEqual(['20200101T000000Z-0a1b2c3d', ...sets.slice(2), 'wal'].sort());
  expect(readFileSync(path.join(place.saved, sets[6]!, 'postgresql.conf'), 'utf8')).toBe('port = 6\n');
});

describe('a directory that does not hold the node’s own configuration', () => {
  const remove = (name: string) => (place: Place) => {
    rmSync(path.join(place.data, name), { recursive: true });
  };
  it.each<[string, (place: Place) => void, RegExp]>([
    ['that is gone', remove(''), /^node 0: nothing to save, there is no data directory at \S+; /],
    ['without PG_VERSION', remove('PG_VERSION'), /^node 0: nothing to save, \S+ has no PG_VERSION; /],
    ['without pg_control', remove('global'), /^node 0: nothing to save, \S+ has no global\/pg_control; /],
    ['that was never started', remove('postmaster.opts'), /^node 0: nothing to save, \S+ has no postmaster.opts; /],
    [
      'that is a copy, or was rewound,',
      (place) => {
        write(place, 'backup_label', 'START WAL LOCATION');
      },
      /^node 0: nothing to save, \S+ is a copy that was never started \(backup_label\); /,
    ],
    ['half removed', remove('pg_hba.conf'), /^node 0: nothing to save, \S+ has lost its pg_hba.conf; /],
    [
      'that is an unfinished copy',
      (place) => {
        write(place, rebuildMarkName, '20261123T101530Z-0a1b2c3d\n');
      },
      /^node 0: nothing to save, \S+ is an unfinished fresh copy of rebuild 20261123T101530Z-0a1b2c3d; /,
    ],
    [
      'that a copy was written into and started',
      (place) => {
        makeJob(place, 'base-backup-20261123t101530z-0a1b2c3d');
        write(place, 'backup_label.old', 'START WAL LOCATION');
      },
      /^node 0: nothing to save, a rebuild that has not ended may have written into \S+ \(base-backup-\S+\); /,
    ],
  ])('%s is not saved from, and the last good set survives', async (_, damage, said) => {
    const place = make(whole);
    const { set } = await save(place.input);
    write(place, 'postgresql.conf', 'port = 1 # of the primary\n');
    damage(place);
    const result = await save(place.input);
    const mark = said.source.includes('unfinished') ? '20261123T101530Z-0a1b2c3d' : null;
    expect(result).toEqual({ changed: false, line: expect.stringMatching(said) as string, set, mark });
    expect(result.line).toMatch(new RegExp(`; the last good set is ${set!}$`));
    expect(readdirSync(place.saved)).toEqual([path.basename(set!)]);
    expect(readFileSync(path.join(set!, 'postgresql.conf'), 'utf8')).toBe(whole['postgresql.conf']);
  });

  it('and no set at all: null', async () => {
    const place = make();
    rmSync(place.data, { recursive: true });
    const { set, line } = await save(place.input);
    expect(set).toBeNull();
    expect(line).toMatch(/; and there is no saved configuration$/);
  });

  it('refuses to save into the directory that may be removed', async () => {
    const place = make(whole);
    const paths = { ...place.input.configuration.paths, savedConfiguration: path.join(place.data, 'saved') };
    const failure = await failureOf(save({ ...place.input, configuration: { ...place.input.configuration, paths } }));
    expect(failure).toMatchObject({ type: 'Configuration', nonRetryable: true });
    expect(failure.message).toContain('lies inside the data directory: change paths.savedConfiguration');
  });
});

describe('a worker that is killed', () => {
  it.each([
    ['before the act', { beforeScript: 'list_entries' } as const, true],
    ['when the set is complete', { afterScript: 'list_entries' } as const, false],
  ])('%s leaves it to another one, which leaves one set', async (_, moment, changed) => {
    const place = make(whole);
    await dieDuring(bed.lab.clusterFile, 'saveConfiguration', place.input, moment);
    const elsewhere = createTools(bed.lab.clusterFile);
    try {
      const result = await perform(elsewhere, 'saveConfiguration', place.input);
      expect(result.changed).toBe(changed);
      expect(readdirSync(place.saved)).toEqual([path.basename(result.set!)]);
    } finally {
      await elsewhere.close();
    }
  });

  it('never leaves half a set that passes for a good one', async () => {
    const place = make(whole);
    mkdirSync(path.join(place.saved, '.tmp-29990101T000000Z'), { recursive: true });
    for (const name of ['', '.tmp-29990101T000000Z'])
      lchownSync(path.join(place.saved, name), bed.layout.user.uid, bed.layout.user.gid);
    const { set } = await save(place.input);
    expect(readdirSync(set!).sort()).toEqual(Object.keys(whole).sort());
    expect(existsSync(path.join(place.saved, '.tmp-29990101T000000Z'))).toBe(false);
  });
});
