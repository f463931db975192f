// Waits for a missing node, for days if it must, then tells the incident. Has no other effect.

import { sleep, upsertSearchAttributes, workflowInfo } from '@temporalio/workflow';
import { perform } from './ground';
import type { AwaitInput } from './messages';
import { searchAttributes } from './search-attributes';

export async function awaitNode(input: AwaitInput): Promise<string> {
  const { cluster, node } = input;
  upsertSearchAttributes(searchAttributes({ cluster, operation: 'await' }));
  if (input.delayMs > 0) await sleep(input.delayMs, { summary: 'not at once: it has just failed' });
  const { line } = await perform('readReturn', { cluster, node, until: input.until });
  const eventId = `returned-${node}-${workflowInfo().runId}`;
  await perform('signalIncident', { cluster, node, eventId, opened: input.opened }, line);
  return line;
}
