// Shared by the tests of activities: real nodes with an sshd each, put back between tests; real tools; a worker that dies on cue.
// startBed() gives nodes only (no pgpool, no Temporal, whose hooks would act on their own); Bed.down() leaves nothing behind.
import { execFile, spawn } from 'node:child_process';
import { appendFileSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { pcp } from '../../activities/io/pcp/pcp';
import { SqlConnections } from '../../activities/io/sql/postgres';
import { SshConnections } from '../../activities/io/ssh/ssh';
import { sqlTarget, sshTarget, type WorkerTools } from '../../activities/io/tools';
import { loadClusterFile } from '../../configuration/load';
import type { ClusterConfiguration, NodeConfiguration } from '../../domain/facts/cluster';
import { getNode } from '../../domain/facts/cluster';
import { nothingRecorded } from '../../domain/facts/record';
import type { ClusterEvent } from '../../domain/facts/event';
import { writeClusterFile } from '../../lab/cluster-file';
import { makeDirectoryFor, writeFor } from '../../lab/files';
import { open, takeDown, type Lab } from '../../lab/lab';
import { type Layout, planLayout } from '../../lab/layout';
import { createPrimary, createStandby, getNodeLayout, query, stopPostgres, waitForStandbys } from '../../lab/postgres';
import { removeIpc } from '../../lab/ipc';
import { findPostgresProcesses, killAll, type ProcessRecord } from '../../lab/processes';
import { createPasswords } from '../../lab/secrets';
import { createSsh, startSshd } from '../../lab/sshd';
import { claimSlot, createState, releaseSlot, updateState } from '../../lab/state';
import { findTools } from '../../lab/tools';
import { waitFor } from '../../lab/wait';
import { createEnvironment, type Input, perform, type Verb } from './perform';

export { createEnvironment, failureOf, inAttempt, perform } from './perform';
export { waitFor };

export interface TestTools extends WorkerTools {
  readonly events: ClusterEvent[];
  close(): Promise<void>;
}

/** The worker's tools, but the incident is a list. Close them, or Jest does not end. */
export function createTools(clusterFile: string): TestTools {
  const events: ClusterEvent[] = [];
  const sql = new SqlConnections();
  const ssh = new SshConnections();
  return {
    pcp,
    sql,
    ssh,
    readConfiguration: () => loadClusterFile(clusterFile),
    recall: () => Promise.resolve({ ...nothingRecorded, watch: null }),
    isIncidentOpen: () => Promise.resolve(false),
    conclude: () => Promise.resolve(),
    signalIncident: (_, event) => {
      events.push(event);
      return Promise.resolve();
    },
    events,
    close: async () => {
      await Promise.all([sql.close(), ssh.close()]);
    },
  };
}

/** Suspends the worker for that long, by its own clock, after each answer of a node. Until jest.restoreAllMocks(). */
export function sleepAfterLook({ sql }: WorkerTools, sleepMs: number): void {
  const query = sql.query.bind(sql);
  jest.spyOn(sql, 'query').mockImplementation(async (...question) => {
    // A connection that an earlier test has broken: asked again after the sleep, it would be given no time.
    const rows = await query(...question).catch(() => query(...question));
    const later = Date.now() + sleepMs;
    jest.spyOn(Date, 'now').mockImplementation(() => later);
    return rows;
  });
}

/** Nodes of a lab, without anything else of it. Node 0 is the primary, the others stream from it; reset() makes it so again. */
export class Bed {
  readonly tools: TestTools;

  constructor(
    readonly lab: Lab,
    readonly layout: Layout,
  ) {
    this.tools = createTools(lab.clusterFile);
  }

  get configuration(): ClusterConfiguration {
    return this.lab.configuration;
  }

  node(id: number): NodeConfiguration {
    return getNode(this.configuration, id);
  }

  /** The design's path for a node's jobs; with an ending, that of its lock or its list of links. */
  jobs(node: number, ending = ''): string {
    return path.join(this.configuration.paths.jobs, `${this.configuration.cluster}.node${node}${ending}`);
  }

  /** The design's path for a node's saved configurations and WAL. */
  saved(node: number): string {
    return path.join(this.configuration.paths.savedConfiguration, `${this.configuration.cluster}.node${node}`);
  }

  /** One statement on a connection of its own, so that a proof never comes through the code under test. */
  async ask(node: number, text: string): Promise<Record<string, unknown>> {
    const client = await this.connect(node);
    try {
      return (await client.query<Record<string, unknown>>(text)).rows[0] ?? {};
    } finally {
      await client.end().catch(() => undefined);
    }
  }

  async connect(node: number): Promise<Client> {
    const client = new Client(this.lab.connection(node));
    client.on('error', () => undefined);
    await client.connect();
    return client;
  }

  /** As the worker's connections are before anything happens. */
  async warm(tools: WorkerTools): Promise<void> {
    await Promise.all(
      this.configuration.nodes.flatMap((node) => [
        tools.ssh.warm(sshTarget(this.configuration, node)),
        tools.sql.warm(sqlTarget(this.configuration, node), 5000),
      ]),
    );
  }

  processes(node: number): ProcessRecord[] {
    return findPostgresProcesses(getNodeLayout(this.layout, node).directory);
  }

  async stop(node: number, mode: 'fast' | 'immediate' = 'fast'): Promise<void> {
    await stopPostgres(this.layout, getNodeLayout(this.layout, node), mode);
  }

  /** pg_promote() leaves a file until the startup process has seen it (PROMOTE_SIGNAL_FILE). */
  isPromoteRequested(node: number): boolean {
    return existsSync(path.join(this.node(node).dataDirectory, 'promote'));
  }

  /**
   * Starts a stopped node that answers 57P03 to everybody, because its recovery asks for an archive that does not answer.
   * The result lets it go on, and resolves when it answers as a standby.
   */
  async startInRecovery(node: number): Promise<() => Promise<void>> {
    const { dataDirectory } = this.node(node);
    const archive = path.join(this.layout.directory, `archive-answers-${node}`);
    const wait = `while [ ! -e ${archive} ]; do sleep 0.02; done; false`;
    appendFileSync(path.join(dataDirectory, 'postgresql.auto.conf'), `restore_command = '${wait}'\n`);
    writeFor(this.layout.user, path.join(dataDirectory, 'standby.signal'), '');
    const starting = this.lab.start(node);
    const isRecovering = (): Promise<boolean> =>
      this.connect(node).then(
        () => false,
        (error: unknown) => (error as { code?: string }).code === '57P03',
      );
    await waitFor(isRecovering, { what: 'SQLSTATE 57P03', timeoutMs: 10_000 });
    return async () => {
      writeFileSync(archive, '');
      await starting;
    };
  }

  /** Starts a stopped node as a standby of another one, and waits until it streams. */
  async followNode(node: number, primary: number): Promise<void> {
    const { dataDirectory } = this.node(node);
    const { host, port } = this.node(primary);
    const { user, worker } = this.layout;
    const conninfo = `host=${host} port=${port} user=replicator passfile=${worker.passFile}`;
    appendFileSync(path.join(dataDirectory, 'postgresql.auto.conf'), `primary_conninfo = '${conninfo}'\n`);
    writeFor(user, path.join(dataDirectory, 'standby.signal'), '');
    await this.lab.start(node);
    const isStreaming = `select count(*)::int as n from pg_stat_wal_receiver where status = 'streaming'`;
    await waitFor(async () => (await this.ask(node, isStreaming))['n'] === 1, { what: 'a stream', timeoutMs: 10_000 });
  }

  /** Back to the start, data included, whatever a test has done to the nodes. */
  async reset(): Promise<void> {
    await Promise.all(
      this.layout.nodes.map(async (node) => {
        this.lab.thaw(node.id);
        await killAll(() => this.processes(node.id), `node ${node.id}`);
        // The pid file that names the killed server's shared memory goes with the directory.
        await removeIpc(this.layout, new Set());
        await this.copy(this.snapshot(node.id), node.dataDirectory);
        rmSync(this.socketLock(node.id), { force: true });
        await this.lab.startHost(node.id);
      }),
    );
    await waitForStandbys(this.layout, AbortSignal.timeout(30_000));
  }

  /** Keeps the nodes as they are now, for reset(). Cleanly stopped, so that a copy starts at once. */
  async keep(): Promise<void> {
    mkdirSync(path.dirname(this.snapshot(0)), { recursive: true });
    for (const { id, dataDirectory } of this.layout.nodes) {
      await this.stop(id);
      await this.copy(dataDirectory, this.snapshot(id));
    }
    await this.reset();
  }

  /** A fenced, frozen or killed node 0 becomes the primary again; cheaper than reset() where nothing else has changed. */
  async mend(): Promise<void> {
    const node = getNodeLayout(this.layout, 0);
    for (const { id } of this.layout.nodes) this.lab.thaw(id);
    await killAll(() => this.processes(0), 'node 0');
    for (const file of [path.join(node.dataDirectory, 'standby.signal'), this.socketLock(0)])
      rmSync(file, { force: true });
    await this.lab.startHost(0);
    await waitForStandbys(this.layout, AbortSignal.timeout(30_000));
  }

  async down(): Promise<void> {
    await this.tools.close();
    await this.lab.down();
  }

  /** The lock of a socket: its holder may still wait to be reaped by us after a SIGKILL, and would then pass for alive. */
  private socketLock(id: number): string {
    const { directory, port } = getNodeLayout(this.layout, id);
    return path.join(directory, `.s.PGSQL.${port}.lock`);
  }

  private async copy(from: string, to: string): Promise<void> {
    await promisify(execFile)('/bin/sh', ['-c', 'rm -rf "$2" && cp -a --sparse=always "$1" "$2"', 'sh', from, to]);
  }

  private snapshot(node: number): string {
    return path.join(this.layout.directory, 'kept', `node${node}`);
  }
}

/** `purpose` names the lab; several test files run at once. */
export async function startBed(purpose: string, nodeCount = 3): Promise<Bed> {
  const name = `t-${purpose}-${process.pid}`;
  const slot = claimSlot(name);
  let layout: Layout;
  try {
    layout = planLayout(name, slot, nodeCount, findTools());
    createState(layout);
  } catch (error) {
    releaseSlot(slot);
    throw error;
  }
  try {
    await startNodes(layout);
    updateState(name, () => ({ phase: 'up' }));
    return new Bed(await open(name), layout);
  } catch (error) {
    await takeDown(name);
    throw error;
  }
}

async function startNodes(layout: Layout): Promise<void> {
  const { user, nodes, directory } = layout;
  const signal = AbortSignal.timeout(60_000);
  for (const part of [layout.worker, layout.pgpool, ...nodes]) makeDirectoryFor(user, part.directory);
  for (const name of ['saved', 'jobs']) makeDirectoryFor(user, path.join(directory, name), 0o700);
  const passwords = createPasswords(layout);
  writeClusterFile(layout);
  const startEverySshd = async (): Promise<void> => {
    await createSsh(layout, signal);
    await Promise.all(nodes.map((node) => startSshd(layout, node, signal)));
  };
  const startEveryPostgres = async (): Promise<void> => {
    await createPrimary(layout, passwords, signal);
    const prepare = (text: string): Promise<unknown> => query(layout, getNodeLayout(layout, 0), text);
    // A standby that finds no primary looks again at once, not after 5 s; nothing here survives the machine anyway.
    for (const setting of [`wal_retrieve_retry_interval = '100ms'`, 'fsync = off', `min_wal_size = '32MB'`]) {
      await prepare(`alter system set ${setting}`);
    }
    // Two thirds of the files, which would be copied for every test.
    await prepare('update pg_database set datistemplate = false');
    for (const name of ['template0', 'template1']) await prepare(`drop database ${name}`);
    await Promise.all(nodes.slice(1).map((node) => createStandby(layout, node, signal)));
    await waitForStandbys(layout, signal);
  };
  await Promise.all([startEverySshd(), startEveryPostgres()]);
}

/**
 * When the worker dies: at its nth heartbeat with details (verbs send them only between act and proof), at the first one whose
 * details hold a text, at its first regular one (every 500 ms; the first after the file `once` exists), just before it would send a query or a
 * script that holds this text, or when such a script has ended and before its result is known.
 */
export type Moment =
  | { readonly proving: number }
  | { readonly saying: string }
  | { readonly beat: true; readonly once?: string }
  | { readonly beforeQuery: string }
  | { readonly beforeScript: string }
  | { readonly afterScript: string };

interface Job {
  readonly clusterFile: string;
  readonly verb: Verb;
  readonly input: unknown;
  readonly moment: Moment;
}

/** Transpiles what it loads, because dist/ may be missing or old. */
export const loader = `
const { readFileSync } = require('node:fs');
const { transformSync } = require('@swc/core');
require.extensions['.ts'] = (module, filename) => module._compile(transformSync(readFileSync(filename, 'utf8'), { filename,
  configFile: false, swcrc: false, module: { type: 'commonjs' }, jsc: { target: 'es2022', parser: { syntax: 'typescript' } } }).code, filename);
require(process.argv[1]).workUntilDeath(JSON.parse(process.argv[2]));
`;

/** Runs the activity in a process of its own that is SIGKILLed at the moment; fails when it lives to the end. */
export async function dieDuring<Name extends Verb>(
  clusterFile: string,
  verb: Name,
  input: Input<Name>,
  moment: Moment,
): Promise<void> {
  const job: Job = { clusterFile, verb, input, moment };
  const child = spawn(process.execPath, ['-e', loader, __filename, JSON.stringify(job)], {
    cwd: path.join(__dirname, '..', '..'),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const signal = await new Promise((resolve) => {
    child.once('close', (_, by) => {
      resolve(by);
    });
  });
  if (signal !== 'SIGKILL') throw new Error(`the worker was to die during ${verb}, but ended: ${output.slice(-1500)}`);
}

/** The child's side of dieDuring. */
export async function workUntilDeath({ clusterFile, verb, input, moment }: Job): Promise<void> {
  const die = (): void => {
    process.kill(process.pid, 'SIGKILL');
  };
  const tools = createTools(clusterFile);
  const environment = createEnvironment();
  let proofs = 0;
  environment.on('heartbeat', (details: unknown) => {
    if ('beat' in moment && (!moment.once || existsSync(moment.once))) die();
    if ('saying' in moment && JSON.stringify(details ?? null).includes(moment.saying)) die();
    if ('proving' in moment && details !== undefined && ++proofs === moment.proving) die();
  });
  const query = tools.sql.query.bind(tools.sql);
  tools.sql.query = (target, text, options) => {
    if ('beforeQuery' in moment && text.includes(moment.beforeQuery)) die();
    return query(target, text, options);
  };
  const run = tools.ssh.run.bind(tools.ssh);
  tools.ssh.run = async (target, script, options) => {
    if ('beforeScript' in moment && script.includes(moment.beforeScript)) die();
    const result = await run(target, script, options);
    if ('afterScript' in moment && script.includes(moment.afterScript)) die();
    return result;
  };
  const result = await perform(tools, verb, input as Input<typeof verb>, environment);
  process.stdout.write(JSON.stringify(result));
  await tools.close();
}
