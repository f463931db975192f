// Joins each script with the parts of lib/ that it includes, into one text: the worker sends it, the build writes it for people.

import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** The text with each line `. lib/NAME.sh` replaced by that file below `directory`: once per script, with what it includes itself. */
export function joinScript(directory: string, text: string): string {
  const included = new Set<string>();
  const include = (part: string): string =>
    part.replace(/^\. (lib\/[a-z0-9-]+\.sh)\n/gm, (_line, path: string) => {
      if (included.has(path)) return '';
      included.add(path);
      return include(readFileSync(join(directory, path), 'utf8').replace(/^#!.*\n/, ''));
    });
  return include(text);
}

/** Without the lines that hold only a comment, or nothing: a shell on a node, for which clients wait, need not read them. */
export function stripScript(text: string): string {
  return text.replace(/^[ \t]*(#.*)?\n/gm, '');
}

/** Writes every script of `from`, joined, into `to`; whatever was there before is gone. */
export function writeScripts(from: string, to: string): void {
  rmSync(to, { recursive: true, force: true });
  mkdirSync(to, { recursive: true });
  for (const name of readdirSync(from).filter((entry) => entry.endsWith('.sh'))) {
    writeFileSync(join(to, name), joinScript(from, readFileSync(join(from, name), 'utf8')), { mode: 0o755 });
  }
}
