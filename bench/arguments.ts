// The benchmark's command line.

import { accessSync, constants, readFileSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { splitDocument } from './document';
import { plans } from './rows';

export interface BenchOptions {
  readonly isQuick: boolean;
  readonly rounds: number;
  /** The rows to measure, by name, and `profile`. */
  readonly only: readonly string[];
  readonly json: string | null;
  readonly document: string | null;
  /** The command that would measure the same again. */
  readonly command: string;
}

export const profileName = 'profile';
const usage = 'usage: npm run bench -- [--quick] [--rounds N] [--only NAME,NAME] [--json FILE] [--document FILE]';

/** A clear sentence for bad input, found before anything is started. */
export function readArguments(argv: readonly string[]): BenchOptions | { readonly error: string } {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        quick: { type: 'boolean', default: false },
        rounds: { type: 'string' },
        only: { type: 'string' },
        json: { type: 'string' },
        document: { type: 'string' },
      },
    });
    const rounds = values.rounds ?? (values.quick ? '2' : '5');
    if (!/^[1-9][0-9]?$/.test(rounds)) throw new Error(`--rounds must be 1 to 99, not ${rounds}`);
    const what = [
      ...(values.quick ? ['--quick'] : []),
      ...(values.rounds === undefined ? [] : ['--rounds', values.rounds]),
      ...(values.only === undefined ? [] : ['--only', values.only]),
    ];
    return {
      isQuick: values.quick,
      rounds: Number(rounds),
      only: readNames(values.only),
      json: readFile(values.json),
      document: readDocument(values.document),
      command: ['npm run bench', ...(what.length > 0 ? ['--', ...what] : [])].join(' '),
    };
  } catch (error) {
    return { error: `bench: ${error instanceof Error ? error.message : String(error)}; ${usage}` };
  }
}

function readNames(text: string | undefined): string[] {
  const known = [...plans.map(({ name }) => name), profileName];
  if (text === undefined) return known;
  const names = text.split(',');
  const unknown = names.find((name) => !known.includes(name));
  if (unknown !== undefined) throw new Error(`there is no row "${unknown}": there are ${known.join(', ')}`);
  return names;
}

function readDocument(text: string | undefined): string | null {
  const file = readFile(text);
  if (file !== null) splitDocument(readFileSync(file, 'utf8'));
  return file;
}

/** Reads a file. The path is relative to the user's directory, because npm starts scripts in the package's. */
function readFile(text: string | undefined): string | null {
  if (text === undefined) return null;
  const file = resolve(process.env['INIT_CWD'] ?? '.', text);
  accessSync(dirname(file), constants.W_OK);
  if (statSync(file, { throwIfNoEntry: false })?.isDirectory()) throw new Error(`${file} is a directory`);
  return file;
}
