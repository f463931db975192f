// Operating system processes by (pid, start time), so that a reused pid is never touched.
// Linux only: everything is read from /proc.
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, fchownSync, openSync, readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { waitFor } from './wait';

/** A process that cannot be confused with a later one: `startTicks` is field 22 of /proc/PID/stat (proc(5)). */
export interface ProcessRecord {
  readonly pid: number;
  readonly startTicks: string;
}

/** The operating system user that a program runs as; `uid` equals ours when there is nothing to change. */
export interface SystemUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

interface ProcessEntry extends ProcessRecord {
  readonly parent: number;
}

export interface RunOptions {
  readonly user: SystemUser;
  readonly environment?: Readonly<Record<string, string>>;
  readonly directory?: string;
  readonly signal?: AbortSignal;
}

/** The environment variable that marks what belongs to a lab: its directory, or a node's directory inside it. */
export const labVariable = 'PGPOOL_RUNBOOK_LAB';

/** A small, predictable environment: nothing of the caller's (PGHOST, TEMPORAL_ADDRESS, proxies) reaches the lab. */
export function cleanEnvironment(options: RunOptions): NodeJS.ProcessEnv {
  const { name, home } = options.user;
  const path = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
  return {
    PATH: path,
    HOME: home,
    USER: name,
    LOGNAME: name,
    SHELL: '/bin/sh',
    LANG: 'C.UTF-8',
    ...options.environment,
  };
}

function identity(options: RunOptions): { uid?: number; gid?: number } {
  return process.getuid?.() === options.user.uid ? {} : { uid: options.user.uid, gid: options.user.gid };
}

/**
 * Runs a program to its end and returns its exit code (null when killed) and output. Rejects only when the program
 * cannot start.
 */
export function run(
  command: string,
  argv: readonly string[],
  options: RunOptions,
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, argv, {
      ...identity(options),
      cwd: options.directory ?? '/',
      env: cleanEnvironment(options),
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(options.signal && { signal: options.signal }),
    });
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    child.on('error', (error) => {
      reject(new Error(`cannot run ${command}: ${error.message}`, { cause: error }));
    });
    child.on('close', (code) => {
      resolve({ code, stdout, stderr });
    });
  });
}

/** Like run, but any exit code except 0 is an error that quotes the program's output. Returns the output. */
export async function runOrFail(command: string, argv: readonly string[], options: RunOptions): Promise<string> {
  const { code, stdout, stderr } = await run(command, argv, options);
  if (code !== 0) {
    const said = (stderr || stdout).trim().slice(-800);
    throw new Error(
      `${[command, ...argv].join(' ')} ended with ${code ?? 'a signal'} (as ${options.user.name}): ${said}`,
    );
  }
  return stdout;
}

export interface DaemonOptions extends RunOptions {
  /** The file to which both outputs are appended. */
  readonly logFile: string;
  /** Called at once, so that no started process goes unrecorded. */
  readonly record: (record: ProcessRecord) => void;
}

/**
 * Starts a daemon in a session of its own; it outlives us. Resolves once the daemon runs, which may be before it is
 * ready.
 */
export async function startDetached(
  command: string,
  argv: readonly string[],
  options: DaemonOptions,
): Promise<ProcessRecord> {
  options.signal?.throwIfAborted();
  const child = spawnDaemon(command, argv, options);
  const record = child.pid === undefined ? null : readRecord(child.pid);
  if (record) options.record(record);
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', (error) => {
      reject(new Error(`cannot run ${command}: ${error.message}`, { cause: error }));
    });
  });
  child.unref();
  if (!record) throw new Error(`${command} ended at once; its output is in ${options.logFile}`);
  return record;
}

function spawnDaemon(command: string, argv: readonly string[], options: DaemonOptions): ChildProcess {
  const log = openSync(options.logFile, 'a', 0o644);
  try {
    fchownSync(log, options.user.uid, options.user.gid);
    return spawn(command, argv, {
      ...identity(options),
      cwd: options.directory ?? '/',
      env: cleanEnvironment(options),
      detached: true,
      stdio: ['ignore', log, log],
    });
  } finally {
    closeSync(log);
  }
}

