// The set-up's plain JavaScript with types, and fake programs, for the tests of this folder.

import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { spawn } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

export const clone = resolve(__dirname, '..', '..', '..');

type Environment = Record<string, string | undefined>;
type Found = {
  readonly path?: string;
  readonly version?: string;
  readonly problem?: string;
  readonly isTooOld?: boolean;
};

export interface Voice {
  readonly say: (line: string) => void;
  readonly sayMore: (line: string) => void;
}

interface Need {
  readonly what: string;
  readonly seen: string;
  readonly packages: readonly string[];
}

interface Modules {
  'versions.js': {
    minimum: { go: string };
    pinned: { temporal: string; server: string };
    wrapperModule: string;
    isAtLeast: (version: string, minimum: string) => boolean;
  };
  'system.js': {
    findPostgres: (directories: string[], folders: unknown) => { bin?: string; version?: string; problem?: string };
    findPgpool: (directories: string[]) => Found;
    inspectForCheck: (directories: string[]) => Need[];
    inspectSystem: (options: object) => { found: Record<string, unknown>; missing: Need[] };
  };
  'tools.js': { describeMissing: (missing: readonly Need[], isDebian: boolean) => string };
  'temporal.js': {
    findTemporal: (environment: Environment) => Found;
    ensureTemporal: (environment: Environment, voice: Voice) => Promise<void>;
    cachedFile: (environment: Environment) => string;
  };
  'go.js': {
    findGo: (environment: Environment, otherFolders: string[]) => Found;
  };
  'temporal-server.js': {
    findTemporalServer: (environment: Environment) => { server: string; sqlTool: string } | null;
    ensureTemporalServer: (environment: Environment, voice: Voice) => Promise<void>;
  };
  'locks.js': { checkLocks: (options: object) => Promise<string[]> };
  'shellcheck.js': {
    checkScripts: (options: {
      root: string;
      names: readonly string[];
      directories: readonly string[];
    }) => Promise<string>;
    listScripts: (root: string) => string[];
  };
  'apt.js': { installPackages: (packages: string[], options: object) => Promise<void> };
  'lock.js': {
    withLock: <T>(directory: string, work: () => T | Promise<T>, onWait?: (pid: string) => void) => Promise<T>;
  };
  'packages.js': { findStalePackages: (root: string) => string | null };
  'progress.js': {
    createProgress: (voice: Voice, everyMs: number) => { note: (line: string) => void; stop: () => void };
  };
}

export const modulePath = (name: keyof Modules): string => join(clone, 'lab', 'setup', name);

export function load<Name extends keyof Modules>(name: Name): Modules[Name] {
  // eslint-disable-next-line @typescript-eslint/no-require-imports -- plain CommonJS without declarations
  return require(modulePath(name)) as Modules[Name];
}

/** A directory of its own for each test of the file, removed after it. */
export function useFolder(): () => string {
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'runbook-setup-'));
  });
  afterEach(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  return () => folder;
}

/** An executable shell script; folders are made. */
export function writeProgram(folder: string, name: string, body: string): string {
  mkdirSync(folder, { recursive: true });
  const file = join(folder, name);
  writeFileSync(file, `#!/bin/sh\n${body}\n`);
  chmodSync(file, 0o755);
  return file;
}

/** A voice that keeps what it says. */
export function createListener(): { voice: Voice; lines: string[] } {
  const lines: string[] = [];
  const note = (line: string): void => void lines.push(line);
  return { voice: { say: note, sayMore: note }, lines };
}

export interface Ended {
  readonly code: number | null;
  readonly output: string;
}

/** Runs a program; `onOutput` sees everything so far after each piece, with the pid, so that a test can act at a known moment. */
export function runProgram(
  file: string,
  args: readonly string[],
  {
    env = process.env,
    cwd = clone,
    onOutput = () => undefined,
  }: {
    env?: NodeJS.ProcessEnv;
    cwd?: string;
    onOutput?: (output: string, pid: number) => void;
  } = {},
): Promise<Ended> {
  return new Promise((settle, reject) => {
    const child = spawn(file, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (data: Buffer) => {
        output += data.toString();
        if (child.pid !== undefined) onOutput(output, child.pid);
      });
    }
    child.on('error', reject);
    child.on('close', (code) => {
      settle({ code, output });
    });
  });
}
