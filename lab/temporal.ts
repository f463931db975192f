// The lab's Temporal: a development server on disk, with Temporal Web, on ports of its own.
import path from 'node:path';
import { searchAttributeNames } from '../domain/facts/names';
import { startDaemon } from './daemon';
import { usablePath } from './shared';
import type { Layout } from './layout';
import { runOrFail } from './processes';

/** Temporal's dynamic configuration, for either server. */
export const serverSettings = {
  // The default of 20 a second costs every step 50 ms once a burst has used it up (measured).
  'history.transferProcessorMaxPollRPS': 200,
  // By default every timer and retry fires up to a second late.
  'history.timerProcessorMaxTimeShift': '1ms',
} as const;

/** Starts the server, or starts it again on the same database file, and waits until its HTTP API serves the namespace. */
export async function startTemporal(layout: Layout, signal?: AbortSignal): Promise<void> {
  const { temporal, user } = layout;
  const binary = await usablePath(layout, layout.tools.temporal);
  // The server never migrates its file, so each version of the CLI has its own.
  const version = /[0-9]+(\.[0-9]+)+/.exec(await runOrFail(binary, ['--version'], { user }))?.[0] ?? 'unknown';
  const plan = {
    key: 'temporal',
    command: binary,
    argv: ['server', 'start-dev']
      .concat(['--ip', temporal.host, '--port', String(temporal.port), '--http-port', String(temporal.httpPort)])
      .concat(['--ui-port', String(temporal.webPort), '--ui-disable-news-fetch', '--log-level', 'warn'])
      .concat(['--db-filename', path.join(temporal.directory, `temporal-${version}.db`)])
      .concat(['--sqlite-pragma', 'journal_mode=wal', '--sqlite-pragma', 'synchronous=2'])
      .concat(
        Object.entries(serverSettings).flatMap(([key, value]) => [
          '--dynamic-config-value',
          `${key}=${JSON.stringify(value)}`,
        ]),
      )
      .concat(Object.values(searchAttributeNames).flatMap((name) => ['--search-attribute', `${name}=Keyword`])),
    directory: temporal.directory,
    logFile: path.join(temporal.directory, 'temporal.log'),
    isReady: () => isServing(layout),
    timeoutMs: 60_000,
  };
  await startDaemon(layout, plan, signal);
}

export function httpAddress(layout: Layout): string {
  return `http://${layout.temporal.host}:${layout.temporal.httpPort}`;
}

/** The server's HTTP API knows the namespace and the search attributes. */
export async function isServing(layout: Layout): Promise<boolean> {
  const address = `${httpAddress(layout)}/api/v1/namespaces/${layout.temporal.namespace}`;
  const attributes = `${httpAddress(layout)}/cluster/namespaces/${layout.temporal.namespace}/search-attributes`;
  const timeout = (): { signal: AbortSignal } => ({ signal: AbortSignal.timeout(2000) });
  if (!(await fetch(address, timeout())).ok) return false;
  const text = await (await fetch(attributes, timeout())).text();
  return Object.values(searchAttributeNames).every((name) => text.includes(name));
}
