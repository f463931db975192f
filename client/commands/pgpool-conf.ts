// pgpool-runbook pgpool-conf and hook-conf: print the two files that wire a pgpool to its cluster.

import { loadClusterFile } from '../../configuration/load';
import { formatHookConf, formatPgpoolConf } from '../../domain/pgpool-conf';
import { CommandFailure, type CommandResult } from '../outcome';
import { findPackageFile } from '../package';

export interface PgpoolConfArguments {
  readonly config: string;
  readonly pgpool?: string;
  readonly hook?: string;
  readonly hookConf: string;
}

export function printPgpoolConf({ config, pgpool, hook, hookConf }: PgpoolConfArguments): CommandResult {
  const configuration = loadClusterFile(config);
  const options = {
    hookPath: hook ?? findPackageFile('client/hook.sh'),
    hookConfPath: hookConf,
    ...(pgpool && { pgpoolName: pgpool }),
  };
  const text = usageErrors(() => formatPgpoolConf(configuration, options));
  return { exitCode: 0, lines: text.trimEnd().split('\n'), json: { pgpoolConf: text } };
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
  // One spool per cluster, as hook.conf.example says.
  const ownSpool = spool ?? `/var/lib/pgpool-runbook/${configuration.cluster}`;
  const options = { temporalHttp: temporalHttp ?? `http://${host}:7243`, spool: ownSpool };
  const text = usageErrors(() => formatHookConf(configuration, options));
  return { exitCode: 0, lines: text.trimEnd().split('\n'), json: { hookConf: text } };
}

/** The domain refuses bad values with a RangeError, and here every value comes from the command line. */
function usageErrors(format: () => string): string {
  try {
    return format();
  } catch (error) {
    if (error instanceof RangeError) throw new CommandFailure(2, error.message);
    throw error;
  }
}
