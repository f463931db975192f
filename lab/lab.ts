// A real cluster on one machine: PostgreSQL nodes with an sshd each, a pgpool, a Temporal server, a worker.
// up() builds one, open() finds one that another program built, Lab breaks and mends it, down() leaves nothing behind.
import type { ClientConfig } from 'pg';
import { loadClusterFile } from '../configuration/load';
import type { ClusterConfiguration } from '../domain/facts/cluster';
import { build, type LabOptions } from './build';
import * as faults from './faults';
import type { Layout } from './layout';
import { startPgpool, writePgpoolConf } from './pgpool';
import { connectionTo, getNodeLayout } from './postgres';
import { isRunning, killAll, findProcesses, sendSignal } from './processes';
import { waitFor } from './wait';
import { report, type LabReport } from './report';
import { keepData, putBackData } from './snapshot';
import { isStarting, readState, type LabState } from './state';
import { takeDown } from './take-down';
import { startTemporal } from './temporal';
import { startWorker } from './worker';

export { type FreezeOptions } from './faults';
export { type BackendReport, type LabReport, type NodeReport } from './report';
export { takeDown } from './take-down';
export { listLabNames as listNames } from './state';

type Daemon = 'pgpool' | 'temporal' | 'worker';

/** Builds a lab, or leaves nothing: a failure, SIGINT or SIGTERM takes down what was started, then rejects. */
export async function up(options: LabOptions = {}): Promise<Lab> {
  return new Lab(await build(options));
}

/** Opens a lab that is up. Rejects when there is none of this name, or it is still being built. */
export function open(name = 'default'): Promise<Lab> {
  return Promise.resolve().then(() => {
    const state = readState(name);
    if (!state) throw new Error(`there is no lab "${name}": start it with npm run lab -- up --name ${name}`);
    if (state.phase !== 'up') {
      const what = isStarting(state) ? 'is still being built' : 'was never completed; npm run lab -- down removes it';
      throw new Error(`lab "${name}" ${what}`);
    }
    return new Lab(state.layout);
  });
}

export class Lab {
  readonly name: string;
  readonly directory: string;
  readonly clusterFile: string;
  readonly configuration: ClusterConfiguration;
  readonly hookConf: string;
  readonly hookPath: string;
  readonly hookSpool: string;
  readonly passFile: string;
  readonly pcpPassFile: string;
  readonly pgpool: { readonly host: string; readonly port: number; readonly pcpPort: number };
  readonly temporal: {
    readonly address: string;
    readonly http: string;
    readonly web: string;
    readonly namespace: string;
  };
  readonly versions: { readonly postgres: string; readonly pgpool: string; readonly temporal: string };

  constructor(readonly layout: Layout) {
    const { pgpool, temporal, hook, worker } = layout;
    this.name = layout.name;
    this.directory = layout.directory;
    this.clusterFile = layout.clusterFile;
    this.configuration = loadClusterFile(layout.clusterFile);
    this.hookConf = hook.conf;
    this.hookPath = hook.path;
    this.hookSpool = hook.spool;
    this.passFile = worker.passFile;
    this.pcpPassFile = worker.pcpPassFile;
    this.pgpool = { host: pgpool.host, port: pgpool.port, pcpPort: pgpool.pcpPort };
    const at = (port: number): string => `${temporal.host}:${port}`;
    this.temporal = {
      address: at(temporal.port),
      http: `http://${at(temporal.httpPort)}`,
      web: `http://${at(temporal.webPort)}`,
      namespace: temporal.namespace,
    };
    this.versions = layout.tools.versions;
  }

  /** For `new pg.Client`: as superuser, to a node or through pgpool. */
  connection(to: number | 'pgpool'): ClientConfig {
    return connectionTo(this.layout, to === 'pgpool' ? this.layout.pgpool : getNodeLayout(this.layout, to));
  }

