// baseBackup against real nodes: copied once whatever happens to workers, jobs and the primary; nothing is removed but what is ours.
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { Client, type ClientConfig } from 'pg';
import type { BaseBackupInput, BaseBackupProgress, BaseBackupResult } from '../../../activities/data/base-backup';
import type { ClusterConfiguration, PolicyConfiguration } from '../../../domain/facts/cluster';
import { makeDirectoryFor } from '../../../lab/files';
import { planOf } from '../rebuild-support';
import { type Bed, createEnvironment, createTools, dieDuring, failureOf, perform, startBed } from '../support';

let bed: Bed;

beforeAll(async () => {
  bed = await startBed('base-backup', 2);
});
afterAll(() => bed.down());
afterEach(() => {
  expect(copying()).toEqual([]);
  for (const directory of [fresh(), jobs()]) rmSync(directory, { recursive: true, force: true });
});

const data = (): string => bed.node(1).dataDirectory;
const fresh = (): string => `${data()}.pgpool-runbook-rebuild`;
const jobs = (): string => bed.jobs(1);
const job = (id = '20261123t101530z-0a1b2c3d'): string => path.join(jobs(), `base-backup-${id}`);
const pidOf = (directory: string): number => Number(readFileSync(path.join(directory, 'pid'), 'utf8'));

const inputFor = (more: Partial<BaseBackupInput> = {}): BaseBackupInput => ({
  configuration: bed.configuration,
  node: 1,
  primary: 0,
  rebuild: planOf(data()),
  ...more,
});
const baseBackup = (
  more: Partial<BaseBackupInput> = {},
  environment = createEnvironment(),
): Promise<BaseBackupResult> => perform(bed.tools, 'baseBackup', inputFor(more), environment);

const withPolicy = (policy: PolicyConfiguration['baseBackup']): ClusterConfiguration => ({
  ...bed.configuration,
  policy: { ...bed.configuration.policy, baseBackup: policy },
});
/** So slow, about 8 s, that something can happen meanwhile. */
const slowly = (maximumRateKilobytes = 1024): ClusterConfiguration =>
  withPolicy({ maximumRateKilobytes, compression: 'none' });
/** For a copy that is never to end by itself. */
const verySlowly = (): ClusterConfiguration => slowly(512);

/** The pg_basebackup processes of this bed. */
function copying(): string[] {
  return readdirSync('/proc').filter((pid) => {
    try {
      const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      return readlinkSync(`/proc/${pid}/exe`).endsWith('/pg_basebackup') && words.includes(bed.layout.directory);
    } catch {
      return false;
    }
  });
}

/** Resolves once the copy has come some way; `running` must still run then. */
async function halfWay(environment: ReturnType<typeof createEnvironment>): Promise<BaseBackupProgress> {
  return await new Promise((resolve) => {
    environment.on('heartbeat', (details: BaseBackupProgress) => {
      if ((details.percent ?? 0) > 0) resolve(details);
    });
  });
}

function expectCopied(directory = fresh()): void {
  const bin = bed.configuration.postgres.bin;
  execFileSync(path.join(bin, 'pg_verifybackup'), ['--quiet', directory]);
  const identifierOf = (of: string): string | undefined =>
    /identifier: *([0-9]+)/.exec(execFileSync(path.join(bin, 'pg_controldata'), [of], { encoding: 'utf8' }))?.[1];
  expect(identifierOf(directory)).toBe(identifierOf(bed.node(0).dataDirectory));
}

/** Neither a partial copy nor a job: the next attempt starts anew. */
function expectNothingLeft(): void {
  expect(existsSync(fresh())).toBe(false);
  expect(existsSync(jobs()) ? readdirSync(jobs()) : []).toEqual([]);
  expect(copying()).toEqual([]);
}

