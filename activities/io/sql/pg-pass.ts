// The password for a connection, from a .pgpass file that nobody else may read.

import { readFile, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { findPassword } from '../pcp/pcp-pass';

/** A password's server, database and user, and the file that has it. */
export interface PassFileEntry {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly passFile: string;
}

/** A .pgpass line for this target (PostgreSQL documentation, 34.16); undefined lets the server say that it wants one. */
export async function readPassword(target: PassFileEntry): Promise<string> {
  const file = target.passFile.startsWith('~/') ? join(homedir(), target.passFile.slice(2)) : target.passFile;
  const { mode } = await stat(file);
  if ((mode & 0o077) !== 0) throw new Error(`${file} is readable by others and therefore not used: chmod 600 it`);
  const password = findPassword(await readFile(file, 'utf8'), [
    target.host,
    String(target.port),
    target.database,
    target.user,
  ]);
  if (password === undefined) {
    throw new Error(`${file} has no line for ${target.host}:${target.port}:${target.database}:${target.user}`);
  }
  return password;
}
