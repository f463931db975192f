// Scripts of the nodes run here, as sshd's shell would: no ssh, no PostgreSQL, stand-ins for PostgreSQL's programs.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { joinScript, stripScript } from '../../activities/io/host/join-scripts';
import { scriptDirectory, scripts, type ScriptName } from '../../activities/io/host/scripts';
import { wrapScript } from '../../activities/io/ssh/command';

/** The shells that are sh somewhere. */
export const shells = [
  ['dash', ['dash']],
  ['bash', ['bash', '--posix']],
] as const;

/** A script of one part of lib/, and `text`. */
export function including(part: string, text: string): string {
  return stripScript(joinScript(scriptDirectory, `. lib/${part}.sh\n${text}\n`));
}

/** An act that does `text`. */
export const actOf = (text: string): string => including('act', text);

/** Makes `text` a script of the worker's, for tests of the door itself. */
export function asScript(text: string): ScriptName {
  (scripts as Record<string, string>)[text] = text;
  return text as ScriptName;
}

export interface Ran {
  readonly status: number | null;
  readonly output: string;
  readonly stderr: string;
}

export class Host {
  readonly directory = mkdtempSync(join(tmpdir(), 'host-'));
  readonly bin = this.path('bin');
  private readonly servers: ChildProcess[] = [];

  constructor(private readonly shell: readonly string[]) {
    this.program('pg_controldata', 'cat "$1/global/pg_control"');
    this.program('pg_ctl', 'exit 1');
  }

  path(name: string): string {
    return join(this.directory, name);
  }

  write(name: string, text = ''): string {
    mkdirSync(dirname(this.path(name)), { recursive: true });
    writeFileSync(this.path(name), text);
    return this.path(name);
  }

  read(name: string): string {
    return readFileSync(this.path(name), 'utf8');
  }

  /** A stand-in, in sh. */
  program(name: string, text: string): void {
    chmodSync(this.write(`bin/${name}`, `#!/bin/sh\n${text}\n`), 0o755);
  }

  /** A data directory, of a server that is shut down. */
  data(name = 'data', identifier = '7001'): string {
    this.write(`${name}/PG_VERSION`, '15\n');
    this.write(
      `${name}/global/pg_control`,
      `Database system identifier:           ${identifier}
Database cluster state:               shut down
Latest checkpoint location:           0/3000060
Latest checkpoint's TimeLineID:       2
max_connections setting:              100
`,
    );
    this.write(`${name}/postmaster.opts`);
    this.write(`${name}/postgresql.conf`);
    mkdirSync(this.path(`${name}/pg_wal`), { recursive: true });
    return this.path(name);
  }

  /** A process that looks like PostgreSQL's in that directory; its pid. */
  async serve(directory: string, title = 'postgres'): Promise<number> {
    const program = this.path('server/postgres');
    mkdirSync(dirname(program), { recursive: true });
    if (!existsSync(program)) copyFileSync('/bin/sleep', program);
    const child = spawn(program, ['60'], { argv0: title, cwd: directory, stdio: 'ignore' });
    this.servers.push(child);
    while (readFileSync(`/proc/${child.pid!}/comm`, 'utf8') !== 'postgres\n') {
      await new Promise((settle) => setTimeout(settle, 5));
    }
    return child.pid!;
  }

  run(script: ScriptName, ...args: readonly string[]): Ran {
    return this.runText(scripts[script], args);
  }

  /** With a lock of its own, issued now, and with a deadline that is far. */
  act(script: ScriptName, ...args: readonly string[]): Ran {
    return this.run(script, this.path('lock'), String(Date.now()), String(Date.now() + 60_000), 'a test', ...args);
  }

  runText(text: string, args: readonly string[] = []): Ran {
    const [program, ...options] = this.shell;
    const input = wrapScript(text, args);
    const ran = spawnSync(program!, [...options, '-s'], { input, encoding: 'utf8', cwd: '/', timeout: 30_000 });
    return { status: ran.status, output: ran.stdout.replace(/^pgpool-runbook-process .*\n/, ''), stderr: ran.stderr };
  }

  remove(): void {
    for (const server of this.servers) server.kill('SIGKILL');
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** A new one for each test. */
export function useHost(shell: readonly string[]): () => Host {
  let host: Host;
  beforeEach(() => {
    host = new Host(shell);
  });
  afterEach(() => {
    host.remove();
  });
  return () => host;
}
