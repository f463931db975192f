// The paths of the lab's programs, typed: the answer of setup.js (plain JavaScript, runs before anything is compiled).

import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Full paths; `postgresBin` is the directory of initdb, pg_ctl, psql and the rest of one release. */
export interface Tools {
  readonly postgresBin: string;
  readonly pgpool: string;
  readonly sshd: string;
  readonly sshKeygen: string;
  readonly curl: string;
  readonly temporal: string;
  readonly versions: { readonly postgres: string; readonly pgpool: string; readonly temporal: string };
}

/** The clone's root, from the sources and from dist/ alike: the nearest directory above that has a package.json. */
export function findCloneRoot(from: string = __dirname): string {
  if (existsSync(join(from, 'package.json'))) return from;
  const parent = dirname(from);
  if (parent === from)
    throw new Error(`no package.json in any directory above ${__dirname}: run the lab from its clone`);
  return findCloneRoot(parent);
}

/**
 * Finds the programs, or throws one error that lists everything missing and how to get it. Takes about 0.3 s, because
 * it asks each program for its version.
 */
export function findTools(environment: NodeJS.ProcessEnv = process.env): Tools {
  return loadSetup().findTools(environment);
}

/** Programs of the Temporal server as it runs in production. */
export interface TemporalServer {
  readonly server: string;
  readonly sqlTool: string;
}

/** Null when the set-up has not built them: `node lab/setup.js --bench` does, where there is a Go. */
export function findTemporalServer(environment: NodeJS.ProcessEnv = process.env): TemporalServer | null {
  return loadSetup().findTemporalServer(environment);
}

interface Setup {
  findTools(environment: NodeJS.ProcessEnv): Tools;
  findTemporalServer(environment: NodeJS.ProcessEnv): TemporalServer | null;
}

function loadSetup(): Setup {
  // The path is a variable, so that the compiler looks for no types of plain JavaScript; dist/ has no copy of the file.
  const file = join(findCloneRoot(), 'lab', 'setup.js');
  // eslint-disable-next-line @typescript-eslint/no-require-imports -- setup.js is CommonJS outside of the compiled tree
  return require(file) as Setup;
}