  async stopImmediate(node: number): Promise<void> {
    await faults.stopImmediate(this.layout, getNodeLayout(this.layout, node));
  }

  async killPostgres(node: number): Promise<void> {
    await faults.killPostgres(getNodeLayout(this.layout, node));
  }

  async killHost(node: number): Promise<void> {
    await faults.killHost(this.layout, getNodeLayout(this.layout, node));
  }

  async startHost(node: number): Promise<void> {
    await faults.startHost(this.layout, getNodeLayout(this.layout, node));
  }

  async start(node: number): Promise<void> {
    await faults.start(this.layout, getNodeLayout(this.layout, node));
  }

  async freeze(node: number, options?: faults.FreezeOptions): Promise<void> {
    await faults.freeze(this.layout, getNodeLayout(this.layout, node), options);
  }

  thaw(node: number): void {
    faults.thaw(this.layout, getNodeLayout(this.layout, node));
  }

  async dropHost(node: number): Promise<void> {
    await faults.dropHost(this.layout, getNodeLayout(this.layout, node));
  }

  async restoreHost(node: number): Promise<void> {
    await faults.restoreHost(this.layout, getNodeLayout(this.layout, node));
  }

  /** SIGTERM, and waits for a graceful end (30 s at most). */
  async stopWorker(): Promise<void> {
    await this.stop('worker', 'SIGTERM');
  }

  async killWorker(): Promise<void> {
    await this.kill('worker');
  }

  async startWorker(): Promise<void> {
    this.requireStopped('worker');
    await startWorker(this.layout);
  }

  async killTemporal(): Promise<void> {
    await this.kill('temporal');
  }

  /** Starts Temporal on the same database file. */
  async startTemporal(): Promise<void> {
    this.requireStopped('temporal');
    await startTemporal(this.layout);
  }

  /** SIGINT: pgpool's fast shutdown. */
  async stopPgpool(): Promise<void> {
    await this.stop('pgpool', 'SIGINT');
  }

  /** Starts pgpool, which remembers the nodes that were down (pgpool_status). */
  async startPgpool(): Promise<void> {
    this.requireStopped('pgpool');
    await startPgpool(this.layout);
  }

  /** Copies every node's data, after a clean stop, under this name; pgpool must be stopped. */
  async keepData(name: string): Promise<void> {
    await keepData(this.layout, name);
  }

  /**
   * Puts back every node's data as keepData found it, running, with no node down for pgpool; pgpool must be stopped, no
   * incident open.
   */
  async putBackData(name: string): Promise<void> {
    await putBackData(this.layout, name);
  }

  /** Sets the last lines of pgpool.conf, from its next start on. */
  setPgpoolLines(lines: string): void {
    writePgpoolConf(this.layout, this.configuration, lines);
  }

  /** Measures everything now; a part that does not answer within 8 s is null. */
  async report(): Promise<LabReport> {
    return report(this.state(), this.configuration);
  }

  /** Stops exactly what this lab started, and removes it. Does nothing for a lab that is gone. */
  async down(): Promise<void> {
    await takeDown(this.name);
  }

  private state(): LabState {
    const state = readState(this.name);
    if (!state) throw new Error(`lab "${this.name}" is gone: it was taken down`);
    return state;
  }

  private async stop(daemon: Daemon, signal: NodeJS.Signals): Promise<void> {
    const record = this.state().processes[daemon];
    if (!record || !sendSignal(record, signal)) return;
    await waitFor(() => !isRunning(record), { what: `${daemon} to end after ${signal}`, timeoutMs: 30_000 });
  }

  private async kill(daemon: Daemon): Promise<void> {
    const record = this.state().processes[daemon];
    const directory = this.layout[daemon].directory;
    await killAll(() => findProcesses(directory, record ? [record] : []), daemon);
  }

  private requireStopped(daemon: Daemon): void {
    if (isRunning(this.state().processes[daemon])) throw new Error(`lab "${this.name}": ${daemon} runs already`);
  }
}