it('copies the primary beside the standby’s data, which goes on serving; the second time there is nothing to do', async () => {
  const result = await baseBackup();
  expect(result).toMatchObject({ changed: true });
  expect(result.line).toMatch(/^node 1: base backup of [0-9.]+ MB from node 0 is complete$/);
  expect(result.bytes).toBeGreaterThan(5_000_000);
  expectCopied();
  expect(existsSync(path.join(fresh(), 'standby.signal'))).toBe(true);
  expect(await bed.ask(1, 'select pg_is_in_recovery() as standby')).toEqual({ standby: true });
  expect(await baseBackup()).toEqual({
    changed: false,
    line: 'node 1: base backup from node 0 was complete already',
    bytes: null,
  });
  const secrets = readFileSync(bed.configuration.postgres.passFile, 'utf8').trim().split('\n');
  for (const secret of secrets.map((line) => line.split(':').at(-1)!)) {
    for (const file of readdirSync(job())) expect(readFileSync(path.join(job(), file), 'utf8')).not.toContain(secret);
    const settings = readFileSync(path.join(fresh(), 'postgresql.auto.conf'), 'utf8');
    expect(settings).toMatch(/^primary_conninfo = /m);
    expect(settings).not.toContain(secret);
  }
});

it('removes a mark that a former rebuild left over on the primary, or copies nothing', async () => {
  const [mark, restored] = ['rebuild', 'restored'].map((name) =>
    path.join(bed.node(0).dataDirectory, `pgpool-runbook.${name}`),
  ) as [string, string];
  for (const file of [mark, restored]) writeFileSync(file, '20261123T101530Z-0a1b2c3d\n');
  expect(await baseBackup()).toMatchObject({ changed: true });
  expect([mark, restored].map((file) => existsSync(file))).toEqual([false, false]);
  expectCopied();
  expect(readdirSync(fresh()).filter((name) => name.startsWith('pgpool-runbook'))).toEqual([]);
  for (const directory of [fresh(), jobs()]) rmSync(directory, { recursive: true });

  mkdirSync(mark);
  const failure = await failureOf(baseBackup());
  rmSync(mark, { recursive: true });
  expect(failure).toMatchObject({ type: 'Unproven', nonRetryable: false });
  expect(failure.message).toMatch(
    /pgpool-runbook\.rebuild of a former rebuild could not be removed: .*; remove it there$/,
  );
  expectNothingLeft();
});

it('has nothing to do for a copy that was put in place', async () => {
  const mark = path.join(data(), 'pgpool-runbook.rebuild');
  writeFileSync(mark, '20261123T101530Z-0a1b2c3d\n');
  expect(await baseBackup()).toMatchObject({ changed: false });
  rmSync(mark);
  expectNothingLeft();
});

it('is one copy although its worker is killed half-way: the next one follows the same pg_basebackup', async () => {
  const input = inputFor({ configuration: slowly() });
  await dieDuring(bed.lab.clusterFile, 'baseBackup', input, { saying: ' % (' });
  const pid = pidOf(job());
  expect(copying().length).toBeGreaterThan(0);
  const elsewhere = createTools(bed.lab.clusterFile);
  const environment = createEnvironment();
  const progress = halfWay(environment);
  const result = await perform(elsewhere, 'baseBackup', input, environment);
  await elsewhere.close();
  expect(result).toMatchObject({ changed: true });
  expect(pidOf(job())).toBe(pid);
  const log = readFileSync(path.join(job(), 'log'), 'utf8');
  expect(log.match(/initiating base backup/g)).toHaveLength(1);
  expectCopied();
  const { percent, doneBytes, totalBytes, line } = await progress;
  expect(percent).toBe(Math.floor((doneBytes! * 100) / totalBytes!));
  expect(line).toMatch(/^node 1: base backup [0-9]+ % \([0-9.]+ [kM]B of [0-9.]+ MB\)$/);
});

it('makes a lost copy anew, once, and says so', async () => {
  const environment = createEnvironment();
  const running = baseBackup({ configuration: slowly() }, environment);
  await halfWay(environment);
  process.kill(-pidOf(job()), 'SIGKILL');
  expect((await running).line).toMatch(/is complete, made anew because an earlier one was lost half-way$/);
  expectCopied();
});

it('keeps a copy that was finished although its job’s result is lost', async () => {
  await baseBackup();
  rmSync(path.join(job(), 'rc'));
  expect(await baseBackup()).toMatchObject({ changed: false });
  expectCopied();
});

it('is cancelled without a trace', async () => {
  const environment = createEnvironment();
  const running = failureOf(baseBackup({ configuration: verySlowly() }, environment));
  await halfWay(environment);
  environment.cancel();
  expect(await running).toMatchObject({ name: 'CancelledFailure' });
  expectNothingLeft();
});

