// start on real nodes: only a standby is started, the server keeps nothing of ours, and what does not come up says why.
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  existsSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:net';
import path from 'node:path';
import type { StartInput, StartResult } from '../../../activities/standby/start';
import type { ClusterConfiguration } from '../../../domain/facts/cluster';
import { makeDirectoryFor } from '../../../lab/files';
import { type Bed, createTools, dieDuring, failureOf, perform, startBed, waitFor } from '../support';

let bed: Bed;

beforeAll(async () => {
  bed = await startBed('start', 2);
  await bed.keep();
});
afterAll(() => bed.down());
beforeEach(async () => {
  await bed.reset();
  await bed.stop(1);
});

const inputFor = (more: Partial<StartInput> = {}): StartInput => ({
  configuration: bed.configuration,
  node: 1,
  ...more,
});
const start = (more: Partial<StartInput> = {}): Promise<StartResult> => perform(bed.tools, 'start', inputFor(more));
const directory = (): string => bed.node(1).dataDirectory;
const serverLog = (): string => path.join(path.dirname(directory()), 'postgresql.log');
const setting = (text: string): void => {
  appendFileSync(path.join(directory(), 'postgresql.auto.conf'), `${text}\n`);
};
const withCommand = (command: string): ClusterConfiguration => ({
  ...bed.configuration,
  postgres: { ...bed.configuration.postgres, service: { kind: 'commands', start: command, stop: 'false' } },
});
const up = { changed: true, line: 'node 1 is up and in recovery' };

/** Asked on another connection. */
async function expectStandby(): Promise<void> {
  expect(await bed.ask(1, 'select pg_is_in_recovery() as readonly')).toEqual({ readonly: true });
}

/** Of a backup that begins far ahead. */
function readBackupLabel(): string {
  return `START WAL LOCATION: 0/F0000028 (file 0000000100000000000000F0)
CHECKPOINT LOCATION: 0/F0000060
BACKUP METHOD: streamed
BACKUP FROM: primary
START TIME: 2026-01-01 00:00:00 UTC
LABEL: none
START TIMELINE: 1
`;
}

/** Files that the server's processes hold open. */
function openFiles(): string[] {
  return bed.processes(1).flatMap(({ pid }) => {
    const folder = `/proc/${pid}/fd`;
    return readdirSync(folder).map((name) => readlinkSync(path.join(folder, name)));
  });
}

it('says why one that streams takes no connections, once nothing has moved for its patience', async () => {
  setting('hot_standby = off');
  const { type, message } = await failureOf(start({ patienceMs: 3000 }));
  expect(type).toBe('Unproven');
  expect(message).toMatch(
    /^node 1 runs, but takes no connections, and nothing has moved for 3 s: .*57P03|not accepting/,
  );
  expect(message).toMatch(
    /it shows "startup recovering [0-9A-F]{24}" and "walreceiver( streaming [0-9A-F/]+)?": it replays/,
  );
  expect(message).toContain('hot_standby is off there, or a transaction with many subtransactions');
});

it('says why one that waits for WAL which nobody has takes no connections', async () => {
  const { port } = bed.node(0);
  setting(`primary_conninfo = 'host=127.0.0.1 port=${port + 7} user=nobody'`);
  // Without the WAL that it needs to be consistent.
  writeFileSync(path.join(directory(), 'backup_label'), readBackupLabel());
  const { message } = await failureOf(start({ patienceMs: 3000 }));
  expect(message).toContain('no WAL receiver: it waits for WAL that does not come: its log says which');
  expect(message).toContain('could not connect to the primary server');
});

it('starts a stopped standby, which outlives the connection and keeps neither it nor the lock', async () => {
  // As an earlier version left it.
  if (existsSync(serverLog())) chmodSync(serverLog(), 0o644);
  const elsewhere = createTools(bed.lab.clusterFile);
  expect(await perform(elsewhere, 'start', inputFor())).toEqual(up);
  await elsewhere.close();
  await expectStandby();
  execFileSync('flock', ['-n', bed.jobs(1, '.lock'), 'true']);
  const files = openFiles();
  expect(files).toContain(serverLog());
  expect(files).not.toContain(bed.jobs(1, '.lock'));
  const { pid } = bed.processes(1)[0]!;
  const streams = [0, 1, 2].map((descriptor) => readlinkSync(`/proc/${pid}/fd/${descriptor}`));
  expect(streams).toEqual(['/dev/null', serverLog(), serverLog()]);
  expect(statSync(serverLog()).mode & 0o077).toBe(0);
  // The second time it only looks.
  expect(await start()).toEqual({ ...up, changed: false });
});

