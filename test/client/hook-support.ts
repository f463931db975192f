// A bench for client/hook.sh: a fake Temporal HTTP API, a private PATH whose `sh` is the shell under test, and a spool.
// Every process that a bench starts is found again by the bench's own directory and ended by its pid.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import * as http from 'node:http';
import { type AddressInfo } from 'node:net';
import * as os from 'node:os';
import * as path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export const shells = ['dash', 'bash --posix'] as const;
export type Shell = (typeof shells)[number];

export interface Received {
  readonly method: string;
  readonly path: string;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: unknown;
}
/** `hang` never answers, `reset` cuts the connection. */
export type Answer = { readonly status: number; readonly body: unknown } | 'hang' | 'reset';

export interface FakeTemporal {
  readonly port: number;
  readonly received: Received[];
  /** Answers to signal-with-start, update and history; the last of a list is repeated. */
  answers: { signal: Answer[]; update: Answer[]; history: Answer[] };
  readonly events: () => unknown[];
  readonly close: () => Promise<void>;
}

export const started: Answer = { status: 200, body: { runId: 'run-1', started: true } };
export const unsettled: Answer = { status: 200, body: { updateRef: { updateId: 'u' }, stage: 'ACCEPTED' } };
export const notFound: Answer = { status: 404, body: { code: 5, message: 'workflow execution already completed' } };

/** The answer of an update that the workflow completed; members in the server's alphabetical order. */
export function settled(outcome: string, line: string): Answer {
  return { status: 200, body: { updateRef: {}, outcome: { success: [{ line, outcome, reason: 'why' }] } } };
}

/** Stands for the id of the event that was received last. */
export const lastEventId = 'LAST-EVENT';

/** A history that holds only the close event; `result` is what the workflow returned. */
export function closeEvent(type: string, result?: unknown): Answer {
  const attributes = result === undefined ? {} : { workflowExecutionCompletedEventAttributes: { result: [result] } };
  const event = { eventId: '48', eventType: `EVENT_TYPE_WORKFLOW_EXECUTION_${type}`, taskId: '7', ...attributes };
  return { status: 200, body: { history: { events: [event] } } };
}

export async function startTemporal(port = 0): Promise<FakeTemporal> {
  const received: Received[] = [];
  const temporal = { received, answers: { signal: [started], update: [unsettled], history: [notFound] } };
  const server = http.createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { method = '', url = '', headers } = request;
      const text = Buffer.concat(chunks).toString();
      received.push({ method, path: url, headers, body: text === '' ? undefined : (JSON.parse(text) as unknown) });
      const queue =
        temporal.answers[url.includes('/update/') ? 'update' : url.includes('/history') ? 'history' : 'signal'];
      const answer = (queue.length > 1 ? queue.shift() : queue[0]) ?? started;
      if (answer === 'reset') request.socket.destroy();
      else if (answer !== 'hang') {
        response.writeHead(answer.status, { 'Content-Type': 'application/json' });
        const text = typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body);
        const last = eventsOf(received).at(-1) as { eventId?: string } | undefined;
        response.end(text.replaceAll(lastEventId, last?.eventId ?? ''));
      }
    });
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return Object.assign(temporal, {
    port: (server.address() as AddressInfo).port,
    events: () => eventsOf(received),
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  });
}

function eventsOf(received: readonly Received[]): unknown[] {
  return received
    .filter((request) => request.path.endsWith('/signal-with-start/event'))
    .map((request) => (request.body as { signalInput: unknown[] }).signalInput[0]);
}

/** A port without a listener, which the system gives to no program. */
export const closedPort = 1;

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly durationMs: number;
}
export interface RunOptions {
  readonly environment?: Record<string, string>;
  /** Words put before the shell, such as `env --block-signal=TERM`. */
  readonly before?: readonly string[];
  readonly stdio?: ('pipe' | 'ignore')[];
  readonly user?: number;
}

export class Bench {
  readonly directory = fs.mkdtempSync(path.join(os.tmpdir(), 'hook-'));
  readonly spool = path.join(this.directory, 'spool');
  readonly config = path.join(this.directory, 'hook.conf');
  readonly bin = path.join(this.directory, 'bin');
  readonly hook = path.join(this.directory, 'hook.sh');

