// Reads PCP passwords from a .pcppass file: host:port:user:password lines, first match wins.
// The rules are those of pgpool's own tools (src/libs/pcp/pcp.c, PasswordFromFile), but each problem is an error that says what to do.
import { readFile, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { PcpFailure } from './protocol';

export interface PcpLogin {
  readonly host: string;
  readonly pcpPort: number;
  readonly pcpUser: string;
  /** A leading ~/ is the home of the user who runs this process. */
  readonly passFile: string;
}

/** The password of this login. PcpFailure `pass-file` when the file is missing, open to others, or has no matching line. */
export async function readPcpPassword(login: PcpLogin, signal?: AbortSignal): Promise<string> {
  const file = login.passFile.startsWith('~/') ? join(homedir(), login.passFile.slice(2)) : login.passFile;
  const wanted = [login.host, String(login.pcpPort), login.pcpUser];
  const text = await readPrivateFile(file, signal);
  const password = findPassword(text, wanted);
  if (password === undefined) {
    throw new PcpFailure(
      'pass-file',
      `${file} has no line for ${wanted.join(':')}; add ${wanted.join(':')}:<password>`,
    );
  }
  return password;
}

async function readPrivateFile(file: string, signal?: AbortSignal): Promise<string> {
  try {
    const status = await stat(file);
    if (!status.isFile()) throw new PcpFailure('pass-file', `${file} is not a plain file`);
    if ((status.mode & 0o077) !== 0) {
      throw new PcpFailure('pass-file', `${file} is open to group or others; run: chmod 600 ${file}`);
    }
    return await readFile(file, { encoding: 'utf8', ...(signal && { signal }) });
  } catch (error) {
    if (error instanceof PcpFailure || signal?.aborted) throw error;
    throw new PcpFailure(
      'pass-file',
      `cannot read ${file} (${String(error)}); it must be readable by the worker's user, mode 600, with lines host:port:user:password`,
    );
  }
}

/** Password of the first line whose host, port and user are these or `*`; undefined when there is none. */
export function findPassword(text: string, wanted: readonly string[]): string | undefined {
  for (const line of text.split(/\r?\n/)) {
    const fields = splitFields(line);
    const password = fields[wanted.length];
    const matches = wanted.every((value, index) => fields[index] === '*' || unescape(fields[index] ?? '') === value);
    if (password !== undefined && matches) return unescape(password);
  }
  return undefined;
}

/** At colons that no backslash protects; the backslashes stay, so that `\*` is no wildcard. */
function splitFields(line: string): string[] {
  const fields: string[] = [];
  let field = '';
  let isEscaped = false;
  for (const character of line) {
    if (character === ':' && !isEscaped) {
      fields.push(field);
      field = '';
    } else field += character;
    isEscaped = character === '\\' && !isEscaped;
  }
  return [...fields, field];
}

function unescape(field: string): string {
  return field.replace(/\\(.)/g, '$1');
}
