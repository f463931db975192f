// The generated pgpool.conf: read back with pgpool's own lexical rules, and by a real pgpool that then calls the hook.

import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { ConfigurationError, parseClusterFile } from '../../../configuration/load';
import type { ClusterConfiguration } from '../../../domain/facts/cluster';
import { formatHookConf, formatPgpoolConf } from '../../../domain/texts/pgpool-conf';
import { clusterFile, edit } from '../../configuration/cluster-file';
import { eventually, findFreePorts, type Pgpool, startPgpool } from './pgpool-process';

const shop = parseClusterFile(clusterFile, 'shop.yaml');
const hook = { hookPath: '/opt/hook.sh', hookConfPath: '/etc/hook.conf' };

/** One line as pool_config.l reads it: key = 'text', number or word; a quoted text has no quote inside. */
function parsePgpoolConf(text: string): Map<string, string> {
  const values = new Map<string, string>();
  for (const line of text.split('\n')) {
    if (/^\s*(?:#.*)?$/.test(line)) continue;
    const match = /^([A-Za-z_]\w*) = (?:'([^'\\]*)'|([0-9]+|on|off))$/.exec(line);
    if (!match) throw new SyntaxError(line);
    if (values.has(match[1]!)) throw new SyntaxError(`${match[1]!} is set twice`);
    values.set(match[1]!, match[2] ?? match[3]!);
  }
  return values;
}

test('the fragment names every backend as the cluster file does', () => {
  const values = parsePgpoolConf(formatPgpoolConf(shop, hook));
  for (const node of shop.nodes) {
    expect(values.get(`backend_hostname${node.id}`)).toBe(node.host);
    expect(values.get(`backend_port${node.id}`)).toBe(String(node.port));
    expect(values.get(`backend_data_directory${node.id}`)).toBe(node.dataDirectory);
  }
  expect([...values.keys()].filter((key) => key.startsWith('backend_hostname'))).toHaveLength(3);
});

test('an application name that the cluster file does not give is left to the site', () => {
  const named = parseClusterFile(edit(clusterFile, 'id: 1,', 'id: 1, applicationName: pg-1,'), 'shop.yaml');
  const values = [...parsePgpoolConf(formatPgpoolConf(named, hook))];
  expect(values.filter(([key]) => key.includes('application_name'))).toEqual([['backend_application_name1', 'pg-1']]);
});

test('the fragment sets what the runbook depends on, and hooks that get ids only', () => {
  const values = Object.fromEntries(parsePgpoolConf(formatPgpoolConf(shop, hook)));
  expect(values).toMatchObject({
    backend_clustering_mode: 'streaming_replication',
    load_balance_mode: 'on',
    sr_check_period: '1',
    health_check_period: '2',
    health_check_timeout: '3',
    health_check_max_retries: '1',
    health_check_retry_delay: '1',
    failover_on_backend_error: 'on',
    failover_on_backend_shutdown: 'off',
    detach_false_primary: 'off',
    auto_failback: 'off',
    connect_timeout: '1500',
    search_primary_node_timeout: '5',
    failover_command: '/opt/hook.sh -c /etc/hook.conf failover %d %m %P',
    follow_primary_command: '/opt/hook.sh -c /etc/hook.conf follow %d %m %P',
  });
});

test('a check or time-out that the site sets for one node cannot beat the fragment', () => {
  const values = parsePgpoolConf(formatPgpoolConf(shop, hook));
  for (const name of ['period', 'timeout', 'max_retries', 'retry_delay'].map((part) => `health_check_${part}`)) {
    for (const { id } of shop.nodes) expect(values.get(`${name}${id}`)).toBe(values.get(name));
  }
  for (const { id } of shop.nodes) expect(values.get(`connect_timeout${id}`)).toBe('1500');
});

const sitesOwn = /^(sr_check_user|health_check_user|backend_weight|backend_flag)/;

test('check user, weights and flags are the site’s: kept, and filled in only where its pgpool.conf says nothing', () => {
  const ownOf = (site?: string): string[] =>
    [...parsePgpoolConf(formatPgpoolConf(shop, { ...hook, ...(site !== undefined && { site }) })).entries()]
      .filter(([name]) => sitesOwn.test(name))
      .map((entry) => entry.join('='));
  expect(ownOf()).toEqual([]);
  const filled = ['sr_check_user=postgres', 'health_check_user=postgres'];
  const weights = shop.nodes.map(({ id }) => `backend_weight${id}=1`);
  expect(ownOf('')).toEqual([...filled, ...weights]);
  expect(ownOf("#sr_check_user = 'nobody'\n")).toEqual([...filled, ...weights]);
  expect(ownOf("sr_check_user = 'checker'\nHEALTH_CHECK_USER = 'checker'\nbackend_weight0 = 5\n")).toEqual(
    weights.slice(1),
  );
  expect(ownOf("include 'more.conf'\n")).toEqual([]);
  // The file's earlier block of ours is not the site's.
  expect(ownOf(formatPgpoolConf(shop, { ...hook, site: '' }))).toEqual([...filled, ...weights]);
});

test("only a named pgpool gets its own ports, and an unknown name lists the cluster's", () => {
  const named = parsePgpoolConf(formatPgpoolConf(shop, { ...hook, pgpoolName: 'pgpool0' }));
  expect([named.get('port'), named.get('pcp_port')]).toEqual(['9999', '9898']);
  expect(parsePgpoolConf(formatPgpoolConf(shop, hook)).has('port')).toBe(false);
  expect(() => formatPgpoolConf(shop, { ...hook, pgpoolName: 'pgpool9' })).toThrow(
    new RangeError('cluster shop has no pgpool pgpool9: it has pgpool0'),
  );
});

test.each(['hook.sh', '/a"b', "/a'b", '/a$b', '/a`b', '/a\\b', '/a\nb'])('the hook path %j is refused', (path) => {
  expect(() => formatPgpoolConf(shop, { ...hook, hookPath: path })).toThrow(RangeError);
  expect(() => formatPgpoolConf(shop, { ...hook, hookConfPath: path })).toThrow(RangeError);
});

test.each(["/srv/o'brien", '/srv/a\\b', '/srv/a\nb'])('the data directory %j is refused', (dataDirectory) => {
  const nodes = shop.nodes.map((node) => ({ ...node, dataDirectory }));
  expect(() => formatPgpoolConf({ ...shop, nodes }, hook)).toThrow('pgpool.conf cannot hold a quote');
});

test('whatever a valid cluster file says is read back from the fragment unchanged', () => {
  const text = fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom('/', 'a', ' ', '$', '#', "'", '"', '%', 'é') }));
  let valid = 0;
  fc.assert(
    fc.property(
      text.map((part) => `/${part}`),
      (dataDirectory) => {
        const file = clusterFile.replace('/srv/main', () => JSON.stringify(dataDirectory));
        let configuration: ClusterConfiguration;
        try {
          configuration = parseClusterFile(file, 'shop.yaml');
        } catch (error) {
          expect(error).toBeInstanceOf(ConfigurationError);
          return;
        }
        valid += 1;
        expect(parsePgpoolConf(formatPgpoolConf(configuration, hook)).get('backend_data_directory0')).toBe(
          dataDirectory,
        );
      },
    ),
    { numRuns: 500 },
  );
  expect(valid).toBeGreaterThan(50);
});

