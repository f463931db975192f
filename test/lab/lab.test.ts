// The lab is what every other claim is proven on, so it is proven itself: complete when up, and nothing left when down.
import { execFile, execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { open, takeDown, up, type Lab } from '../../lab/lab';
import { labDirectory, readLocalSockets } from '../../lab/layout';
import { findProcesses, killAll, type ProcessRecord, sendSignal } from '../../lab/processes';
import { readState } from '../../lab/state';
import { waitFor } from '../../lab/wait';
import { compileLab } from './compile';

// Most tests build a cluster, on machines whose cores are shared.
jest.setTimeout(240_000);

const run = promisify(execFile);
const isRoot = process.getuid?.() === 0;
/** Names differ between runs of this file, so that the lab of an aborted run is not in the way. */
const nameOf = (purpose: string): string => `t-${purpose}-${process.pid}`;
const names: string[] = [];

async function upForTest(purpose: string, nodes = 3): Promise<Lab> {
  names.push(nameOf(purpose));
  return up({ name: nameOf(purpose), nodes, withWorker: false });
}

async function ask(lab: Lab, to: number | 'pgpool', text: string): Promise<unknown[][]> {
  const client = new Client(lab.connection(to));
  await client.connect();
  try {
    return (await client.query<unknown[]>({ text, rowMode: 'array' })).rows;
  } finally {
    await client.end();
  }
}

function recordOf({ name }: Lab, key: string): ProcessRecord {
  const record = readState(name)?.processes[key];
  if (!record) throw new Error(`${name} has no ${key}`);
  return record;
}

interface Place {
  readonly slot: number;
  readonly ports: readonly number[];
  readonly pids: readonly number[];
}

function placeOf(name: string): Place {
  const state = readState(name);
  if (!state) throw new Error(`no lab.json of ${name}`);
  const { layout, processes } = state;
  const { port, httpPort, webPort } = layout.temporal;
  return { slot: layout.slot, ports: [port, httpPort, webPort], pids: Object.values(processes).map(({ pid }) => pid) };
}

interface Traces {
  readonly directory: boolean;
  readonly processes: number[];
  readonly sockets: number;
  readonly commandLines: string[];
  readonly rules: string;
  readonly ipc: string[];
}

const nothing: Traces = { directory: false, processes: [], sockets: 0, commandLines: [], rules: '', ipc: [] };

/** Unused shared memory and semaphores of the lab's own processes. */
function listIpc({ pids }: Place): string[] {
  const rows = (name: string): string[][] =>
    readFileSync(`/proc/sysvipc/${name}`, 'utf8')
      .split('\n')
      .slice(1)
      .map((line) => line.trim().split(/\s+/));
  const segments = rows('shm').filter((fields) => pids.includes(Number(fields[4])) && fields[6] === '0');
  const semaphores = rows('sem').filter(([, id]) => {
    // A process may have ended by now, because others run servers too.
    const { stdout } = spawnSync('ipcs', ['-s', '-i', id ?? ''], { encoding: 'utf8' });
    return pids.some((pid) => new RegExp(`\\s${pid}\\s*$`, 'm').test(stdout));
  });
  return [...segments, ...semaphores].map((fields) => fields.join(' '));
}

/** `ports`: those of the lab at 127.0.0.1, where Temporal listens. */
function findTraces(directory: string, place: Place): Traces {
  const { slot, ports } = place;
  const commandLines = readdirSync('/proc')
    .filter((name) => /^[0-9]+$/.test(name) && name !== String(process.pid))
    .map((name) => {
      try {
        return readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ');
      } catch {
        return '';
      }
    })
    .filter((line) => line.includes(`${directory}/`));
  const rules = isRoot ? execFileSync('iptables', ['-w', '5', '-S'], { encoding: 'utf8' }) : '';
  return {
    directory: existsSync(directory),
    processes: findProcesses(directory, []).map(({ pid }) => pid),
    sockets: readLocalSockets().filter(
      ({ host, port, isListening }) =>
        isListening && (host.startsWith(`127.${slot}.`) || (host === '127.0.0.1' && ports.includes(port))),
    ).length,
    commandLines,
    rules: rules
      .split('\n')
      .filter((line) => line.includes(`pgpool-runbook-${slot}`) || line.includes(`127.${slot}.`))
      .join('\n'),
    ipc: listIpc(place),
  };
}

const slotOf = (lab: Lab): number => Number(lab.pgpool.host.split('.')[1]);

afterAll(async () => {
  for (const name of names) await takeDown(name);
});

describe('a lab that is up', () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await upForTest('one');
  });

  test('has one primary from which every standby streams, and pgpool shows all of them up', async () => {
    const seen = await lab.report();
    expect(
      seen.nodes.map(({ isInRecovery, streamingFrom, timeline }) => [isInRecovery, streamingFrom, timeline]),
    ).toEqual([
      [false, null, 1],
      [true, 0, 1],
      [true, 0, 1],
    ]);
    // PCP restarts now and then by itself: what counts is that it comes to show them.
    await waitFor(
      async () => {
        const { backends } = await lab.report();
        const shown = backends.map((one) => ('error' in one ? one.error : `${one.status} ${one.role} ${one.pgRole}`));
        expect(shown).toEqual(['up primary primary', 'up standby standby', 'up standby standby']);
        return true;
      },
      { what: 'pgpool to show every node up', timeoutMs: 10_000 },
    );
  });

  test('takes a write through psql and pgpool by the password file, which reaches every standby', async () => {
    const { host, port } = lab.pgpool;
    const sql = 'CREATE TABLE seen (id int); INSERT INTO seen VALUES (1)';
    const argv = [
      '-w',
      '-h',
      host,
      '-p',
      String(port),
      '-U',
      'postgres',
      '-v',
      'ON_ERROR_STOP=1',
      '-c',
      sql,
      'postgres',
    ];
    await run('psql', argv, { env: { ...process.env, PGPASSFILE: lab.passFile } });
    for (const node of [1, 2]) {
      const count = async (): Promise<boolean> =>
        (await ask(lab, node, 'SELECT count(*)::int FROM seen'))[0]?.[0] === 1;
      await waitFor(count, { what: `the row on node ${node}`, timeoutMs: 5000 });
    }
  });

  test.each([0, 1, 'pgpool'] as const)('refuses a wrong password at %s: nothing trusts', async (to) => {
    const client = new Client({ ...lab.connection(to), password: 'wrong' });
    client.on('error', () => undefined);
    await expect(client.connect()).rejects.toThrow(/authentication/);
  });

  test('checks data pages, logs hint bits and keeps fsync on', async () => {
    const settings = `SELECT current_setting('data_checksums'), current_setting('wal_log_hints'), current_setting('fsync')`;
    expect(await ask(lab, 0, settings)).toEqual([['on', 'on', 'on']]);
  });

  test("lets the worker's identity in at each node's sshd, under a strictly checked host key", async () => {
    const { knownHostsFile } = lab.configuration.ssh;
    for (const { ssh } of lab.configuration.nodes) {
      const options = ['-F', 'none', '-i', ssh.identityFile, '-p', String(ssh.port), '-o', 'BatchMode=yes'];
      options.push('-o', `UserKnownHostsFile=${knownHostsFile}`, '-o', 'StrictHostKeyChecking=yes');
      // The identity belongs to the lab's user: other users cannot read it, and root's ssh accepts it.
      const { stdout } = await run('ssh', [...options, `${ssh.user}@${ssh.host}`, 'id -un; echo $HOME']);
      expect(stdout.split('\n')[0]).toBe(ssh.user);
    }
  });

  test('keeps passwords out of every command line, environment and of lab.json', () => {
    const passwords = [lab.passFile, lab.pcpPassFile].flatMap((file) =>
      readFileSync(file, 'utf8')
        .trim()
        .split('\n')
        .map((line) => String(line.split(':').at(-1))),
    );
    expect(passwords.length).toBeGreaterThan(2);
    const state = readState(lab.name);
    const processes = findProcesses(lab.directory, Object.values(state?.processes ?? {}));
    expect(processes.length).toBeGreaterThan(10);
    const texts = processes.flatMap(({ pid }) =>
      ['cmdline', 'environ'].map((name) => readIfThere(`/proc/${pid}/${name}`)),
    );
    texts.push(JSON.stringify(state));
    for (const password of passwords) expect(texts.filter((text) => text.includes(password))).toEqual([]);
  });

  test('can be opened by name by another program, and not be built twice', async () => {
    expect((await open(lab.name)).clusterFile).toBe(lab.clusterFile);
    await expect(up({ name: lab.name, withWorker: false })).rejects.toThrow(/is up already.*down --name/);
    expect((await lab.report()).isTemporalRunning).toBe(true);
  });

  test('leaves nothing when it goes down after its hosts were killed, frozen and dropped', async () => {
    await lab.killHost(1);
    await lab.freeze(2, { withSsh: true });
    await lab.killPostgres(0);
    if (isRoot) await lab.dropHost(0);
    const place = placeOf(lab.name);
    expect(findTraces(lab.directory, place)).not.toEqual(nothing);
    await lab.down();
    expect(findTraces(lab.directory, place)).toEqual(nothing);
    await expect(open(lab.name)).rejects.toThrow(/no lab/);
  });
});

