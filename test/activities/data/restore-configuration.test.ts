// restoreConfiguration into real base backups of node 0: the node gets its own files back, and nothing of the moment.
import { appendFileSync, existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import type {
  RestoreConfigurationInput,
  RestoreConfigurationResult,
} from '../../../activities/data/restore-configuration';
import { asidePath, freshSuffix, rebuildMarkName, type RebuildPlan } from '../../../domain/facts/data-directory';
import { autoConfHeader, readSetting } from '../../../domain/texts/settings-file';
import { makeDirectoryFor, writeFor } from '../../../lab/files';
import { runOrFail } from '../../../lab/processes';
import { type Bed, createTools, dieDuring, failureOf, perform, startBed, waitFor } from '../support';

let bed: Bed;
const rebuildId = '20261123T101530Z-0a1b2c3d';
const at = (name: string): string => path.join(bed.node(1).dataDirectory, name);
const read = (name: string): string => readFileSync(at(name), 'utf8');
const setting = (name: string): string | null => readSetting(read('postgresql.auto.conf'), name);

function inputFor(more: Partial<RestoreConfigurationInput> = {}): RestoreConfigurationInput {
  const current = bed.node(1).dataDirectory;
  const places = { current, fresh: current + freshSuffix, aside: asidePath(current, rebuildId) };
  const rebuild: RebuildPlan = {
    rebuildId,
    mode: 'sibling',
    directories: [{ kind: 'data', link: null, sourceLocation: null, ...places }],
  };
  return { configuration: bed.configuration, node: 1, rebuild, ...more };
}
const restore = (more?: Partial<RestoreConfigurationInput>): Promise<RestoreConfigurationResult> =>
  perform(bed.tools, 'restoreConfiguration', inputFor(more));
/** As if nothing had ever been saved. */
const withoutSets = (): Partial<RestoreConfigurationInput> => {
  const paths = { ...bed.configuration.paths, savedConfiguration: path.join(bed.layout.directory, 'nothing-saved') };
  return { configuration: { ...bed.configuration, paths } };
};

const ownFiles = {
  'conf.d/own.conf': "work_mem = '5MB'\n",
  'server.key': 'the key of node 1',
  recovery_1st_stage: '#!/bin/sh\n',
};
const stale = [
  `primary_conninfo = 'host=127.0.0.9 password=hunter2'`,
  `Primary_Slot_Name 'ghost'`,
  `synchronous_standby_names = 'FIRST 1 (ghost)'`,
  `recovery_target_timeline = '1'`,
].join('\n');
let set: string;

/** Makes what `placeData` leaves: a verified base backup of node 0 where node 1's data directory was, with the mark. */
async function placeCopy(): Promise<void> {
  const { user, tools, nodes } = bed.layout;
  if (bed.processes(1).length > 0) await bed.stop(1);
  rmSync(at(''), { recursive: true, force: true });
  const source = `host=${nodes[0]!.host} port=${nodes[0]!.port} user=replicator password=hunter2`;
  const argv = ['-D', at(''), '-d', source, '-c', 'fast', '-X', 'stream', '--no-sync', '-w'];
  await runOrFail(path.join(tools.postgresBin, 'pg_basebackup'), argv, { user });
  writeFor(user, at(rebuildMarkName), `${rebuildId}\n`);
}

beforeAll(async () => {
  bed = await startBed('restore', 2);
  const { user } = bed.layout;
  const primary = bed.node(0).dataDirectory;
  await bed.ask(0, `alter system set maintenance_work_mem = '77MB'`);
  await bed.ask(0, `alter role replicator password 'hunter2'`);
  appendFileSync(path.join(primary, 'postgresql.conf'), "work_mem = '9MB'\n");
  makeDirectoryFor(user, path.join(primary, 'conf.d'), 0o700);
  for (const name of ['conf.d/theirs.conf', 'primary-only.conf', 'server.key'])
    writeFor(user, path.join(primary, name), '# of node 0\n');
  makeDirectoryFor(user, at('conf.d'), 0o750);
  for (const [name, text] of Object.entries(ownFiles)) writeFor(user, at(name), text);
  appendFileSync(at('postgresql.conf'), "include_dir = 'conf.d'\n");
  appendFileSync(at('postgresql.auto.conf'), `${stale}\nrestore_command = 'false'\n`);
  const saved = await perform(bed.tools, 'saveConfiguration', { configuration: bed.configuration, node: 1, rebuildId });
  set = saved.set!;
  await bed.stop(1);
});
afterAll(() => bed.down());

/** Every file of the set and nothing of node 0's. */
function expectOwnFiles(): void {
  for (const [name, text] of Object.entries(ownFiles)) expect(read(name)).toBe(text);
  expect(readFileSync(at('postgresql.conf'))).toEqual(readFileSync(path.join(set, 'postgresql.conf')));
  expect(readdirSync(at('conf.d'))).toEqual(['own.conf']);
  expect(statSync(at('conf.d')).mode & 0o777).toBe(0o750);
  expect(existsSync(at('primary-only.conf'))).toBe(false);
  const ours = readdirSync(at('')).filter((name) => name.startsWith('pgpool-runbook'));
  expect(ours.sort()).toEqual([rebuildMarkName, 'pgpool-runbook.restored']);
  expect(setting('maintenance_work_mem')).toBeNull();
  expect(setting('restore_command')).toBe('false');
  for (const name of ['primary_conninfo', 'primary_slot_name', 'synchronous_standby_names', 'recovery_target_timeline'])
    expect([name, setting(name)]).toEqual([name, null]);
}

describe('with a saved set', () => {
  beforeEach(placeCopy);

  it('brings the node back as itself: it starts, follows the new primary, and waits for nobody', async () => {
    const before = readFileSync(path.join(set, 'postgresql.auto.conf'), 'utf8');
    const line = `node 1: its own configuration is back from ${set}`;
    expect(await restore()).toEqual({ changed: true, line });
    expectOwnFiles();
    expect(statSync(at('postgresql.auto.conf')).mode & 0o777).toBe(0o600);
    expect(readFileSync(path.join(set, 'postgresql.auto.conf'), 'utf8')).toBe(before);
    expect(before).toContain('hunter2');
    const untouched = statSync(at('postgresql.conf')).ino;
    expect(await restore()).toEqual({ changed: false, line });
    expect(statSync(at('postgresql.conf')).ino).toBe(untouched);

    const standby = { configuration: bed.configuration, node: 1, primary: 0 };
    expect((await perform(bed.tools, 'configureStandby', standby)).changed).toBe(true);
    await bed.lab.start(1);
    const { port } = bed.node(1);
    expect(
      await bed.ask(
        1,
        `select ${['port', 'work_mem', 'cluster_name', 'maintenance_work_mem', 'synchronous_standby_names']
          .map((name) => `current_setting('${name}') as ${name}`)
          .join(', ')}, pg_is_in_recovery() as standby`,
      ),
    ).toEqual({
      ...{ port: String(port), work_mem: '5MB', cluster_name: 'node1', maintenance_work_mem: '64MB' },
      ...{ synchronous_standby_names: '', standby: true },
    });
    const isStreaming = `select count(*)::int as n from pg_stat_replication where application_name = 'node1' and state = 'streaming'`;
    await waitFor(async () => (await bed.ask(0, isStreaming))['n'] === 1, { what: 'a stream', timeoutMs: 10_000 });
    const { conninfo } = await bed.ask(1, `select current_setting('primary_conninfo') as conninfo`);
    expect(conninfo).toContain(`host='${bed.node(0).host}'`);
    // The former conninfo is the raw one of the set.
    expect(conninfo).toContain(`password='hunter2'`);
  });

  it('leaves what a person mended there afterwards', async () => {
    const { line } = await restore();
    writeFor(bed.layout.user, at('postgresql.conf'), '# mended\n');
    writeFor(bed.layout.user, at('postgresql.auto.conf'), "work_mem = '6MB'\n");
    expect(await restore()).toEqual({ changed: false, line });
    expect(read('postgresql.conf')).toBe('# mended\n');
    expect(setting('work_mem')).toBe('6MB');
  });

  it('is done anew in the copy of another rebuild', async () => {
    writeFor(bed.layout.user, at('pgpool-runbook.restored'), '20261101T000000Z-ffffffff\n');
    expect((await restore()).changed).toBe(true);
    expectOwnFiles();
  });

  it('finishes what a killed attempt left half done', async () => {
    rmSync(at('postgresql.conf'));
    makeDirectoryFor(bed.layout.user, at('pgpool-runbook.new'), 0o700);
    writeFor(bed.layout.user, at('pgpool-runbook.new/own.conf'), 'half');
    rmSync(at('server.key'));
    makeDirectoryFor(bed.layout.user, at('server.key'), 0o700);
    expect((await restore()).changed).toBe(true);
    expectOwnFiles();
  });

  it.each([
    ['before the act', { beforeScript: 'OURS=' } as const, true],
    ['after the act', { afterScript: 'OURS=' } as const, false],
  ])('is completed by another worker when the first is killed %s', async (_, moment, changed) => {
    await dieDuring(bed.lab.clusterFile, 'restoreConfiguration', inputFor(), moment);
    const elsewhere = createTools(bed.lab.clusterFile);
    try {
      expect((await perform(elsewhere, 'restoreConfiguration', inputFor())).changed).toBe(changed);
      expectOwnFiles();
    } finally {
      await elsewhere.close();
    }
  });

  it('leaves what is too large for configuration as the copy brought it, and says so', async () => {
    writeFor(bed.layout.user, at('dump.sql'), 'x'.repeat(17 * 1024 * 1024));
    writeFor(bed.layout.user, at('server.key'), 'x'.repeat(17 * 1024 * 1024));
    const { line } = await restore();
    expect(line).toMatch(/; as the base backup brought it: dump.sql \(larger than 16 MiB\)$/);
    expectOwnFiles();
  });

  it('writes an empty postgresql.auto.conf when the set has none: the primary’s settings are the primary’s', async () => {
    const auto = path.join(set, 'postgresql.auto.conf');
    renameSync(auto, `${set}.auto`);
    try {
      expect((await restore()).changed).toBe(true);
    } finally {
      renameSync(`${set}.auto`, auto);
    }
    expect(read('postgresql.auto.conf')).toBe(autoConfHeader);
  });
});

it('without a saved set keeps what the copy brought, with the node’s own port, and says so', async () => {
  await placeCopy();
  appendFileSync(at('postgresql.auto.conf'), stale);
  const { changed, line } = await restore(withoutSets());
  expect(changed).toBe(true);
  expect(line).toBe(
    `node 1 has no saved configuration: the files in ${at('')} are the primary's now, with port ` +
      `${bed.node(1).port} in postgresql.auto.conf; check its addresses, memory settings, access rules and certificates`,
  );
  expect(existsSync(at('primary-only.conf'))).toBe(true);
  expect(setting('maintenance_work_mem')).toBe('77MB');
  expect(setting('port')).toBe(String(bed.node(1).port));
  for (const name of ['primary_conninfo', 'primary_slot_name', 'synchronous_standby_names'])
    expect([name, setting(name)]).toEqual([name, null]);
  expect(read('postgresql.auto.conf')).not.toContain('hunter2');
  expect((await restore(withoutSets())).changed).toBe(false);
});

describe('refuses, and touches nothing,', () => {
  beforeEach(placeCopy);

  it.each([
    ['without a mark', null, 'it carries no mark'],
    [
      'with the mark of another rebuild',
      '20261123T101530Z-ffffffff\n',
      'it carries the mark of 20261123T101530Z-ffffffff',
    ],
  ])('a directory %s', async (_, mark, said) => {
    rmSync(at(rebuildMarkName));
    if (mark) writeFor(bed.layout.user, at(rebuildMarkName), mark);
    const failure = await failureOf(restore());
    expect(failure).toMatchObject({ type: 'WorldChanged', nonRetryable: true });
    expect(failure.message).toBe(`node 1: ${at('')} is not the fresh copy of rebuild ${rebuildId}: ${said}`);
    expect(read('server.key')).toBe('# of node 0\n');
  });

  it('a directory in which PostgreSQL works', async () => {
    const conf = read('postgresql.conf').replaceAll(bed.node(0).host, bed.node(1).host);
    writeFor(bed.layout.user, at('postgresql.conf'), conf.replaceAll('/node0', '/node1'));
    writeFor(bed.layout.user, at('standby.signal'), '');
    await bed.lab.start(1);
    const failure = await failureOf(restore());
    expect(failure).toMatchObject({ type: 'WorldChanged', nonRetryable: true });
    expect(failure.message).toMatch(/refused to read its configuration files: PostgreSQL processes work in \S+$/);
    expect(read('server.key')).toBe('# of node 0\n');
  });
});
