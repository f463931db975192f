// The bench of the commands that talk to Temporal: a real dev server, a worker with the stand-in incident, and the command line.

import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Context } from '@temporalio/activity';
import type { WorkflowHandle } from '@temporalio/client';
import { TestWorkflowEnvironment } from '@temporalio/testing';
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { main } from '../../client/cli';
import { incidentWorkflowId } from '../../domain/facts/names';
import { findTools } from '../../lab/tools';
import { searchAttributeKeys } from '../../workflows/search-attributes';
import { clusterFile, edit } from '../configuration/cluster-file';
import { watchFor, wellBut } from '../domain/plans/watch-world';
import type { StandInActivities } from './stand-in-incident';

export interface Ended {
  readonly exitCode: number;
  readonly out: string;
  readonly error: string;
}

/** A command that runs; `says` resolves once stderr holds the text, and rejects when the command ends without. */
export interface Running {
  readonly ended: Promise<Ended>;
  readonly says: (text: string) => Promise<void>;
}

/** One cluster and its file; no two tests share an incident. */
export interface BenchCluster {
  readonly name: string;
  readonly file: string;
  readonly incident: string;
}

const taskQueue = 'test';
const directory = mkdtempSync(join(tmpdir(), 'temporal-bench-'));

export class TemporalBench {
  private worker!: Worker;
  private running: Promise<void> = Promise.resolve();
  private counter = 0;
  private readonly copies = new Map<string, { finish: () => void; fail: (error: Error) => void }>();

  private constructor(readonly environment: TestWorkflowEnvironment) {}

  static async open(): Promise<TemporalBench> {
    Runtime.install({
      logger: new DefaultLogger('ERROR'),
      telemetryOptions: { logging: { filter: 'ERROR' } },
      // The worker outlives the commands that are interrupted here.
      shutdownSignals: [],
    });
    const environment = await TestWorkflowEnvironment.createLocal({
      server: {
        executable: { type: 'existing-path', path: findTools().temporal },
        ip: '127.0.0.1',
        log: { format: 'pretty', level: 'error' },
        searchAttributes: Object.values(searchAttributeKeys),
      },
    });
    const bench = new TemporalBench(environment);
    const activities: StandInActivities = { baseBackup: ({ cluster }) => bench.copy(cluster), watch: watchForEver };
    bench.worker = await Worker.create({
      connection: environment.nativeConnection,
      taskQueue,
      workflowsPath: join(__dirname, 'stand-in-incident.ts'),
      activities,
      maxHeartbeatThrottleInterval: '50ms',
      shutdownForceTime: '2s',
    });
    bench.running = bench.worker.run();
    return bench;
  }

  async stopWorker(): Promise<void> {
    if (this.worker.getState() === 'RUNNING') this.worker.shutdown();
    await this.running;
  }

  async close(): Promise<void> {
    await this.stopWorker();
    await this.environment.teardown();
    rmSync(directory, { recursive: true });
  }

  newCluster(
    temporal: { readonly address?: string; readonly namespace?: string; readonly taskQueue?: string } = {},
  ): BenchCluster {
    this.counter += 1;
    const name = `shop-${this.counter}`;
    const file = join(directory, `${name}.yaml`);
    const settings = JSON.stringify({ address: this.environment.address, taskQueue, ...temporal });
    const node = '  - { id: 2, host: 10.0.0.12, dataDirectory: /srv/main }\n';
    const text = edit(clusterFile, node, node + node.replaceAll('2', '3'));
    writeFileSync(file, `${edit(text, 'shop', name)}temporal: ${settings}\n`);
    return { name, file, incident: incidentWorkflowId(name) };
  }

  /** A way to Temporal that can be cut. */
  async openProxy(): Promise<{ address: string; close: () => Promise<void>; reopen: () => Promise<void> }> {
    const [host = '', port = ''] = this.environment.address.split(':');
    const sockets = new Set<Socket>();
    const server = createServer((client) => {
      const temporal = connect(Number(port), host);
      for (const [from, to] of [
        [client, temporal],
        [temporal, client],
      ] as const) {
        sockets.add(from);
        from
          .on('error', () => to.destroy())
          .on('close', () => to.destroy())
          .pipe(to);
      }
    });
    const listen = async (at: number): Promise<number> => {
      // An address of its own, because no other program may take the port while the proxy is closed.
      server.listen(at, '127.0.0.2');
      await once(server, 'listening');
      return (server.address() as AddressInfo).port;
    };
    const ownPort = await listen(0);
    const close = async (): Promise<void> => {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    };
    return {
      address: `127.0.0.2:${ownPort}`,
      close,
      reopen: async () => {
        await listen(ownPort);
      },
    };
  }

  handle({ incident }: BenchCluster): WorkflowHandle {
    return this.environment.client.workflow.getHandle(incident);
  }

  /** The copy of node 0: resolves once the activity runs and has said so. */
  async copyOf({ name }: BenchCluster): Promise<{ finish: () => void; fail: (error: Error) => void }> {
    await waitUntil('the copy runs', () => this.copies.has(name));
    return this.copies.get(name)!;
  }

  private async copy(cluster: string): Promise<string> {
    const context = Context.current();
    const beat = (): void => {
      context.heartbeat({ line: 'node 0: base backup 41 % (43 of 104 MB)', percent: 41.3 });
    };
    const timer = setInterval(beat, 50);
    beat();
    try {
      return await new Promise<string>((resolve, reject) => {
        context.cancelled.catch(reject);
        const finish = (): void => {
          resolve('node 0 streams from node 1');
        };
        this.copies.set(cluster, { finish, fail: reject });
      });
    } finally {
      this.copies.delete(cluster);
      clearInterval(timer);
    }
  }
}

async function watchForEver(): Promise<void> {
  const { cancelled, heartbeat } = Context.current();
  const { state } = watchFor(3, () => wellBut({ 2: null }));
  heartbeat(state);
  await cancelled;
}

/** One run of the command line, in this process. */
export function start(...argv: string[]): Running {
  let [out, error, hasEnded] = ['', '', false];
  const io = { writeOut: (text: string) => void (out += text), writeError: (text: string) => void (error += text) };
  const ended = main(argv, io).then((exitCode) => {
    hasEnded = true;
    return { exitCode, out, error };
  });
  const says = async (text: string): Promise<void> => {
    await waitUntil(`it says ${text}`, () => error.includes(text) || hasEnded);
    if (!error.includes(text)) throw new Error(`ended without saying ${text}: ${out}${error}`);
  };
  return { ended, says };
}

export async function run(...argv: string[]): Promise<Ended> {
  return await start(...argv).ended;
}

/** Fails with what it was waiting for. */
export async function waitUntil(what: string, isTrue: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (!(await isTrue())) {
    if (Date.now() > deadline) throw new Error(`waited 60 s until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
