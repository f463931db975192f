// configureStandby on the files of a stopped node: where primary_conninfo comes from, what goes, what stays, and that it streams.
// Also asks a real PostgreSQL how it reads the spellings that domain/texts/settings-file.ts claims to know.
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { ConfigureStandbyInput, ConfigureStandbyResult } from '../../../activities/standby/configure-standby';
import { parseConninfo } from '../../../domain/texts/conninfo';
import { autoConfHeader, readSetting } from '../../../domain/texts/settings-file';
import { writeFor } from '../../../lab/files';
import { type Bed, createTools, dieDuring, failureOf, perform, startBed, waitFor } from '../support';

let bed: Bed;
let original: string;
const at = (name: string): string => path.join(bed.node(1).dataDirectory, name);
const read = (name: string): string => readFileSync(at(name), 'utf8');
const write = (name: string, text: string): void => {
  writeFor(bed.layout.user, at(name), text);
};
const conninfo = (): Record<string, string> =>
  Object.fromEntries(parseConninfo(readSetting(read('postgresql.auto.conf'), 'primary_conninfo')!)!);

const inputFor = (): ConfigureStandbyInput => ({ configuration: bed.configuration, node: 1, primary: 0 });
const configure = (): Promise<ConfigureStandbyResult> => perform(bed.tools, 'configureStandby', inputFor());
const setsDirectory = (): string => path.join(bed.layout.directory, 'saved', `${bed.configuration.cluster}.node1`);

beforeAll(async () => {
  bed = await startBed('configure', 2);
  // With the password in primary_conninfo, and only there.
  await bed.ask(0, `alter role replicator password 'hunter2'`);
  await bed.stop(1);
  original = read('postgresql.conf');
});
afterAll(() => bed.down());

beforeEach(async () => {
  if (bed.processes(1).length > 0) await bed.stop(1);
  rmSync(setsDirectory(), { recursive: true, force: true });
  for (const name of ['standby.signal', 'recovery.signal']) rmSync(at(name), { force: true });
  write('postgresql.conf', original);
});

const former = `Primary_Conninfo = 'user=replicator password=hunter2 host=127.0.0.9 hostaddr=127.0.0.9 sslmode=disable application_name=x'`;
const own = `${autoConfHeader}restore_command = 'false'\n# a comment\n`;
const stale = `primary_slot_name = 'own_slot'\nrecovery_target_timeline = '1'\nsynchronous_standby_names = 'ghost'\n`;

const slotsOfPrimary = async (): Promise<unknown> =>
  (await bed.ask(0, 'select array_agg(slot_name::text) as names from pg_replication_slots'))['names'];

/** Everything but the conninfo's own words. */
function expectConfigured(): void {
  const { host, port } = bed.node(0);
  expect(conninfo()).toMatchObject({ host, port: String(port), user: 'replicator', application_name: 'node1' });
  expect(read('postgresql.auto.conf').match(/primary_conninfo/gi)).toHaveLength(1);
  expect(read('postgresql.auto.conf')).not.toMatch(/ghost|recovery_target/);
  expect(statSync(at('postgresql.auto.conf')).mode & 0o777).toBe(0o600);
  expect(existsSync(at('standby.signal'))).toBe(true);
  expect(existsSync(at('recovery.signal'))).toBe(false);
  expect(readdirSync(at('')).filter((name) => name.startsWith('pgpool-runbook'))).toEqual([]);
}