/** Undefined for a process that is gone or only waits to be reaped. */
function readEntry(pid: number): ProcessEntry | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The command name may hold blanks and parentheses, so fields are counted from its last closing one.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    const [state, parent, startTicks] = [fields[0], fields[1], fields[19]];
    if (!parent || !startTicks || state === 'Z' || state === 'X') return undefined;
    return { pid, parent: Number(parent), startTicks };
  } catch {
    return undefined;
  }
}

/** Null when no such process runs. */
export function readRecord(pid: number): ProcessRecord | null {
  const entry = readEntry(pid);
  return entry ? { pid: entry.pid, startTicks: entry.startTicks } : null;
}

export function isRunning(record: ProcessRecord | undefined): record is ProcessRecord {
  return record !== undefined && readEntry(record.pid)?.startTicks === record.startTicks;
}

/** False when the process was gone already. */
export function sendSignal(record: ProcessRecord, signal: NodeJS.Signals): boolean {
  if (!isRunning(record)) return false;
  try {
    return process.kill(record.pid, signal);
  } catch {
    return false;
  }
}

function listProcesses(): ProcessEntry[] {
  return readdirSync('/proc')
    .filter((name) => /^[0-9]+$/.test(name))
    .flatMap((name) => readEntry(Number(name)) ?? []);
}

/**
 * Every process of `directory` (a lab's or a node's): the given roots that still run, processes with its mark in their
 * environment, PostgreSQL and pgpool processes that work inside it, and all descendants of these. PostgreSQL and pgpool
 * are found by directory because they overwrite their environment to set their title, and an orphan has no parent to be
 * found by.
 */
export function findProcesses(directory: string, roots: readonly ProcessRecord[]): ProcessRecord[] {
  const all = listProcesses();
  const found = new Map(roots.filter(isRunning).map((record) => [record.pid, record]));
  for (const entry of all) {
    if (
      entry.pid !== process.pid &&
      (hasMark(entry.pid, directory) || isServerInside(entry.pid, directory, /\/(postgres|pgpool)$/))
    ) {
      found.set(entry.pid, entry);
    }
  }
  for (let before = -1; before !== found.size;) {
    before = found.size;
    for (const entry of all) if (found.has(entry.parent) && entry.pid !== process.pid) found.set(entry.pid, entry);
  }
  return [...found.values()];
}

function hasMark(pid: number, directory: string): boolean {
  try {
    const environment = readFileSync(`/proc/${pid}/environ`, 'utf8');
    return environment
      .split('\0')
      .some((entry) => entry === `${labVariable}=${directory}` || entry.startsWith(`${labVariable}=${directory}/`));
  } catch {
    return false;
  }
}

/** The PostgreSQL server processes that work in `directory` or below, orphans included. */
export function findPostgresProcesses(directory: string): ProcessRecord[] {
  return listProcesses().filter(({ pid }) => isServerInside(pid, directory, /\/postgres$/));
}

/** Processes with this text in their command line: scripts, and programs started with a script's path. */
export function findCommands(text: string): ProcessRecord[] {
  return listProcesses().filter(({ pid }) => {
    try {
      return pid !== process.pid && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(text);
    } catch {
      return false;
    }
  });
}

function isServerInside(pid: number, directory: string, program: RegExp): boolean {
  // The path of a file that was removed under a process has this ending (proc(5)).
  const read = (link: string): string => readlinkSync(`/proc/${pid}/${link}`).replace(/ \(deleted\)$/, '');
  try {
    return `${read('cwd')}/`.startsWith(`${directory}/`) && program.test(read('exe'));
  } catch {
    return false;
  }
}

/** SIGKILL until `find` finds nothing: processes that were forked meanwhile are found in the next round. */
export async function killAll(find: () => readonly ProcessRecord[], what: string, timeoutMs = 10_000): Promise<void> {
  await waitFor(
    () => {
      const found = find();
      // Stopped first, a parent cannot fork between being listed and being killed.
      for (const record of found) sendSignal(record, 'SIGSTOP');
      for (const record of found) sendSignal(record, 'SIGKILL');
      return found.length === 0;
    },
    { what: `the end of ${what}`, timeoutMs },
  );
}
