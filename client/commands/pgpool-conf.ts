// pgpool-runbook pgpool-conf and hook-conf: print the two files that wire a pgpool to its cluster, or write the first.

import { chmodSync, chownSync, readFileSync, realpathSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { loadClusterFile } from '../../configuration/load';
import { formatHookConf, formatPgpoolConf } from '../../domain/texts/pgpool-conf';
import { placeBlock } from '../../domain/texts/pgpool-conf-block';
import { CommandFailure, type CommandResult } from '../outcome';
import { findPackageFile } from '../package';

export interface PgpoolConfArguments {
  readonly config: string;
  readonly pgpool?: string;
  readonly hook?: string;
  readonly hookConf: string;
  /** The pgpool.conf to put the block into. */
  readonly write?: string;
}

/** With `write` the block is put into that file, in place of an earlier one; other lines stay. */
export function pgpoolConf({ config, pgpool, hook, hookConf, write }: PgpoolConfArguments): CommandResult {
  const configuration = loadClusterFile(config);
  const options = {
    hookPath: hook ?? findPackageFile('client/hook.sh'),
    hookConfPath: hookConf,
    ...(pgpool && { pgpoolName: pgpool }),
  };
  if (write !== undefined) return writeInto(write, (site) => formatPgpoolConf(configuration, { ...options, site }));
  const text = usageErrors(() => formatPgpoolConf(configuration, options));
  return { exitCode: 0, lines: text.trimEnd().split('\n'), json: { pgpoolConf: text } };
}

function writeInto(file: string, format: (site: string) => string): CommandResult {
  const site = fileErrors(file, () => readFileSync(file, 'utf8'));
  const { text, change, warnings } = usageErrors(() => placeBlock(site, format(site)), file);
  if (change !== 'unchanged') {
    fileErrors(file, () => {
      replaceFile(file, text);
    });
  }
  const done = {
    added: 'the block was added',
    replaced: 'the block was replaced',
    unchanged: 'the block is as it was',
  };
  const next = change === 'unchanged' ? [] : ['reload pgpool (changed backends, ports and modes: restart it)'];
  return {
    exitCode: 0,
    lines: [`${file}: ${done[change]}`, ...warnings.map((warning) => `warning: ${file}: ${warning}`), ...next],
    json: { file, change, warnings },
  };
}

/** Replaces the file at once, with its owner and mode: a pgpool that reloads meanwhile must not read half of it. */
function replaceFile(file: string, text: string): void {
  const path = realpathSync(file);
  const { mode, uid, gid } = statSync(path);
  const next = `${path}.pgpool-runbook`;
  writeFileSync(next, text, { mode: 0o600 });
  if (process.getuid?.() === 0) chownSync(next, uid, gid);
  chmodSync(next, mode & 0o777);
  renameSync(next, path);
}

function fileErrors<T>(file: string, use: () => T): T {
  try {
    return use();
  } catch (error) {
    throw new CommandFailure(2, `cannot use ${file}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

export interface HookConfArguments {
  readonly config: string;
  readonly temporalHttp?: string;
  readonly spool?: string;
}

export function printHookConf({ config, temporalHttp, spool }: HookConfArguments): CommandResult {
  const configuration = loadClusterFile(config);
  // Temporal's HTTP API listens on the frontend's host, by convention on port 7243.
  const host = configuration.temporal.address.replace(/:[0-9]+$/, '');
  // Each cluster has its own spool, as hook.conf.example says.
  const ownSpool = spool ?? `/var/lib/pgpool-runbook/${configuration.cluster}`;
  const options = { temporalHttp: temporalHttp ?? `http://${host}:7243`, spool: ownSpool };
  const text = usageErrors(() => formatHookConf(configuration, options));
  return { exitCode: 0, lines: text.trimEnd().split('\n'), json: { hookConf: text } };
}

/**
 * Turns the domain's RangeErrors into usage errors, because every value comes from the command line or from
 * pgpool.conf.
 */
function usageErrors<T>(format: () => T, file?: string): T {
  try {
    return format();
  } catch (error) {
    if (error instanceof RangeError) throw new CommandFailure(2, file ? `${file}: ${error.message}` : error.message);
    throw error;
  }
}