it('starts a standby that crashed', async () => {
  await bed.lab.start(1);
  await bed.lab.killPostgres(1);
  await waitFor(() => bed.processes(1).length === 0, { what: 'the end of its processes', timeoutMs: 10_000 });
  expect(await start()).toEqual(up);
  await expectStandby();
});

describe('postgresql.conf outside of the data directory, as on Debian', () => {
  const elsewhere = (): string => path.join(bed.layout.directory, 'etc main');
  const conf = (): string => path.join(elsewhere(), 'postgresql.conf');
  const begin = { changed: true, line: 'node 1 is up and in recovery' };

  beforeEach(() => {
    makeDirectoryFor(bed.layout.user, elsewhere());
    for (const name of ['postgresql.conf', 'pg_hba.conf', 'pg_ident.conf'])
      renameSync(path.join(directory(), name), path.join(elsewhere(), name));
    const places = `data_directory = '${directory()}'\nhba_file = '${elsewhere()}/pg_hba.conf'\nident_file = '${elsewhere()}/pg_ident.conf'\n`;
    appendFileSync(conf(), places);
  });
  afterEach(() => {
    rmSync(elsewhere(), { recursive: true });
    rmSync(bed.saved(1), { recursive: true, force: true });
  });

  /** How the server was started the last time. */
  const started = (...options: string[]): void => {
    const words = [path.join(bed.configuration.postgres.bin, 'postgres'), ...options];
    writeFileSync(path.join(directory(), 'postmaster.opts'), `${words.map((word) => `"${word}"`).join(' ')}\n`);
  };
  const expectConfig = async (): Promise<void> => {
    expect(await bed.ask(1, 'show config_file')).toEqual({ config_file: conf() });
  };

  it.each([
    ['-c config_file', () => ['-D', directory(), '-c', `config_file=${conf()}`]],
    ['--config-file', () => ['-D', directory(), `--config-file=${conf()}`]],
    ['-D with the directory of the configuration', () => ['-D', elsewhere()]],
  ])('is found by how the server was started before: %s', async (_, options) => {
    started(...options());
    expect(await start()).toEqual(begin);
    await expectConfig();
  });

  it('is found for a fresh copy, which was never started, by what was remembered with the configuration', async () => {
    started('-D', directory(), '-c', `config_file=${conf()}`);
    const { configuration } = bed;
    await perform(bed.tools, 'saveConfiguration', { configuration, node: 1, rebuildId: null });
    rmSync(path.join(directory(), 'postmaster.opts'));
    expect(await start()).toEqual(begin);
    await expectConfig();
  });
});

describe('what it does not start', () => {
  const name = (): string => `node 1 (${bed.node(1).host})`;

  it('a node without standby.signal, which would come up writable', async () => {
    rmSync(path.join(directory(), 'standby.signal'));
    const failure = await failureOf(start());
    expect(failure).toMatchObject({
      type: 'WorldChanged',
      nonRetryable: true,
      message: `${name()}: refused to start PostgreSQL: there is no standby.signal in ${directory()}: it would come up writable`,
    });
    expect(bed.processes(1)).toEqual([]);
  });

  it('a node that runs and accepts writes', async () => {
    const failure = await failureOf(start({ node: 0 }));
    expect(failure).toMatchObject({
      type: 'WorldChanged',
      message: 'node 0 runs and accepts writes: it is no standby',
    });
  });

  it('a node beside what an earlier postmaster has left', async () => {
    await bed.lab.start(1);
    const client = await bed.connect(1);
    const looping = client.query('do $$ begin loop perform 1; end loop; end $$').catch(() => undefined);
    const isLooping = `select count(*)::int as n from pg_stat_activity where query like 'do %' and state = 'active'`;
    await waitFor(async () => (await bed.ask(1, isLooping))['n'] === 1, { what: 'the loop', timeoutMs: 5000 });
    await bed.lab.killPostgres(1);
    await waitFor(() => bed.processes(1).length === 1, { what: 'the others to end', timeoutMs: 10_000 });
    const [orphan] = bed.processes(1);
    const failure = await failureOf(start());
    expect(failure).toMatchObject({ type: 'Unproven', nonRetryable: false });
    expect(failure.message).toContain(`work in ${directory()} (${orphan!.pid}): PostgreSQL cannot start beside them`);
    process.kill(orphan!.pid, 'SIGKILL');
    await looping;
  });

  it('a node whose data directory is away', async () => {
    execFileSync('mv', [directory(), `${directory()}.aside`]);
    const failure = await failureOf(start());
    execFileSync('mv', [`${directory()}.aside`, directory()]);
    expect(failure).toMatchObject({
      type: 'Unproven',
      message: `${name()}: cannot start PostgreSQL: no data directory at ${directory()}`,
    });
  });
});