it('repoints the node’s own primary_conninfo, drops what is of the moment, and the node streams', async () => {
  write('postgresql.auto.conf', `${own}${stale}${former}\n${former.replace('9', '8')}`);
  write('recovery.signal', '');
  write('standby.signal', 'before-promotion\n');
  const { host, port } = bed.node(0);
  const where = `configured to follow node 0 (${host}:${port})`;
  const first = await configure();
  const renamed = ', through its slot own_slot, which was made there; its application_name is now node1, it was x';
  expect(first).toEqual({ changed: true, line: `node 1 is now ${where}${renamed}` });
  expectConfigured();
  expect(conninfo()).toMatchObject({ password: 'hunter2', sslmode: 'disable' });
  expect(conninfo()).not.toHaveProperty('hostaddr');
  expect(read('postgresql.auto.conf').startsWith(own)).toBe(true);
  // A fence's mark speaks of one failover: it is gone once the node is a standby.
  expect(read('standby.signal')).toBe('');

  const { ino } = statSync(at('postgresql.auto.conf'));
  expect(await configure()).toEqual({ changed: false, line: `node 1 is already ${where}` });
  expect(statSync(at('postgresql.auto.conf')).ino).toBe(ino);

  await bed.lab.start(1);
  const isStreaming = `select count(*)::int as n from pg_stat_replication where application_name = 'node1' and state = 'streaming'`;
  await waitFor(async () => (await bed.ask(0, isStreaming))['n'] === 1, { what: 'a stream', timeoutMs: 10_000 });
  expect(await bed.ask(1, 'show synchronous_standby_names')).toEqual({ synchronous_standby_names: '' });
  const slots = 'select slot_name, active from pg_replication_slots';
  await waitFor(async () => (await bed.ask(0, slots))['active'] === true, { what: 'its slot', timeoutMs: 5000 });
  expect(await bed.ask(0, slots)).toMatchObject({ slot_name: 'own_slot' });

  const failure = await failureOf(configure());
  expect(failure).toMatchObject({ type: 'WorldChanged', nonRetryable: true });
  expect(failure.message).toMatch(/PostgreSQL processes work in \S+$/);
  expect(JSON.stringify([first, failure, failure.message, failure.stack])).not.toContain('hunter2');
});

it('keeps the application name of the node where the cluster file gives none', async () => {
  write('postgresql.auto.conf', former);
  const nodes = bed.configuration.nodes.map((node) => ({ ...node, applicationName: null }));
  const configuration = { ...bed.configuration, nodes };
  const { line } = await perform(bed.tools, 'configureStandby', { configuration, node: 1, primary: 0 });
  expect(line).not.toContain('application_name');
  expect(conninfo()).toMatchObject({ application_name: 'x' });
});

describe('the former primary_conninfo is found', () => {
  it('in the last saved set, when postgresql.auto.conf was restored without it', async () => {
    write('postgresql.auto.conf', `${own}${former}\nprimary_slot_name = 'saved_slot'\n`);
    await perform(bed.tools, 'saveConfiguration', { configuration: bed.configuration, node: 1, rebuildId: null });
    write('postgresql.auto.conf', own);
    expect((await configure()).line).toContain(', through its slot saved_slot, which was made there');
    expectConfigured();
    expect(read('postgresql.auto.conf')).toContain("primary_slot_name = 'saved_slot'");
    expect(await slotsOfPrimary()).toContain('saved_slot');
    expect(conninfo()).toMatchObject({ password: 'hunter2', sslmode: 'disable' });
  });

  it('in a file that postgresql.conf includes, as in pgpool’s own examples', async () => {
    write('postgresql.auto.conf', own);
    write('postgresql.conf', `${original}\ninclude_if_exists = 'myrecovery.conf'\n`);
    write('myrecovery.conf', `${former}\nprimary_slot_name = 'host_of_1'\n`);
    const { line } = await configure();
    expect(line).not.toMatch(/cluster file/);
    expect(line).toContain(', through its slot host_of_1, which was made there');
    expect(await configure()).toMatchObject({ changed: false, line: expect.not.stringContaining('slot') as string });
    expectConfigured();
    expect(read('postgresql.auto.conf')).not.toContain('primary_slot_name');
    expect(await slotsOfPrimary()).toContain('host_of_1');
    expect(conninfo()).toMatchObject({ password: 'hunter2', sslmode: 'disable' });
  });

  it('nowhere: it is made from the cluster file, and that is said', async () => {
    rmSync(at('postgresql.auto.conf'));
    expect((await configure()).line).toMatch(
      /; it had no primary_conninfo, the new one is from the cluster file alone$/,
    );
    expectConfigured();
    expect(conninfo()).toMatchObject({ passfile: bed.layout.worker.passFile });
    expect(read('postgresql.auto.conf').startsWith(autoConfHeader)).toBe(true);
  });

  it('malformed: it is made from the cluster file, and that is said without its text', async () => {
    write('postgresql.auto.conf', `${own}primary_conninfo = 'password=''hunter2 host=x'\n`);
    const { line } = await configure();
    expect(line).toMatch(/; its primary_conninfo in postgresql.auto.conf is not keyword = value text: /);
    expect(line).not.toContain('hunter2');
    expectConfigured();
    expect(conninfo()).not.toHaveProperty('password');
  });
});