  constructor(readonly shell: Shell) {
    fs.chmodSync(this.directory, 0o755);
    fs.mkdirSync(this.bin);
    fs.copyFileSync(path.join(__dirname, '../../client/hook.sh'), this.hook);
    const tools = ['curl', 'timeout', 'date', 'mv', 'rm', 'mkdir', 'sleep', 'flock', 'setsid', 'id', 'uname', 'bash'];
    for (const tool of [...tools, 'env']) this.link(tool);
    this.link(shell === 'dash' ? 'dash' : 'bash', 'sh');
  }

  link(tool: string, name = tool): void {
    const directories = (process.env['PATH'] ?? '').split(':').map((directory) => path.join(directory, tool));
    const target = directories.find((file) => fs.existsSync(file));
    if (target === undefined) throw new Error(`${tool} is not on PATH; install it to run this test`);
    fs.symlinkSync(target, path.join(this.bin, name));
  }

  /** Writes hook.conf; a null removes a line. */
  configure(port: number, changes: Record<string, string | null> = {}): void {
    const settings: Record<string, string | null> = {
      CLUSTER: 'shop',
      TEMPORAL_HTTP: `http://127.0.0.1:${port}`,
      NAMESPACE: 'default',
      TASK_QUEUE: 'pgpool-runbook',
      SPOOL: this.spool,
      WAIT_SECONDS: '5',
      ...changes,
    };
    const lines = Object.entries(settings).filter(([, value]) => value !== null);
    fs.writeFileSync(this.config, lines.map(([key, value]) => `${key}=${value ?? ''}\n`).join(''));
  }

  start(args: readonly string[], options: RunOptions = {}): ChildProcess {
    const shell = this.shell === 'dash' ? ['dash'] : ['bash', '--posix'];
    const words = [...(options.before ?? []), ...shell, this.hook, '-c', this.config, ...args];
    // Found on the machine's PATH, while the hook itself sees only the bench's.
    const command = ['env', `PATH=${this.bin}`, ...words.map((word) => (word === 'dash' ? '/bin/dash' : word))];
    return spawn('/usr/bin/env', command.slice(1), {
      cwd: this.directory,
      env: options.environment ?? {},
      stdio: options.stdio ?? ['ignore', 'pipe', 'pipe'],
      ...(options.user === undefined ? {} : { uid: options.user, gid: options.user }),
    });
  }

  /** Runs the hook until its output is closed, so a child that kept stdout open would make it hang. */
  async run(args: readonly string[], options: RunOptions = {}): Promise<Finished> {
    return finish(this.start(args, options));
  }

  spooled(): string[] {
    return fs.existsSync(this.spool) ? fs.readdirSync(this.spool) : [];
  }

  /** Processes of this bench, the detached deliver among them. */
  processes(): number[] {
    return fs.readdirSync('/proc').flatMap((entry) => {
      if (!/^\d+$/.test(entry)) return [];
      try {
        return fs.readFileSync(`/proc/${entry}/cmdline`, 'utf8').includes(this.directory) ? [Number(entry)] : [];
      } catch {
        return []; // The process has ended meanwhile.
      }
    });
  }

  async remove(): Promise<void> {
    await until(() => {
      const alive = this.processes();
      for (const pid of alive) killIfAlive(pid);
      return alive.length === 0;
    }, 'processes of the bench are gone');
    fs.rmSync(this.directory, { recursive: true });
  }
}

function killIfAlive(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

export async function finish(child: ChildProcess): Promise<Finished> {
  const startedAt = Date.now();
  const output = { stdout: '', stderr: '' };
  child.stdout?.on('data', (chunk: Buffer) => (output.stdout += chunk.toString()));
  child.stderr?.on('data', (chunk: Buffer) => (output.stderr += chunk.toString()));
  await once(child, 'close');
  return { ...output, code: child.exitCode, durationMs: Date.now() - startedAt };
}

/** Waits for a condition in the world; fails with its name after 40 s (deliver's longest pause is 30 s). */
export async function until(condition: () => boolean, name: string): Promise<void> {
  const deadline = Date.now() + 40_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`still not so after 40 s: ${name}`);
    await sleep(20);
  }
}
