// One command's connection to Temporal: made within 5 s, closed at the end, and its errors as one sentence with an exit
// code.

import { Client, Connection, isGrpcServiceError } from '@temporalio/client';
import { NamespaceNotFoundError } from '@temporalio/common';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import type { ClusterConfiguration } from '../domain/facts/cluster';
import { CommandFailure } from './outcome';

const connectMs = 5000;
/** Bound for calls that the server alone answers. */
const callMs = 10_000;

/** gRPC's numbers for: invalid argument, not found; permission denied, unauthenticated. */
const noCodes = [3, 5];
const refusalCodes = [7, 16];

type Settings = Pick<ClusterConfiguration, 'temporal'>;

/**
 * Runs `body` with a client of the cluster file's Temporal.
 * @throws CommandFailure 3 when Temporal cannot be reached, or ceases to answer; 2 when it has no such namespace
 */
export async function withTemporal<T>({ temporal }: Settings, body: (client: Client) => Promise<T>): Promise<T> {
  const { address, namespace } = temporal;
  // TLS, API key and the like come from Temporal's own environment variables and file, as for its CLI.
  const { connectionOptions } = loadClientConnectConfig();
  const connection = Connection.lazy({ ...connectionOptions, address, connectTimeout: connectMs });
  try {
    await connection.ensureConnected();
    return await body(new Client({ connection, namespace }));
  } catch (error) {
    throw explain(error, temporal);
  } finally {
    await connection.close();
  }
}

/** Bounds calls that need no worker. */
export async function withinCallTime<T>(client: Client, call: () => Promise<T>): Promise<T> {
  return await client.connection.withDeadline(Date.now() + callMs, call);
}

/** The server gave no answer, which is not the same as a refusal. */
export function isUnanswered(error: unknown): boolean {
  const call = findCallError(error);
  return call !== null && ![...noCodes, ...refusalCodes].includes(call.code);
}

function explain(error: unknown, { address, namespace }: Settings['temporal']): unknown {
  if (error instanceof NamespaceNotFoundError) {
    const advice = 'create it, or correct temporal.namespace in the cluster file';
    return new CommandFailure(2, `Temporal at ${address} has no namespace ${namespace}: ${advice}`);
  }
  const call = findCallError(error);
  if (call && refusalCodes.includes(call.code)) {
    const advice = "set the credentials in the environment variables or the file of Temporal's CLI";
    return new CommandFailure(3, `Temporal at ${address} refuses (${call.details}): ${advice}`);
  }
  // @grpc/grpc-js (client.ts, waitForReady) throws a plain Error with this text.
  const isSilent = error instanceof Error && error.message === 'Failed to connect before the deadline';
  if (!isSilent && !isUnanswered(error)) return error;
  const seen = call ? call.details : `no answer within ${connectMs / 1000} s`;
  const advice = 'start it, or correct temporal.address in the cluster file';
  return new CommandFailure(3, `cannot reach Temporal at ${address} (${seen}): ${advice}`);
}

/** The call's own error, which the SDK wraps in some cases. */
function findCallError(error: unknown): { code: number; details: string } | null {
  const cause: unknown = error instanceof Error ? error.cause : null;
  return [error, cause].find(isGrpcServiceError) ?? null;
}