it('leaves bytes that are not UTF-8 as they are', async () => {
  const line = Buffer.from("cluster_name = 'caf\xe9'\n", 'latin1');
  write('postgresql.auto.conf', '');
  writeFileSync(at('postgresql.auto.conf'), Buffer.concat([line, Buffer.from(`${former}\n`)]));
  await configure();
  expectConfigured();
  expect(readFileSync(at('postgresql.auto.conf')).subarray(0, line.length)).toEqual(line);
});

it.each([
  ['before the act', { beforeScript: 'put_auto "$3"' } as const, true],
  ['between act and proof', { afterScript: 'put_auto "$3"' } as const, false],
])('is completed by another worker when the first is killed %s', async (_, moment, changed) => {
  write('postgresql.auto.conf', `${own}${stale}${former}\n`);
  write('pgpool-runbook.new', 'half');
  await dieDuring(bed.lab.clusterFile, 'configureStandby', inputFor(), moment);
  const elsewhere = createTools(bed.lab.clusterFile);
  try {
    expect((await perform(elsewhere, 'configureStandby', inputFor())).changed).toBe(changed);
    expectConfigured();
    expect(conninfo()).toMatchObject({ password: 'hunter2' });
  } finally {
    await elsewhere.close();
  }
});

it('does not overwrite what somebody wrote after it had read', async () => {
  write('postgresql.auto.conf', `${own}${former}\n`);
  const run = bed.tools.ssh.run.bind(bed.tools.ssh);
  const spy = jest.spyOn(bed.tools.ssh, 'run').mockImplementation((target, script, options) => {
    if (script.includes('put_auto "$3"')) write('postgresql.auto.conf', `${own}port = 1\n${former}\n`);
    return run(target, script, options);
  });
  const failure = await failureOf(configure());
  spy.mockRestore();
  expect(failure).toMatchObject({ type: 'Unproven', nonRetryable: false });
  expect(failure.message).toMatch(/postgresql.auto.conf has changed since it was read$/);
  expect(failure.message).not.toContain('hunter2');
  expect(readSetting(read('postgresql.auto.conf'), 'port')).toBe('1');
});

it('reads every spelling as PostgreSQL does', async () => {
  const auto = path.join(bed.node(0).dataDirectory, 'postgresql.auto.conf');
  const before = readFileSync(auto, 'utf8');
  const lines = [
    `\tWORK_MEM\t'5MB'\r`,
    `temp_buffers=9MB # why`,
    `wal_sender_timeout 10s`,
    `log_line_prefix'it''s \\'x\\' \\\\ \\101\\t# no comment'`,
    `my.name = 'a'`,
    `My.Name = b_1.c-d:e/f`,
    `from_collapse_limit = +7`,
    `seq_page_cost = 1.5e0`,
    `search_path = ''`,
  ];
  writeFileSync(auto, `${before}\n${lines.join('\n')}`);
  const names = [
    ...['work_mem', 'temp_buffers', 'wal_sender_timeout', 'log_line_prefix', 'my.name', 'from_collapse_limit'],
    ...['seq_page_cost', 'search_path'],
  ];
  try {
    const { settings } = await bed.ask(
      0,
      `select json_object_agg(name, setting) as settings from (select distinct on (lower(name)) lower(name) as name, setting
         from pg_file_settings where sourcefile like '%auto.conf' order by lower(name), seqno desc) s`,
    );
    const text = readFileSync(auto, 'utf8');
    expect(Object.fromEntries(names.map((name) => [name, readSetting(text, name)]))).toEqual(
      Object.fromEntries(names.map((name) => [name, (settings as Record<string, string>)[name]])),
    );
    expect(readSetting(text, 'log_line_prefix')).toBe("it's 'x' \\ A\t# no comment");
  } finally {
    writeFileSync(auto, before);
  }
});
