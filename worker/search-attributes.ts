// Workflows set search attributes; on a server that does not know them their tasks would fail for ever. Checked at start.

import { type Connection } from '@temporalio/client';
import { searchAttributeNames } from '../domain/names';

/** INDEXED_VALUE_TYPE_KEYWORD of temporal.api.enums.v1. */
const keyword = 2;

/** Registers what is missing. @throws with the command to run when this client may not. */
export async function ensureSearchAttributes(connection: Connection, namespace: string): Promise<void> {
  const wanted = Object.values(searchAttributeNames);
  const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
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
    throw new Error(
      `namespace ${namespace} lacks search attributes and they could not be registered (${seen}); run: ${commands.join('; ')}`,
      { cause: error },
    );
  }
}