describe('a server that does not come up', () => {
  afterEach(() => {
    expect(bed.processes(1)).toEqual([]);
  });

  it('is reported with what it wrote last, and where', async () => {
    setting('shared_buffers = plenty');
    // Of an earlier day, and not to be shown.
    writeFileSync(serverLog(), 'FATAL:  something old\n');
    chmodSync(serverLog(), 0o666);
    const failure = await failureOf(start());
    expect(failure).toMatchObject({ type: 'Unproven', nonRetryable: false });
    expect(failure.message).toContain(`node 1 did not come up, no process of it is left. ${serverLog()}: `);
    expect(failure.message).toMatch(/invalid value for parameter "shared_buffers": "plenty"/);
    expect(failure.message).not.toContain('something old');
  });

  it('because another program has its port', async () => {
    const { host, port } = bed.node(1);
    const server = await new Promise<Server>((resolve) => {
      const other = createServer((socket) => socket.on('error', () => undefined)).listen(port, host, () => {
        resolve(other);
      });
    });
    const failure = await failureOf(start());
    server.close();
    expect(failure.type).toBe('Unproven');
    expect(failure.message).toMatch(/could not bind IPv4 address .*Address already in use/);
  });

  it('because its own start command fails: shown without passwords', async () => {
    const configuration = withCommand(`echo "FATAL: no unit; password=geheim" >&2; exit 5`);
    const failure = await failureOf(start({ configuration }));
    expect(failure.message).toBe(
      `node 1 did not come up, no process of it is left. ${bed.jobs(1, '.log')}: FATAL: no unit; password=…`,
    );
  });
});

it('logs beside the lock when the usual place belongs to somebody else', async () => {
  rmSync(serverLog(), { force: true });
  writeFileSync(serverLog(), '');
  chmodSync(serverLog(), 0o444);
  expect(await start()).toEqual(up);
  expect(openFiles()).toContain(bed.jobs(1, '.log'));
});

it('runs the start command of the site, even one that leaves its server as a child', async () => {
  const configuration = withCommand('"$BIN/postgres" -D "$DATA" & echo started');
  expect(await start({ configuration })).toEqual(up);
  await expectStandby();
  expect(openFiles()).not.toContain(bed.jobs(1, '.lock'));
  expect(readFileSync(bed.jobs(1, '.log'), 'utf8')).toContain('started\n');
  expect((await start({ configuration })).changed).toBe(false);
});

describe('while it recovers', () => {
  const archive = (): string => path.join(bed.layout.directory, 'archive-answers');

  beforeEach(() => {
    rmSync(archive(), { force: true });
    setting(`restore_command = 'while [ ! -e ${archive()} ]; do sleep 0.02; done; false'`);
  });
  afterEach(() => {
    writeFileSync(archive(), '');
  });

  it('is waited for, without the lock', async () => {
    const starting = start();
    const isRecovering = (): Promise<boolean> =>
      bed.connect(1).then(
        () => false,
        (error: unknown) => (error as { code?: string }).code === '57P03',
      );
    await waitFor(isRecovering, { what: 'SQLSTATE 57P03', timeoutMs: 10_000 });
    // pg_ctl waits 3 s, under the lock.
    await waitFor(() => isFree(bed.jobs(1, '.lock')), { what: 'the lock to be free', timeoutMs: 15_000 });
    await new Promise((resolve) => setTimeout(resolve, 3000));
    expect(bed.processes(1)).not.toEqual([]);
    writeFileSync(archive(), '');
    expect(await starting).toEqual(up);
  });

  it.each([
    ['before the act', { beforeScript: 'STATE=started' } as const, true],
    ['after the act and before the proof', { proving: 1 } as const, false],
    ['after the act and before its result', { afterScript: 'STATE=started' } as const, false],
  ])('is completed by another worker when the first is killed %s', async (_, moment, changed) => {
    await dieDuring(bed.lab.clusterFile, 'start', inputFor(), moment);
    expect(bed.processes(1).length > 0).toBe(!changed);
    const elsewhere = createTools(bed.lab.clusterFile);
    try {
      const starting = perform(elsewhere, 'start', inputFor());
      writeFileSync(archive(), '');
      expect(await starting).toEqual({ ...up, changed });
      await expectStandby();
    } finally {
      await elsewhere.close();
    }
  });
});

function isFree(lock: string): boolean {
  try {
    execFileSync('flock', ['-n', lock, 'true']);
    return true;
  } catch {
    return false;
  }
}
