// Checks at start that the server knows our search attributes: without them every workflow task would fail for ever.

import { type Connection } from '@temporalio/client';
import { searchAttributeNames } from '../domain/facts/names';
import { WorkerSetupError } from './setup-error';

/** INDEXED_VALUE_TYPE_KEYWORD of temporal.api.enums.v1. */
const keyword = 2;
/** NOT_FOUND of grpc.status. */
const grpcNotFound = 5;

/** Registers what is missing. @throws with the command to run when this client may not. */
export async function ensureSearchAttributes(connection: Connection, namespace: string): Promise<void> {
  const wanted = Object.values(searchAttributeNames);
  const customAttributes = await readCustomAttributes(connection, namespace);
  const missing = wanted.filter((name) => Number(customAttributes[name]) !== keyword);
  if (missing.length === 0) return;
  try {
    await connection.operatorService.addSearchAttributes({
      namespace,
      searchAttributes: Object.fromEntries(missing.map((name) => [name, keyword])),
    });
  } catch (error) {
    const commands = missing.map(
      (name) => `temporal operator search-attribute create -n ${namespace} --name ${name} --type Keyword`,
    );
    const seen = error instanceof Error ? error.message : String(error);
    throw new WorkerSetupError(
      `namespace ${namespace} lacks search attributes and they could not be registered (${seen}); run: ${commands.join('; ')}`,
      { cause: error },
    );
  }
}

async function readCustomAttributes(connection: Connection, namespace: string): Promise<Record<string, unknown>> {
  try {
    return (await connection.operatorService.listSearchAttributes({ namespace })).customAttributes;
  } catch (error) {
    if ((error as { code?: unknown }).code !== grpcNotFound) throw error;
    throw new WorkerSetupError(
      `Temporal has no namespace ${namespace}: correct temporal.namespace in the cluster file, or run: temporal operator namespace create -n ${namespace} --retention 365d`,
      { cause: error },
    );
  }
}
