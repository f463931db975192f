// primary_conninfo: libpq's keyword = value text (PostgreSQL documentation, 34.1.1.1).

import { defaultApplicationName } from '../facts/application-name';
import type { ClusterConfiguration, NodeConfiguration } from '../facts/cluster';

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

/** Prefix of a base backup's application_name, so that a copy is never taken for the standby that it will be. */
export const baseBackupPrefix = 'base_backup_';

/**
 * Null without one. For a conninfo that pg_basebackup has written: the standby's own name, which the server cuts at 63
 * bytes (NAMEDATALEN).
 */
export function readApplicationName(conninfo: string): string | null {
  const name = parseConninfo(conninfo)?.get('application_name') ?? '';
  return (name.startsWith(baseBackupPrefix) ? name.slice(baseBackupPrefix.length) : name).slice(0, 63) || null;
}

export interface Upstream {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** Null: the name in the conninfo is kept. */
  readonly applicationName: string | null;
  /** The name for a conninfo that has none. */
  readonly defaultName: string;
  /** TLS settings for a conninfo that was empty. */
  readonly tls: ReadonlyMap<string, string>;
  /** The nodes' password file; a path under ~/ is libpq's own default and need not be written. */
  readonly passFile: string;
}

/** Empty for libpq's own defaults. */
export function tlsOptions({ sslMode, sslRootCertificate }: ClusterConfiguration['postgres']): Map<string, string> {
  const options = new Map<string, string>();
  if (sslMode !== 'prefer') options.set('sslmode', sslMode);
  if (sslRootCertificate !== null) options.set('sslrootcert', sslRootCertificate);
  return options;
}

/** The server that `node` must stream from, by the cluster file. */
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
    defaultName: defaultApplicationName(node.id),
    tls: tlsOptions(postgres),
    passFile: postgres.passFile,
  };
}

/**
 * The conninfo with another host and port, and with the cluster file's application_name if it gives one. The rest, such
 * as a site's sslmode or passfile, stays; only hostaddr is removed, because it would win over host.
 */
export function repointConninfo(current: string, upstream: Upstream): string {
  const parsed = parseConninfo(current);
  // An existing conninfo keeps its TLS settings: encryption is the site's choice, and so is the default.
  const values = parsed?.size ? parsed : new Map(upstream.tls);
  values.delete('hostaddr');
  if (!values.has('user')) values.set('user', upstream.user);
  if (!values.has('passfile') && upstream.passFile.startsWith('/')) values.set('passfile', upstream.passFile);
  values.set('host', upstream.host);
  values.set('port', String(upstream.port));
  values.set('application_name', upstream.applicationName ?? readApplicationName(current) ?? upstream.defaultName);
  return formatConninfo(values);
}

/** Empty, or a warning that the standby's name changes: people and programs may know the standby by the old one. */
export function describeRenaming(former: string, next: string): string {
  const [was, is] = [readApplicationName(former), readApplicationName(next)];
  return was === is
    ? ''
    : `; its application_name is now ${String(is)}, ${was === null ? 'it had none' : `it was ${was}`}`;
}