it('ends an older rebuild’s copy and replaces it; the older one cannot come back', async () => {
  const older = planOf(data(), { rebuildId: '20261122T101530Z-ffffffff' });
  await dieDuring(bed.lab.clusterFile, 'baseBackup', inputFor({ configuration: verySlowly(), rebuild: older }), {
    saying: ' % (',
  });
  expect(await baseBackup()).toMatchObject({ changed: true });
  expect(readdirSync(jobs())).toEqual([path.basename(job())]);
  expectCopied();
  const failure = await failureOf(baseBackup({ rebuild: older }));
  expect(failure).toMatchObject({ type: 'WorldChanged' });
  expect(failure.message).toMatch(/a newer rebuild has begun here/);
  expectCopied();
});

async function withAccessRules(rules: string, body: () => Promise<void>): Promise<void> {
  const file = path.join(bed.node(0).dataDirectory, 'pg_hba.conf');
  const usual = readFileSync(file, 'utf8');
  const write = async (text: string): Promise<void> => {
    writeFileSync(file, text);
    await bed.ask(0, 'select pg_reload_conf()');
  };
  await write(rules);
  try {
    await body();
  } finally {
    await write(usual);
  }
}

it('says what pg_hba.conf lacks', async () => {
  await withAccessRules('local all all scram-sha-256\nhost all all 127.0.0.0/8 scram-sha-256\n', async () => {
    const failure = await failureOf(baseBackup());
    expect(failure).toMatchObject({ type: 'Unproven', nonRetryable: false });
    expect(failure.message).toMatch(
      /^node 1: base backup from node 0 .* failed: .*no pg_hba\.conf entry for replication connection.*; add a line for database "replication"/,
    );
  });
  expectNothingLeft();
});

it('says that no WAL sender is free', async () => {
  const { max } = await bed.ask(0, `select current_setting('max_wal_senders')::int as max`);
  const others: Client[] = [];
  for (let count = 1; count < Number(max); count++) {
    const client = new Client({ ...bed.lab.connection(0), replication: 'database' } as ClientConfig);
    client.on('error', () => undefined);
    await client.connect();
    others.push(client);
  }
  const failure = await failureOf(baseBackup());
  await Promise.all(others.map((client) => client.end()));
  expect(failure).toMatchObject({ type: 'Unproven' });
  expect(failure.message).toMatch(/number of requested standby connections exceeds.*; raise max_wal_senders of node 0/);
  expectNothingLeft();
});

it('says that the primary stopped during the copy', async () => {
  const environment = createEnvironment();
  const running = failureOf(baseBackup({ configuration: verySlowly() }, environment));
  await halfWay(environment);
  await bed.stop(0, 'immediate');
  const failure = await running;
  expect(failure).toMatchObject({ type: 'Unreachable' });
  expect(failure.message).toMatch(/base backup from node 0 .* failed: .*; node 0 does not answer any more/);
  expectNothingLeft();
  const early = await failureOf(baseBackup());
  expect(early.message).toMatch(/^node 1: no base backup from node 0, which says: /);
  expectNothingLeft();
  await bed.mend();
});

it('copies neither from itself nor from a standby', async () => {
  expect(await failureOf(baseBackup({ node: 0 }))).toMatchObject({ type: 'Configuration' });
  const failure = await failureOf(baseBackup({ node: 0, primary: 1 }));
  expect(failure).toMatchObject({ type: 'WorldChanged' });
  expect(failure.message).toMatch(/node 1, which is in recovery/);
});

it.each([
  [
    'is a symbolic link',
    (elsewhere: string) => {
      symlinkSync(elsewhere, fresh());
    },
    /is a symbolic link/,
  ],
  [
    'was started',
    () => {
      mkdirSync(fresh());
      writeFileSync(path.join(fresh(), 'postmaster.pid'), '');
    },
    /was started: it has a postmaster\.pid; stop it and remove \S+pgpool-runbook-rebuild$/,
  ],
])('removes nothing where the copy belongs that %s', async (_, make, seen) => {
  const elsewhere = path.join(bed.layout.directory, 'elsewhere');
  mkdirSync(elsewhere, { recursive: true });
  make(elsewhere);
  const failure = await failureOf(baseBackup());
  expect(failure).toMatchObject({ type: 'WorldChanged' });
  expect(failure.message).toMatch(seen);
  expect(existsSync(fresh()) && existsSync(elsewhere)).toBe(true);
});