test('hook.conf carries what the hook needs, one line each', () => {
  expect(
    formatHookConf(shop, { temporalHttp: 'http://10.0.0.5:7243', spool: '/var/spool/x' }).split('\n').slice(1),
  ).toEqual([
    'CLUSTER=shop',
    'TEMPORAL_HTTP=http://10.0.0.5:7243',
    'NAMESPACE=default',
    'TASK_QUEUE=pgpool-runbook',
    'SPOOL=/var/spool/x',
    'WAIT_SECONDS=15',
    '',
  ]);
});

test.each([
  ['http://127.0.0.1:7243', 'spool'],
  ['http://127.0.0.1:7243', '/spool\nCLUSTER=other'],
  ['127.0.0.1:7243', '/spool'],
  ['http://user:secret@127.0.0.1:7243', '/spool'],
  ['http://127.0.0.1:7243\nSPOOL=/x', '/spool'],
])('hook.conf refuses %j with %j', (temporalHttp, spool) => {
  expect(() => formatHookConf(shop, { temporalHttp, spool })).toThrow(RangeError);
});

describe('a real pgpool', () => {
  const directory = mkdtempSync(join(tmpdir(), 'pgpool-conf-'));
  let pgpool: Pgpool | undefined;

  afterAll(async () => {
    await pgpool?.stop();
    rmSync(directory, { recursive: true });
  });

  test('takes every parameter of the fragment, and calls the hook with the ids of a failure', async () => {
    const [port, pcpPort, ...nodePorts] = await findFreePorts(5);
    const configuration: ClusterConfiguration = {
      ...shop,
      nodes: shop.nodes.map((node, index) => ({ ...node, host: '127.0.0.1', port: nodePorts[index]! })),
      pgpool: [{ ...shop.pgpool[0]!, port: port!, pcpPort: pcpPort! }],
    };
    // A folder that the shell would split and pgpool would expand, were they not quoted and doubled.
    const hooks = join(directory, 'hooks 100%d');
    const calls = join(directory, 'calls');
    mkdirSync(hooks);
    writeFileSync(join(hooks, 'hook.sh'), `#!/bin/sh\nprintf '%s|' "$@" >>'${calls}'; echo >>'${calls}'\n`, {
      mode: 0o755,
    });
    const paths = { hookPath: join(hooks, 'hook.sh'), hookConfPath: join(hooks, 'hook.conf') };
    const fragment = formatPgpoolConf(configuration, { ...paths, pgpoolName: 'pgpool0', site: '' });
    pgpool = startPgpool(directory, fragment, pcpPort!);

    const { readParameters } = pgpool;
    const live = await eventually(readParameters);
    // pgpool prints booleans and modes as numbers, and the share of each weight.
    const printed: Record<string, string> = { on: '1', off: '0', streaming_replication: '1' };
    for (const [name, value] of parsePgpoolConf(fragment)) {
      // pcp_pool_status does not show these for each node; the log below tells of a name that pgpool does not know.
      if (/^(health_check_.*|connect_timeout)[0-9]$/.test(name)) continue;
      const expected = name.startsWith('backend_weight') ? '0.333333' : (printed[value] ?? value);
      expect([name, live.get(name)]).toEqual([name, expected]);
    }
    const call = await eventually(() => {
      return existsSync(calls) ? /^.*\n/.exec(readFileSync(calls, 'utf8'))?.[0] : undefined;
    });
    // The first failure found, the lowest live node, and no known primary: nothing listens on the nodes' ports.
    expect(call).toMatch(/^-c\|.*\/hooks 100%d\/hook\.conf\|failover\| ?[012]\| ?[012]\|-1\|\n$/);
    expect(readFileSync(join(directory, 'log'), 'utf8')).not.toMatch(/unrecognized|syntax error|invalid value/);
  });
});
