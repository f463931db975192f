// saveDivergedWal on real nodes: what only a former primary holds is saved and counted, and PostgreSQL's own reader agrees.
import { execFileSync, spawnSync } from 'node:child_process';
import { appendFileSync, chmodSync, existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { SaveDivergedWalInput, SaveDivergedWalResult } from '../../../activities/data/save-diverged-wal';
import { parseTimelineHistory } from '../../../domain/facts/wal';
import { writeFor } from '../../../lab/files';
import { runOrFail } from '../../../lab/processes';
import { including } from '../../host/support';
import { type Bed, createTools, dieDuring, failureOf, perform, startBed, waitFor } from '../support';

let bed: Bed;

beforeAll(async () => {
  bed = await startBed('wal');
  // A commit of anybody else would be counted, too.
  await bed.ask(0, 'alter system set autovacuum = off');
  await bed.ask(0, 'create table writes (id int, at text)');
  await waitFor(async () => (await bed.ask(1, `select to_regclass('writes') as t`))['t'] !== null, {
    what: 'the table',
    timeoutMs: 10_000,
  });
  await bed.keep();
});
afterAll(() => bed.down());
afterEach(async () => {
  rmSync(saved(), { recursive: true, force: true });
  await bed.reset();
});

const rebuildId = '20261123T101530Z-0a1b2c3d';
const saved = (): string => bed.saved(0);
const setOf = (id: string): string => path.join(saved(), `diverged-wal-${id}`);
const data = (node = 0): string => bed.node(node).dataDirectory;
const jobs = (): string => bed.jobs(0);

async function inputFor(more: Partial<SaveDivergedWalInput> = {}): Promise<SaveDivergedWalInput> {
  const { timeline } = await bed.ask(
    1,
    `select ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int as timeline`,
  );
  const file = path.join(data(1), 'pg_wal', `${String(timeline).padStart(8, '0')}.history`);
  const primaryHistory = parseTimelineHistory(existsSync(file) ? readFileSync(file, 'utf8') : '')!;
  const primaryTimeline = Number(timeline);
  return { configuration: bed.configuration, node: 0, primary: 1, primaryTimeline, primaryHistory, rebuildId, ...more };
}
const save = async (more: Partial<SaveDivergedWalInput> = {}): Promise<SaveDivergedWalResult> =>
  perform(bed.tools, 'saveDivergedWal', await inputFor(more));

/** Nothing that node 0 writes from now on can reach this standby, not even from a socket's buffer. */
async function detach(node: number): Promise<void> {
  await bed.ask(node, `alter system set primary_conninfo = ''`);
  await bed.ask(node, 'select pg_reload_conf()');
  const receivers = 'select count(*)::int as n from pg_stat_wal_receiver';
  await waitFor(async () => (await bed.ask(node, receivers))['n'] === 0, { what: 'no receiver', timeoutMs: 10_000 });
}

async function write(count: number, node = 0): Promise<void> {
  for (let id = 0; id < count; id += 1) await bed.ask(node, `insert into writes values (${id}, now())`);
}

const promote = (node: number): Promise<unknown> => bed.ask(node, 'select pg_promote()');

/** The failover that leaves node 0 with commits that nobody else has. */
async function diverge(): Promise<void> {
  await detach(1);
  await write(3);
  await bed.stop(0, 'immediate');
  await promote(1);
}

interface Reading {
  readonly commits: number;
  readonly end: string | undefined;
  readonly records: { readonly lsn: string; readonly bytes: string; readonly isSwitch: boolean }[];
}

/** A directory's WAL as pg_waldump reads it by itself. */
function readWal(directory: string, timeline: number, from: string): Reading {
  const binary = path.join(bed.configuration.postgres.bin, 'pg_waldump');
  const args = ['-p', directory, '-t', String(timeline), '-s', from];
  const { stdout, stderr } = spawnSync(binary, args, { encoding: 'utf8', env: { LC_ALL: 'C' }, maxBuffer: 1e8 });
  const record = /^rmgr: (\w+) +len \(rec\/tot\): +\d+\/ *(\d+), .*? lsn: ([0-9A-F/]+), .* desc: (\w+)/gm;
  const records = [...stdout.matchAll(record)];
  return {
    commits: records.filter(([, manager, , , what]) => manager === 'Transaction' && what === 'COMMIT').length,
    end: /invalid record length at ([0-9A-F/]+)/.exec(stderr)?.[1],
    records: records.map(([, , bytes, lsn, what]) => ({ lsn: lsn!, bytes: bytes!, isSwitch: what === 'SWITCH' })),
  };
}

const forkOf = async (): Promise<string> => (await inputFor()).primaryHistory.at(-1)!.endLsn;
const plain = (lsn: string): string => lsn.replace(/\/0*(?=.)/, '/');

it('saves what a killed primary alone holds, and says how much that is', async () => {
  await diverge();
  const fork = await forkOf();
  const result = await save();
  const { end, commits } = readWal(path.join(data(), 'pg_wal'), 1, fork);
  expect(commits).toBe(3);
  expect(result).toMatchObject({ changed: true, wasPrimary: true, fenceMark: 'none' });
  expect(result.range).toMatchObject({ timeline: 1, fromLsn: fork, toLsn: plain(end!), commits: 3 });
  const { range, line } = result;
  expect(range!.bytes).toBe(parseInt(range!.toLsn.split('/')[1]!, 16) - parseInt(fork.split('/')[1]!, 16));
  expect(Math.abs(Date.parse(range!.lastCommitAt!) - Date.now())).toBeLessThan(60_000);
  expect(line).toBe(
    `node 0 holds ${range!.bytes} bytes of WAL after the fork at (1, ${fork}): 3 commits, the last at ${range!.lastCommitAt!}; saved in ${setOf(rebuildId)}; read it with pg_waldump`,
  );
  expect(range!.savedTo).toBe(setOf(rebuildId));
  expect(readWal(range!.savedTo, 1, fork)).toMatchObject({ end, commits });
  expect(execFileSync('stat', ['-c', '%a', range!.savedTo], { encoding: 'utf8' }).trim()).toBe('700');

  expect(await save()).toEqual({ ...result, changed: false });
  expect(existsSync(jobs()) ? readdirSync(jobs()) : []).toEqual([]);
});

it('answers the same when the data is replaced, or gone', async () => {
  await diverge();
  const result = await save();
  const answer = { ...result, changed: false };
  renameSync(data(), `${data()}.aside`);
  expect(await save()).toEqual(answer);
  expect(await save({ rebuildId: '20261123T111111Z-00000000' })).toMatchObject({
    ...{ changed: false, range: null, wasPrimary: false, fenceMark: 'none' },
    line: `node 0 has no WAL to save: there is no data directory at ${data()}`,
  });
  // The fresh copy, with WAL of its own.
  execFileSync('cp', ['-a', `${data()}.aside`, data()]);
  writeFor(bed.layout.user, path.join(data(), 'pgpool-runbook.rebuild'), `${rebuildId}\n`);
  writeFor(bed.layout.user, path.join(data(), 'backup_label'), '');
  expect(await save()).toEqual(answer);
  rmSync(setOf(rebuildId), { recursive: true });
  expect(await save()).toMatchObject({ changed: false, range: null, wasPrimary: false });
  rmSync(`${data()}.aside`, { recursive: true });
});

it('sees the writes of a node on which a mark was left over', async () => {
  await diverge();
  writeFor(bed.layout.user, path.join(data(), 'pgpool-runbook.rebuild'), '20261101T000000Z-ffffffff\n');
  expect(await save()).toMatchObject({ changed: true, wasPrimary: true, range: { commits: 3 } });
});

it('keeps what it saved of the replaced data when the copy itself has taken writes', async () => {
  await diverge();
  await save();
  // In the place of the copy: data that went on from elsewhere, onto a timeline of its own.
  writeFor(bed.layout.user, path.join(data(), 'pgpool-runbook.rebuild'), `${rebuildId}\n`);
  writeFor(bed.layout.user, path.join(data(), 'standby.signal'), '');
  await bed.lab.start(0);
  await promote(0);
  await write(2);
  await bed.stop(0, 'immediate');
  const second = await save();
  expect(second).toMatchObject({ changed: true, wasPrimary: true, range: { savedTo: setOf(rebuildId), commits: 5 } });
  expect(await save()).toEqual({ ...second, changed: false });
  const [set, former] = readdirSync(saved()).sort();
  expect(set).toBe(`diverged-wal-${rebuildId}`);
  expect(readFileSync(path.join(saved(), former!, 'report'), 'utf8')).toMatch(/^commits=3$/m);
});

it('answers the same when the copy that replaced the data was started', async () => {
  await diverge();
  const result = await save();
  const { user, tools } = bed.layout;
  rmSync(data(), { recursive: true });
  const { host, port } = bed.node(1);
  const source = `host=${host} port=${port} user=replicator passfile=${bed.layout.worker.passFile}`;
  const argv = ['-D', data(), '-d', source, '-R', '-c', 'fast', '--no-sync', '-w'];
  await runOrFail(path.join(tools.postgresBin, 'pg_basebackup'), argv, { user });
  writeFor(user, path.join(data(), 'pgpool-runbook.rebuild'), `${rebuildId}\n`);
  renameSync(path.join(data(), 'backup_label'), path.join(data(), 'backup_label.old'));
  expect(await save()).toEqual({ ...result, changed: false });
});

it('saves nothing where nothing has diverged', async () => {
  const same = {
    configuration: bed.configuration,
    node: 1,
    primary: 0,
    primaryTimeline: 1,
    primaryHistory: [],
    rebuildId,
  };
  expect(await perform(bed.tools, 'saveDivergedWal', same)).toEqual({
    ...{ changed: false, range: null, wasPrimary: false, fenceMark: 'none' },
    line: 'node 1 is on the same branch as node 0: no WAL is to be saved',
  });
  await write(2);
  await perform(bed.tools, 'fence', {
    ...{
      configuration: bed.configuration,
      node: 0,
      clockOffsetMs: 0,
      isHostSilent: false,
      mark: 'before-promotion',
      isReplaced: false,
    },
  });
  await promote(1);
  expect(await save()).toEqual({
    ...{ changed: false, range: null, wasPrimary: true, fenceMark: 'before-promotion' },
    line: `node 0 holds nothing beyond the fork at (1, ${await forkOf()})`,
  });
  expect(existsSync(saved())).toBe(false);
});

it('reads a former primary that has come up as a standby', async () => {
  await diverge();
  writeFor(bed.layout.user, path.join(data(), 'standby.signal'), 'after-return\n');
  const { host, port } = bed.node(1);
  const conninfo = `host=${host} port=${port} user=replicator passfile=${bed.layout.worker.passFile}`;
  appendFileSync(path.join(data(), 'postgresql.auto.conf'), `primary_conninfo = '${conninfo}'\n`);
  const log = bed.layout.nodes[0]!.logFile;
  const before = readFileSync(log, 'utf8').length;
  await bed.lab.start(0);
  // The node streams its last segment anew up to the fork, over and over.
  const hasTried = (): boolean => readFileSync(log, 'utf8').slice(before).includes('forked off');
  await waitFor(hasTried, { what: 'a try to follow', timeoutMs: 10_000 });
  const result = await save();
  expect(result).toMatchObject({ changed: true, wasPrimary: true, fenceMark: 'after-return', range: { commits: 3 } });
  expect(await save()).toEqual({ ...result, changed: false });
});

it('saves again what was written since', async () => {
  await diverge();
  const first = await save();
  await bed.lab.start(0);
  await write(2);
  await bed.stop(0, 'immediate');
  const second = await save();
  expect(second).toMatchObject({ changed: true, range: { fromLsn: first.range!.fromLsn, commits: 5 } });
  expect(second.range!.bytes).toBeGreaterThan(first.range!.bytes);
  expect(readdirSync(saved())).toEqual([`diverged-wal-${rebuildId}`]);
});

it('saves every segment from the fork on, and says which are gone', async () => {
  await detach(1);
  const names: string[] = [];
  for (let round = 0; round < 3; round += 1) {
    await write(1);
    const { name } = await bed.ask(0, 'select pg_walfile_name(pg_switch_wal()) as name');
    names.push(String(name));
  }
  await bed.stop(0, 'immediate');
  await promote(1);
  const { range } = await save();
  expect(range).toMatchObject({ timeline: 1, commits: 3 });
  expect(range!.toLsn).toMatch(/^0\/[0-9A-F]+000000$/);
  const segments = (id: string): string[] => readdirSync(setOf(id)).filter((name) => name !== 'report');
  expect(segments(rebuildId).sort()).toEqual(names);

  rmSync(path.join(data(), 'pg_wal', names[0]!));
  const other = '20261123T121212Z-00000001';
  const rest = await save({ rebuildId: other });
  const from = `0/${(parseInt(names[1]!.slice(16), 16) * 2 ** 24).toString(16).toUpperCase()}`;
  expect(rest).toMatchObject({ changed: true, range: { fromLsn: from, toLsn: range!.toLsn, commits: 2 } });
  expect(rest.line).toContain(`(1, ${await forkOf()}) (what was between and ${from} is gone from it): 2 commits`);
  expect(segments(other).sort()).toEqual(names.slice(1));
});

it('follows a node over its own promotion, through a linked pg_wal', async () => {
  await detach(1);
  await write(2);
  const { lsn } = await bed.ask(0, 'select pg_current_wal_flush_lsn()::text as lsn');
  const hasAll = `select pg_last_wal_replay_lsn() >= '${String(lsn)}' as yes`;
  await waitFor(async () => (await bed.ask(2, hasAll))['yes'] === true, { what: 'node 2', timeoutMs: 10_000 });
  await bed.stop(0, 'immediate');
  await promote(1);
  await promote(2);
  await write(3, 2);
  await bed.stop(2, 'immediate');
  const elsewhere = path.join(bed.layout.directory, 'wal-of-2');
  renameSync(path.join(data(2), 'pg_wal'), elsewhere);
  symlinkSync(elsewhere, path.join(data(2), 'pg_wal'));
  const { range, wasPrimary } = await save({ node: 2 });
  const [fork, own] = [await forkOf(), readFileSync(path.join(elsewhere, '00000002.history'), 'utf8').split(/\s+/)[1]!];
  expect(wasPrimary).toBe(true);
  expect(range).toMatchObject({ timeline: 1, fromLsn: fork, commits: 5 });
  expect(range!.toLsn).toBe(plain(readWal(elsewhere, 2, own).end!));
  expect(readdirSync(range!.savedTo)).toContain('00000002.history');
  rmSync(range!.savedTo, { recursive: true });
  rmSync(elsewhere, { recursive: true });
});

it('keeps the five newest sets, and only removes its own', async () => {
  await diverge();
  const older = [1, 2, 3, 4, 5, 6].map((day) => `diverged-wal-2026110${day}T000000Z-00000000`);
  for (const name of [...older, `${older[0]!}.tmp`, '20261101T000000Z-00000000', 'diverged-wal-of-mine'])
    mkdirSync(path.join(saved(), name), { recursive: true });
  execFileSync('chown', ['-R', `${bed.layout.user.uid}:${bed.layout.user.gid}`, saved()]);
  await save();
  expect(readdirSync(saved()).sort()).toEqual(
    ['20261101T000000Z-00000000', ...older.slice(2), `diverged-wal-${rebuildId}`, 'diverged-wal-of-mine'].sort(),
  );
});

it('fails while there is WAL that it cannot save, leaves nothing, and succeeds when it can', async () => {
  await diverge();
  writeFor(bed.layout.user, saved(), 'in the way');
  const failed = await failureOf(save());
  expect(failed).toMatchObject({ type: 'Unproven', nonRetryable: false });
  expect(failed.message).toMatch(/^node 0 \(.*\): cannot save its diverged WAL to .*cannot make /);
  expect(existsSync(jobs()) ? readdirSync(jobs()) : []).toEqual([]);
  rmSync(saved());
  expect(await save()).toMatchObject({ changed: true, range: { commits: 3 } });
});

it('asks for pg_waldump where it is missing', async () => {
  await diverge();
  const postgres = { ...bed.configuration.postgres, bin: '/nowhere' };
  const failed = await failureOf(save({ configuration: { ...bed.configuration, postgres } }));
  expect(failed).toMatchObject({ type: 'Configuration' });
  expect(failed.message).toMatch(/pg_waldump cannot be run \(postgres\.bin\).*\/nowhere/);
});

/** A directory of PostgreSQL's programs in which pg_waldump is another script, which has the real one as $REAL. */
function makeBin(name: string, script: string): string {
  const bin = path.join(bed.layout.directory, name);
  const real = bed.configuration.postgres.bin;
  mkdirSync(bin);
  for (const program of readdirSync(real)) symlinkSync(path.join(real, program), path.join(bin, program));
  rmSync(path.join(bin, 'pg_waldump'));
  writeFileSync(path.join(bin, 'pg_waldump'), `#!/bin/sh\nREAL=${real}/pg_waldump\n${script}\n`);
  chmodSync(path.join(bin, 'pg_waldump'), 0o755);
  return bin;
}

it('does not take a reader that fails for a log that is empty', async () => {
  await diverge();
  const bin = makeBin('failing-bin', 'case "$*" in *-n*) echo "cannot fork" >&2; exit 1;; esac; exec "$REAL" "$@"');
  const postgres = { ...bed.configuration.postgres, bin };
  const failed = await failureOf(save({ configuration: { ...bed.configuration, postgres } }));
  expect(failed).toMatchObject({ type: 'Unproven', nonRetryable: false });
  expect(failed.message).toContain('cannot look at its WAL: pg_waldump said: cannot fork');
});

it('is completed by another worker when the first is killed while it copies', async () => {
  await diverge();
  const hold = path.join(bed.layout.directory, 'hold');
  const wait = `while [ -e ${hold} ]; do sleep 0.05; done`;
  const bin = makeBin('slow-bin', `case "$*" in *.tmp*) ${wait};; esac; exec "$REAL" "$@"`);
  writeFileSync(hold, '');
  const configuration = { ...bed.configuration, postgres: { ...bed.configuration.postgres, bin } };
  const input = await inputFor({ configuration });
  await dieDuring(bed.lab.clusterFile, 'saveDivergedWal', input, { saying: '1 of 1 WAL files' });
  expect(readdirSync(saved())).toEqual([`diverged-wal-${rebuildId}.tmp`]);
  rmSync(hold);
  const elsewhere = createTools(bed.lab.clusterFile);
  try {
    const result = await perform(elsewhere, 'saveDivergedWal', input);
    expect(result.range).toMatchObject({ commits: 3, savedTo: setOf(rebuildId) });
    expect(readdirSync(saved())).toEqual([`diverged-wal-${rebuildId}`]);
    expect(await perform(elsewhere, 'saveDivergedWal', input)).toEqual({ ...result, changed: false });
  } finally {
    await elsewhere.close();
  }
});

it('knows where each record ends: there the next one begins', async () => {
  const insert = 'pg_current_wal_insert_lsn()';
  const left = `16777216 - (${insert} - '0/0')::bigint % 16777216`;
  await bed.ask(0, `select pg_logical_emit_message(true, 'fill', repeat('x', (${left})::int - 1000000))`);
  const { lsn: from } = await bed.ask(0, `select ${insert}::text as lsn`);
  // Records of many pages, and one that a segment's end cuts.
  await bed.ask(0, `select pg_logical_emit_message(true, 'x', repeat('x', 700000)) from generate_series(1, 3)`);
  await bed.ask(0, 'select pg_switch_wal()');
  await write(1);
  const { records } = readWal(path.join(data(), 'pg_wal'), 1, String(from));
  expect(new Set(records.map(({ lsn }) => Math.floor(parseInt(lsn.split('/')[1]!, 16) / 2 ** 24))).size).toBe(3);
  expect(records.filter(({ isSwitch }) => isSwitch)).toHaveLength(1);
  const lines = records.map(({ lsn, bytes, isSwitch }) => `${lsn} ${bytes} ${isSwitch ? 'yes' : 'no'}\n`).join('');
  const loop = 'SIZE=16777216; while read -r lsn bytes switch; do end_of "$lsn" "$bytes" "$switch"; echo "$END"; done';
  const ends = execFileSync('sh', ['-c', including('record-end', loop)], { input: lines, encoding: 'utf8' });
  const skipHeader = (byte: number): number => byte + (byte % 8192 ? 0 : byte % 2 ** 24 ? 24 : 40);
  const begins = records.slice(1).map(({ lsn }) => parseInt(lsn.split('/')[1]!, 16));
  expect(ends.trim().split('\n').map(Number).map(skipHeader).slice(0, -1)).toEqual(begins);
});
