// A real pgpool for tests: started with a given pgpool.conf in its own directory, read over PCP, ended by its own pid.

import { execFileSync, spawn } from 'node:child_process';
import { chownSync, openSync, readdirSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** `postgres` when root, because servers should not run as root; else nothing, which means the caller. */
const owner = process.getuid?.() === 0 ? { uid: readId('-u'), gid: readId('-g') } : {};

function readId(flag: string): number {
  return Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }));
}

export interface Pgpool {
  /** Live parameters by name, as pcp_pool_status prints them; rejects while PCP does not answer. */
  readonly readParameters: () => Map<string, string>;
  readonly stop: () => Promise<void>;
}

/** Starts pgpool in `directory`, which is handed to its user. It may not be ready yet: await readParameters. */
export function startPgpool(directory: string, pgpoolConf: string, pcpPort: number): Pgpool {
  const own = { socket_dir: directory, pcp_socket_dir: directory, logdir: directory, work_dir: directory };
  const settings = { ...own, pid_file_name: join(directory, 'pid'), listen_addresses: '127.0.0.1' };
  const lines = Object.entries({ ...settings, pcp_listen_addresses: '127.0.0.1' }).map(
    ([key, value]) => `${key} = '${value}'`,
  );
  writeFileSync(
    join(directory, 'pgpool.conf'),
    `${lines.join('\n')}\nnum_init_children = 1\nmax_pool = 1\n${pgpoolConf}`,
  );
  const hash = execFileSync('pg_md5', ['secret'], { ...options(directory), encoding: 'utf8' }).trim();
  writeFileSync(join(directory, 'pcp.conf'), `pgpool:${hash}\n`);
  writeFileSync(join(directory, 'pcppass'), `127.0.0.1:${pcpPort}:pgpool:secret\n`, { mode: 0o600 });
  const log = openSync(join(directory, 'log'), 'a');
  if (owner.uid !== undefined) {
    for (const name of ['.', ...readdirSync(directory)]) chownSync(join(directory, name), owner.uid, owner.gid);
  }
  const child = spawn('pgpool', ['-n', '-D', '-f', join(directory, 'pgpool.conf'), '-F', join(directory, 'pcp.conf')], {
    ...options(directory),
    stdio: ['ignore', log, log],
  });
  const exited = new Promise<void>((resolve) =>
    child.once('exit', () => {
      resolve();
    }),
  );
  return {
    readParameters: () => {
      const command = ['-w', '-h', '127.0.0.1', '-p', String(pcpPort), '-U', 'pgpool'];
      const output = execFileSync('pcp_pool_status', command, {
        ...options(directory),
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      return new Map([...output.matchAll(/^name : (.*)\nvalue: (.*)$/gm)].map((match) => [match[1]!, match[2]!]));
    },
    stop: async () => {
      child.kill('SIGINT');
      await exited;
    },
  };
}

function options(directory: string) {
  const path = `${process.env['PATH'] ?? ''}:/usr/sbin`;
  return { ...owner, cwd: directory, env: { PATH: path, PCPPASSFILE: join(directory, 'pcppass'), LC_ALL: 'C' } };
}

/** Ports of 127.0.0.1 that had no listener a moment ago. */
export async function findFreePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  await Promise.all(servers.map((server) => new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))));
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

/** Tries until `read` returns a value; after the bound the last error, or the value's absence, is the failure. */
export async function eventually<T>(read: () => T | undefined, timeoutMs = 40_000): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    let failure: unknown = new Error(`still nothing after ${timeoutMs} ms`);
    try {
      const value = read();
      if (value !== undefined) return value;
    } catch (error) {
      failure = error;
    }
    if (Date.now() > deadline) throw failure;
    await delay(100);
  }
}
