// The lab's other Temporal: the production server, with its state in a PostgreSQL of its own. It replaces the
// development server, on the same ports, and begins empty; it has no Web.
import { existsSync } from 'node:fs';
import path from 'node:path';
import { stringify } from 'yaml';
import { searchAttributeNames } from '../domain/facts/names';
import { startDaemon } from './daemon';
import { makeDirectoryFor, writeFor } from './files';
import type { Layout } from './layout';
import { labVariable, runOrFail } from './processes';
import { usablePath } from './shared';
import { isServing, serverSettings } from './temporal';
import type { TemporalServer } from './tools';
import { waitFor } from './wait';

const databases = [
  { name: 'temporal', schema: 'postgresql/v12/temporal' },
  { name: 'temporal_visibility', schema: 'postgresql/v12/visibility' },
] as const;
const databaseUser = 'temporal';

/**
 * Starts the production server; the development server must be stopped. Takes about 10 s, because it first makes
 * missing databases.
 */
export async function startTemporalOnPostgres(layout: Layout, programs: TemporalServer): Promise<void> {
  const server = await usablePath(layout, programs.server);
  const directory = path.join(layout.temporal.directory, 'postgres');
  const isNew = !existsSync(directory);
  if (isNew) await initialise(layout, directory);
  await startDatabase(layout, directory);
  if (isNew) await createSchemas(layout, await usablePath(layout, programs.sqlTool));
  const file = path.join(layout.temporal.directory, 'server.yaml');
  writeFor(layout.user, file, stringify(describeServer(layout)));
  const settings = Object.entries(serverSettings).map(([key, value]) => [key, [{ value }]] as const);
  writeFor(layout.user, dynamicFile(layout), stringify(Object.fromEntries(settings)));
  const environment = { [labVariable]: layout.temporal.directory };
  const plan = {
    key: 'temporal',
    command: server,
    argv: ['--config-file', file, '--allow-no-auth', 'start'],
    directory: layout.temporal.directory,
    logFile: path.join(layout.temporal.directory, 'server.log'),
    isReady: async () => await answers(layout, environment),
    timeoutMs: 60_000,
  };
  await startDaemon(layout, plan);
  if (isNew) await createNamespace(layout, environment);
  await waitFor(() => isServing(layout), { what: 'Temporal to know its namespace', timeoutMs: 60_000 });
}

const databasePort = ({ temporal }: Layout): number => temporal.port + 30;
const dynamicFile = ({ temporal }: Layout): string => path.join(temporal.directory, 'dynamic.yaml');

async function initialise(layout: Layout, directory: string): Promise<void> {
  const { user, tools, temporal } = layout;
  makeDirectoryFor(user, directory, 0o700);
  const argv = ['-D', directory, '-U', databaseUser, '--auth=trust', '--encoding=UTF8', '--locale=C'];
  const environment = { [labVariable]: temporal.directory };
  await runOrFail(path.join(tools.postgresBin, 'initdb'), argv, { user, environment });
}

async function startDatabase(layout: Layout, directory: string): Promise<void> {
  const { tools, temporal } = layout;
  const settings = {
    listen_addresses: temporal.host,
    port: String(databasePort(layout)),
    unix_socket_directories: directory,
    dynamic_shared_memory_type: 'mmap',
  };
  await startDaemon(layout, {
    key: 'temporal-postgres',
    command: path.join(tools.postgresBin, 'postgres'),
    argv: ['-D', directory].concat(Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])),
    directory: temporal.directory,
    logFile: path.join(temporal.directory, 'postgres.log'),
    isReady: (said) => said.includes('database system is ready to accept connections'),
    timeoutMs: 30_000,
  });
}

async function createSchemas(layout: Layout, sqlTool: string): Promise<void> {
  const { user, temporal } = layout;
  const environment = { [labVariable]: temporal.directory };
  const server = ['--plugin', 'postgres12', '--ep', temporal.host, '-p', String(databasePort(layout))];
  for (const { name, schema } of databases) {
    const base = [...server, '-u', databaseUser, '--db', name];
    for (const verb of [['create'], ['setup-schema', '-v', '0.0'], ['update-schema', '--schema-name', schema]])
      await runOrFail(sqlTool, [...base, ...verb], { user, environment });
  }
}

async function runTemporal(
  layout: Layout,
  environment: Record<string, string>,
  argv: readonly string[],
): Promise<void> {
  const { temporal, user, tools } = layout;
  const address = ['--address', `${temporal.host}:${temporal.port}`, '--namespace', temporal.namespace];
  await runOrFail(await usablePath(layout, tools.temporal), [...argv, ...address], { user, environment });
}

async function answers(layout: Layout, environment: Record<string, string>): Promise<boolean> {
  return await runTemporal(layout, environment, ['operator', 'cluster', 'health']).then(
    () => true,
    () => false,
  );
}

async function createNamespace(layout: Layout, environment: Record<string, string>): Promise<void> {
  await runTemporal(layout, environment, ['operator', 'namespace', 'create', '--retention', '365d']);
  const names = Object.values(searchAttributeNames).flatMap((name) => ['--name', name, '--type', 'Keyword']);
  const argv = ['operator', 'search-attribute', 'create', ...names];
  // The new namespace is known everywhere only after the server's next refresh of its list.
  await waitFor(
    () =>
      runTemporal(layout, environment, argv).then(
        () => true,
        () => false,
      ),
    { what: 'Temporal to take the search attributes', timeoutMs: 60_000, intervalMs: 500 },
  );
}

/** All four services in one process, as a small site runs them. */
function describeServer(layout: Layout): object {
  const { host, port, httpPort } = layout.temporal;
  const rpc = (offset: number): object => ({
    rpc: { grpcPort: port + offset, membershipPort: port + offset + 40, bindOnLocalHost: true },
  });
  return {
    log: { stdout: true, level: 'warn' },
    persistence: {
      defaultStore: 'default',
      visibilityStore: 'visibility',
      numHistoryShards: 16,
      datastores: { default: describeStore(layout, 0), visibility: describeStore(layout, 1) },
    },
    global: { membership: { maxJoinDuration: '30s', broadcastAddress: host } },
    services: {
      frontend: {
        rpc: { grpcPort: port, httpPort, membershipPort: port + 40, bindOnLocalHost: true },
      },
      history: rpc(1),
      matching: rpc(2),
      worker: rpc(3),
    },
    clusterMetadata: {
      enableGlobalNamespace: false,
      failoverVersionIncrement: 10,
      masterClusterName: 'active',
      currentClusterName: 'active',
      clusterInformation: {
        active: {
          enabled: true,
          initialFailoverVersion: 1,
          rpcName: 'frontend',
          rpcAddress: `${host}:${port}`,
        },
      },
    },
    dcRedirectionPolicy: { policy: 'noop' },
    dynamicConfigClient: { filepath: dynamicFile(layout), pollInterval: '60s' },
  };
}

function describeStore(layout: Layout, index: 0 | 1): object {
  return {
    sql: {
      pluginName: 'postgres12',
      databaseName: databases[index].name,
      connectAddr: `${layout.temporal.host}:${databasePort(layout)}`,
      connectProtocol: 'tcp',
      user: databaseUser,
      password: '',
      maxConns: 20,
      maxIdleConns: 20,
    },
  };
}