describe('into the directory itself (removeFirst)', () => {
  const place = (): string => path.join(bed.layout.directory, 'node1', 'a place=first');
  const plan = () => planOf(place(), { mode: 'removeFirst' });
  beforeEach(() => {
    makeDirectoryFor(bed.layout.user, place(), 0o700);
  });
  afterEach(() => {
    rmSync(place(), { recursive: true });
  });

  it('copies into an empty one, and anew after it was lost half-way', async () => {
    const environment = createEnvironment();
    const running = baseBackup({ configuration: slowly(), rebuild: plan() }, environment);
    await halfWay(environment);
    process.kill(-pidOf(job()), 'SIGKILL');
    expect((await running).line).toMatch(/made anew/);
    expectCopied(place());
    expect(await baseBackup({ rebuild: plan() })).toMatchObject({ changed: false });
  });

  it('empties nothing that it has not written', async () => {
    writeFileSync(path.join(place(), 'PG_VERSION'), '15\n');
    const failure = await failureOf(baseBackup({ rebuild: plan() }));
    expect(failure).toMatchObject({ type: 'WorldChanged' });
    expect(failure.message).toMatch(/is not empty, and no base backup of this rebuild has written into it/);
    expect(readdirSync(place())).toEqual(['PG_VERSION']);
  });

  it('empties nothing that somebody has started', async () => {
    for (const directory of [jobs(), job()]) makeDirectoryFor(bed.layout.user, directory);
    writeFileSync(path.join(place(), 'postmaster.opts'), '');
    const failure = await failureOf(baseBackup({ rebuild: plan() }));
    expect(failure).toMatchObject({ type: 'WorldChanged' });
    expect(failure.message).toMatch(
      /was started: it has a postmaster\.opts; stop it, look whether it took writes, and/,
    );
    expect(readdirSync(place())).toEqual(['postmaster.opts']);
  });

  it('leaves the directory empty when it is cancelled', async () => {
    const environment = createEnvironment();
    const running = failureOf(baseBackup({ configuration: verySlowly(), rebuild: plan() }, environment));
    await halfWay(environment);
    environment.cancel();
    expect(await running).toMatchObject({ name: 'CancelledFailure' });
    expect(readdirSync(place())).toEqual([]);
  });
});

it('maps tablespaces and a linked pg_wal to fresh directories, whatever their names', async () => {
  await bed.stop(1);
  const { directory } = bed.layout;
  const location = path.join(directory, 'node0', 'fast=disk 1');
  makeDirectoryFor(bed.layout.user, location, 0o700);
  await bed.ask(0, `create tablespace fast location '${location}'`);
  await bed.ask(0, 'create table on_fast tablespace fast as select 1 as id');
  const { oid } = await bed.ask(0, `select oid::text from pg_tablespace where spcname = 'fast'`);
  const linked = [
    { kind: 'wal' as const, link: 'pg_wal', current: path.join(directory, 'node1', 'its wal') },
    {
      kind: 'tablespace' as const,
      link: String(oid),
      sourceLocation: location,
      current: path.join(directory, 'node1', 'fast=disk 1'),
    },
  ];
  const rebuild = planOf(data(), { linked });
  expect(await baseBackup({ rebuild })).toMatchObject({ changed: true });
  expectCopied();
  const [, wal, tablespace] = rebuild.directories;
  expect(readlinkSync(path.join(fresh(), 'pg_wal'))).toBe(wal!.fresh);
  expect(readlinkSync(path.join(fresh(), 'pg_tblspc', String(oid)))).toBe(tablespace!.fresh);
  expect(readdirSync(wal!.fresh).length).toBeGreaterThan(0);
  // A newer rebuild finds leftovers in all three places.
  const newer = planOf(data(), { rebuildId: '20261124T101530Z-00000000', linked });
  const configuration = withPolicy({ maximumRateKilobytes: 0, compression: 'gzip' });
  expect(await baseBackup({ rebuild: newer, configuration })).toMatchObject({ changed: true });
  expectCopied();
});
