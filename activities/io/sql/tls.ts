// Whether a connection to PostgreSQL is encrypted, and whether the server proves who it is: libpq's sslmode (PostgreSQL documentation, 34.19).

import { readFile } from 'node:fs/promises';
import type { ConnectionOptions } from 'node:tls';
import type { ClusterConfiguration } from '../../../domain/facts/cluster';

export type TlsSettings = Pick<ClusterConfiguration['postgres'], 'sslMode' | 'sslRootCertificate'>;

/** pg_hba.conf has no line for a connection of this kind (auth.c, ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION). */
const notAllowed = '28000';

/**
 * Connects as sslMode says. `prefer`: encrypted; where the server cannot, or its pg_hba.conf forbids it, without (fe-connect.c does the same).
 * @param connect false = not encrypted; rejects with an error that has `kind` and `sqlState`
 * @throws what the last connection was refused with
 */
export async function connectByMode<T>(
  { sslMode, sslRootCertificate }: TlsSettings,
  connect: (ssl: ConnectionOptions | false) => Promise<T>,
): Promise<T> {
  if (sslMode === 'disable') return await connect(false);
  if (sslMode !== 'prefer') return await connect(await verification(sslMode, sslRootCertificate));
  try {
    return await connect({ rejectUnauthorized: false });
  } catch (error) {
    if (!isForWantOfTls(error)) throw error;
    return await connect(false);
  }
}

/** As libpq's, `require` with a root certificate is verify-ca. */
async function verification(
  sslMode: 'require' | 'verify-ca' | 'verify-full',
  file: string | null,
): Promise<ConnectionOptions> {
  if (file === null) return { rejectUnauthorized: false };
  const ca = await readFile(file);
  return sslMode === 'verify-full' ? { ca } : { ca, checkServerIdentity: () => undefined };
}

/** Without SQLSTATE it was no PostgreSQL error: the server does not support TLS, or the two have no version of it in common. */
function isForWantOfTls(error: unknown): boolean {
  const { kind, sqlState } = error as { readonly kind?: string; readonly sqlState?: string | null };
  return kind === 'rejected' && (sqlState === null || sqlState === notAllowed);
}
