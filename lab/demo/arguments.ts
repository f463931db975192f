// The demo's command line: [--json FILE] [--name NAME].

import { accessSync, constants, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { parseArgs } from 'node:util';

export interface DemoOptions {
  readonly json: string | null;
  readonly name: string;
}

/** A clear sentence for bad input, found before anything is started. */
export function readArguments(argv: readonly string[]): DemoOptions | { readonly error: string } {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: { json: { type: 'string' }, name: { type: 'string', default: 'demo' } },
    });
    // The path is relative to the user's directory; npm starts scripts in the package's.
    const json = values.json === undefined ? null : resolve(process.env['INIT_CWD'] ?? '.', values.json);
    if (json !== null && statSync(json, { throwIfNoEntry: false })?.isDirectory())
      throw new Error(`${json} is a directory`);
    if (json !== null) accessSync(dirname(json), constants.W_OK);
    return { json, name: values.name };
  } catch (error) {
    return {
      error: `demo: ${error instanceof Error ? error.message : String(error)}; usage: npm run demo -- [--json FILE] [--name NAME]`,
    };
  }
}

export function printable(value: unknown): string {
  return JSON.stringify(value, null, 2);
}
