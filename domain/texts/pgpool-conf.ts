// The texts that wire pgpool to a cluster: a pgpool.conf fragment and the hook's hook.conf. Pure.
// Every parameter exists in pgpool 4.2 to 4.7 (pool_config_variables.c), except where its comment says otherwise.

import type { ClusterConfiguration, NodeConfiguration, PgpoolConfiguration } from '../facts/cluster';
import { beginMark, endMark, readSiteSettings } from './pgpool-conf-block';

export interface PgpoolConfOptions {
  /** Absolute path of hook.sh on the pgpool host. */
  readonly hookPath: string;
  /** Absolute path of hook.conf on the pgpool host. */
  readonly hookConfPath: string;
  /** Adds this pgpool's own ports; without it the fragment fits every pgpool of the cluster. */
  readonly pgpoolName?: string;
  /**
   * The site's pgpool.conf, with or without an earlier block. The site's own choices (check user, weights) are filled
   * in where this text does not make them, and left out without this text.
   */
  readonly site?: string;
}

/**
 * The block for pgpool.conf, with its marks. The last value of a parameter wins, so it belongs behind the site's lines.
 * @throws RangeError for an unknown pgpool, for a value that pgpool.conf cannot hold, and as placeBlock for `site`
 */
export function formatPgpoolConf(configuration: ClusterConfiguration, options: PgpoolConfOptions): string {
  const pgpool = findPgpool(configuration, options.pgpoolName);
  const sections = [
    [
      `${beginMark}: cluster ${configuration.cluster}${pgpool ? `, pgpool ${pgpool.name}` : ''}`,
      '# Generated from the cluster file by "pgpool-runbook pgpool-conf": generating again replaces all from BEGIN to END. The last value',
      '# of a parameter wins: your own choice against one of these belongs behind END.',
    ],
    ...(pgpool ? [formatPorts(pgpool)] : []),
    formatMode(),
    formatBackends(configuration.nodes),
    formatSiteChoices(configuration, options.site),
    formatChecks(configuration.nodes),
    formatFailover(configuration.nodes),
    [...formatHooks(options), endMark],
  ];
  return `${sections.map((lines) => lines.join('\n')).join('\n\n')}\n`;
}

export interface HookConfOptions {
  /** Base address of Temporal's HTTP API, such as http://127.0.0.1:7243. */
  readonly temporalHttp: string;
  /** Absolute path of the directory that keeps events until Temporal has them; on the pgpool host. */
  readonly spool: string;
}

/**
 * hook.conf: KEY=value lines that hook.sh parses and never sources. Throws RangeError for an option that hook.sh would
 * refuse, so that the mistake shows here and not in the first failover.
 */
export function formatHookConf(configuration: ClusterConfiguration, { temporalHttp, spool }: HookConfOptions): string {
  if (!/^https?:\/\/[\]A-Za-z0-9.:_~[-][\]A-Za-z0-9.:/_~[-]*$/.test(temporalHttp) || temporalHttp.length > 300) {
    throw new RangeError(
      'the Temporal HTTP address must be like http://127.0.0.1:7243, without user, password or query',
    );
  }
  if (!/^\/[^\p{Cc}]+$/u.test(spool))
    throw new RangeError(`the spool must be an absolute path, not ${JSON.stringify(spool)}`);
  return [
    `# pgpool-runbook: hook.conf of cluster ${configuration.cluster}. Parsed, never sourced: nothing is quoted.`,
    `CLUSTER=${configuration.cluster}`,
    `TEMPORAL_HTTP=${temporalHttp}`,
    `NAMESPACE=${configuration.temporal.namespace}`,
    `TASK_QUEUE=${configuration.temporal.taskQueue}`,
    `SPOOL=${spool}`,
    'WAIT_SECONDS=15',
    '',
  ].join('\n');
}

function findPgpool(
  { cluster, pgpool }: ClusterConfiguration,
  name: string | undefined,
): PgpoolConfiguration | undefined {
  const found = pgpool.find((one) => one.name === name);
  if (name === undefined || found) return found;
  throw new RangeError(`cluster ${cluster} has no pgpool ${name}: it has ${pgpool.map((one) => one.name).join(', ')}`);
}

function formatPorts({ name, port, pcpPort }: PgpoolConfiguration): string[] {
  return [
    `# The worker reaches ${name} on these ports; pcp_listen_addresses must let it in.`,
    `port = ${port}`,
    `pcp_port = ${pcpPort}`,
  ];
}

function formatMode(): string[] {
  return [
    '# The only mode in which pgpool looks for a primary and calls follow_primary_command.',
    "backend_clustering_mode = 'streaming_replication'",
    '# Reads go to standbys, too; a detached standby gets none until it is proven and attached again.',
    'load_balance_mode = on',
  ];
}

function formatBackends(nodes: readonly NodeConfiguration[]): string[] {
  return [
    '# pgpool compares host and port as text with primary_conninfo: write them there in the same way. The application name',
    "# ties a backend to its row in the primary's pg_stat_replication. Weights and flags are yours.",
    ...nodes.flatMap(formatBackend),
  ];
}