function readIfThere(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

describe('two labs at once', () => {
  test('do not share an address, and one survives the end of the other', async () => {
    const [first, second] = await Promise.all([upForTest('a', 2), upForTest('b', 2)]);
    expect(slotOf(first)).not.toBe(slotOf(second));
    // A pgpool that has died leaves children that have no parent to be found by.
    sendSignal(recordOf(first, 'pgpool'), 'SIGKILL');
    const firstPlace = placeOf(first.name);
    await first.down();
    expect(findTraces(first.directory, firstPlace)).toEqual(nothing);
    const seen = await second.report();
    expect(seen.nodes.map(({ isInRecovery }) => isInRecovery)).toEqual([false, true]);
    await second.killTemporal();
    expect((await second.report()).isTemporalRunning).toBe(false);
    await second.startTemporal();
    await second.killHost(1);
    expect((await second.report()).nodes[1]).toMatchObject({
      isRunning: false,
      isSshRunning: false,
      isInRecovery: null,
    });
    await second.startHost(1);
    await waitFor(async () => (await second.report()).nodes[1]?.streamingFrom === 0, {
      what: 'node 1',
      timeoutMs: 15_000,
    });
    await second.freeze(1);
    const frozen = (await second.report()).nodes[1];
    expect(frozen).toMatchObject({ isRunning: true, isSshRunning: true, isInRecovery: null });
    second.thaw(1);
    expect((await second.report()).nodes[1]?.isInRecovery).toBe(true);

    // A pgpool whose children have all ended before the lab goes down, so that their pids are unknown.
    const pgpool = recordOf(second, 'pgpool');
    await killAll(() => findProcesses(path.join(second.directory, 'pgpool'), [pgpool]), 'pgpool');
    const place = placeOf(second.name);
    expect(findTraces(second.directory, place).ipc).not.toEqual([]);
    await second.down();
    expect(findTraces(second.directory, place)).toEqual(nothing);
  });
});

describe('a lab that is interrupted while it is built', () => {
  const directory = realpathSync(mkdtempSync(path.join(tmpdir(), 'runbook-lab-test-')));
  afterAll(() => {
    rmSync(directory, { recursive: true, force: true });
  });

  test.each([
    ['while it initialises the primary', 'node0/data/PG_VERSION'],
    ['while it clones the standbys', 'node1/data'],
    ['while pgpool starts', 'pgpool/pgpool.log'],
  ])('takes down what it had started, %s', async (_, sign) => {
    const name = nameOf('cut');
    names.push(name);
    const main = path.join(directory, 'dist', 'lab', 'main.js');
    if (!existsSync(main)) compileLab(directory);
    const child = spawn(process.execPath, [main, 'up', '--no-worker', '--name', name], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
    const ended = new Promise((resolve) => child.once('close', resolve));
    await waitFor(() => existsSync(path.join(labDirectory(name), sign)), {
      what: sign,
      timeoutMs: 60_000,
      intervalMs: 2,
    });
    const place = placeOf(name);
    child.kill('SIGTERM');
    expect([await ended, said.trim()]).toEqual([130, expect.stringContaining('interrupted by SIGTERM')]);
    expect(findTraces(labDirectory(name), place)).toEqual(nothing);
  });

  test('is taken down by another program when it had no chance to clean up itself', async () => {
    const name = nameOf('dead');
    names.push(name);
    const child = spawn(process.execPath, [
      path.join(directory, 'dist', 'lab', 'main.js'),
      'up',
      '--no-worker',
      '--name',
      name,
    ]);
    const ended = new Promise((resolve) => child.once('close', resolve));
    const sign = path.join(labDirectory(name), 'node1', 'data');
    await waitFor(() => existsSync(sign), { what: 'the base backup', timeoutMs: 60_000, intervalMs: 2 });
    await expect(takeDown(name)).rejects.toThrow(/is being started by process/);
    child.kill('SIGKILL');
    await ended;
    const place = placeOf(name);
    expect(findTraces(labDirectory(name), place)).not.toEqual(nothing);
    expect(await takeDown(name)).toBe(true);
    expect(findTraces(labDirectory(name), place)).toEqual(nothing);
    expect(await takeDown(name)).toBe(false);
  });
});
