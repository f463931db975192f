// primary_conninfo: libpq's keyword = value text (PostgreSQL documentation, 34.1.1.1).

import type { ClusterConfiguration, NodeConfiguration } from './cluster';

/** Keywords in their order; null when the text is malformed (an unclosed quote, a missing "="). */
export function parseConninfo(text: string): Map<string, string> | null {
  const values = new Map<string, string>();
  const pattern = /\s*([a-z_]+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|((?:(?:[^\s'\\]|\\.)(?:[^\s\\]|\\.)*)?))(?=\s|$)/gsy;
  while (pattern.lastIndex < text.trimEnd().length) {
    const match = pattern.exec(text);
    if (!match) return null;
    values.set(match[1]!, (match[2] ?? match[3] ?? '').replaceAll(/\\(.)/gs, '$1'));
  }
  return values;
}

/** Every value quoted: readable, and safe for blanks. */
export function formatConninfo(values: ReadonlyMap<string, string>): string {
  return [...values].map(([key, value]) => `${key}='${value.replaceAll(/['\\]/g, String.raw`\$&`)}'`).join(' ');
}

export interface Upstream {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly applicationName: string;
  /** Where the nodes keep their passwords; a path under ~/ is libpq's own default and need not be written. */
  readonly passFile: string;
}

/** Where `node` is to stream from, by the cluster file. */
export function upstreamOf(
  { postgres }: ClusterConfiguration,
  node: NodeConfiguration,
  primary: NodeConfiguration,
): Upstream {
  return {
    host: primary.host,
    port: primary.port,
    user: postgres.replicationUser,
    applicationName: node.applicationName,
    passFile: postgres.passFile,
  };
}

/**
 * The same conninfo, pointed at another node: only host, port and application_name change, so a site's own sslmode or
 * passfile survives. hostaddr goes, because it would win over host.
 */
export function repointConninfo(current: string, upstream: Upstream): string {
  const values = parseConninfo(current) ?? new Map<string, string>();
  values.delete('hostaddr');
  if (!values.has('user')) values.set('user', upstream.user);
  if (!values.has('passfile') && upstream.passFile.startsWith('/')) values.set('passfile', upstream.passFile);
  values.set('host', upstream.host);
  values.set('port', String(upstream.port));
  values.set('application_name', upstream.applicationName);
  return formatConninfo(values);
}