function formatBackend({ id, host, port, dataDirectory, applicationName }: NodeConfiguration): string[] {
  const number = String(id);
  return [
    `backend_hostname${number} = ${quote(host)}`,
    `backend_port${number} = ${port}`,
    `backend_data_directory${number} = ${quote(dataDirectory)}`,
    ...(applicationName === null ? [] : [`backend_application_name${number} = ${quote(applicationName)}`]),
  ];
}

/** Settings that are the site's choice, only where the site's lines do not have them. */
function formatSiteChoices({ postgres, nodes }: ClusterConfiguration, site: string | undefined): string[] {
  const own = site === undefined ? null : readSiteSettings(site);
  const isKnown = own && ![...own.keys()].some((name) => name.startsWith('include'));
  const [user, database] = [quote(postgres.user), quote(postgres.database)];
  const choices: [string, string][] = [
    ['sr_check_user', user],
    ['sr_check_database', database],
    ['health_check_user', user],
    ['health_check_database', database],
    ...nodes.map(({ id }): [string, string] => [`backend_weight${id}`, '1']),
  ];
  const missing = choices.filter(([name]) => isKnown && !own.has(name)).map(([name, value]) => `${name} = ${value}`);
  return [
    '# Yours, and kept as they are: sr_check_user, health_check_user (both must be able to log in: without them pgpool finds no primary),',
    '# their databases and passwords (in pool_passwd), backend_weightN (reads), backend_flagN (ALLOW_TO_FAILOVER: others hide failures).',
    ...(missing.length > 0 ? ['# Filled in, because your own lines do not set them:', ...missing] : []),
  ];
}

/** Each setting also in its form for one node, which pgpool prefers: a site's line in that form would override ours. */
function forEach(nodes: readonly NodeConfiguration[], settings: readonly (readonly [string, number])[]): string[] {
  const numbers = ['', ...nodes.map(({ id }) => String(id))];
  return settings.flatMap(([name, value]) => numbers.map((number) => `${name}${number} = ${value}`));
}

function formatChecks(nodes: readonly NodeConfiguration[]): string[] {
  return [
    '# The check finds the primary and measures the delay; 1 s keeps both fresh.',
    'sr_check_period = 1',
    '',
    '# Without health checks a failure is noticed only when a client meets it. One retry after 1 s outlasts a lost packet',
    '# or two; a host that vanished is reported after 2 + 3 + 1 + 3 s at most. For each node, too: that form would win.',
    ...forEach(nodes, [
      ['health_check_period', 2],
      ['health_check_timeout', 3],
      ['health_check_max_retries', 1],
      ['health_check_retry_delay', 1],
    ]),
  ];
}

function formatFailover(nodes: readonly NodeConfiguration[]): string[] {
  return [
    '# A broken connection is reported at once. A false alarm is safe: the runbook measures every node first, and keeps a primary that works.',
    'failover_on_backend_error = on',
    "# Else one session's end by pg_terminate_backend is a node failure, and cuts everybody. (From 4.3; 4.2 always behaves like on.)",
    'failover_on_backend_shutdown = off',
    '# The runbook decides which primary is the true one; before 4.6 every pgpool of a watchdog would decide for itself.',
    'detach_false_primary = off',
    '# The runbook attaches a node after proving that it streams; pgpool could attach one in the middle of a rebuild.',
    'auto_failback = off',
    '# For a host that has vanished the replication check waits so long (ms; the default is 10 s) with a lock that the search',
    '# for the new primary needs, too: no client is served meanwhile. Long enough for one lost packet.',
    ...forEach(nodes, [['connect_timeout', 1500]]),
    '# While it searches for a primary pgpool serves no client, and a primary that was kept can be attached only afterwards.',
    'search_primary_node_timeout = 5',
  ];
}

function formatHooks({ hookPath, hookConfPath }: PgpoolConfOptions): string[] {
  const hook = `${formatWord(hookPath)} -c ${formatWord(hookConfPath)}`;
  return [
    '# Ids only: pgpool pastes host names and paths into a shell command without quotes.',
    `failover_command = ${quote(`${hook} failover %d %m %P`)}`,
    `follow_primary_command = ${quote(`${hook} follow %d %m %P`)}`,
  ];
}

/**
 * A path as one word of the shell command. A pgpool.conf string only allows double quotes, and pgpool expands % itself.
 */
function formatWord(path: string): string {
  if (!/^\/[^\p{Cc}'"`$\\]*$/u.test(path)) {
    throw new RangeError(
      `hook path must be absolute, without quotes, $, backslashes and control characters, not ${JSON.stringify(path)}`,
    );
  }
  const expanded = path.replaceAll('%', '%%');
  return /^[A-Za-z0-9/._%+-]+$/.test(path) ? expanded : `"${expanded}"`;
}

/** A pgpool.conf string: neither '' nor \' stands for a quote (measured with pgpool 4.3.5; pool_config.l). */
function quote(value: string): string {
  if (/[\p{Cc}'\\]/u.test(value)) {
    throw new RangeError(`pgpool.conf cannot hold a quote, backslash or control character: ${JSON.stringify(value)}`);
  }
  return `'${value}'`;
}
