// Waits for a missing node, for days if it must, then tells the incident. Has no other effect.

import { upsertSearchAttributes, workflowInfo } from '@temporalio/workflow';
import { readReturn, signalIncident } from './activity-options';
import type { AwaitInput } from './messages';
import { searchAttributes } from './search-attributes';

export async function awaitNode(input: AwaitInput): Promise<string> {
  const { cluster, node } = input;
  upsertSearchAttributes(searchAttributes({ cluster, operation: 'await' }));
  const { line } = await readReturn.executeWithOptions({ summary: `waiting for node ${String(node)} to come back` }, [
    input,
  ]);
  const eventId = `returned-${String(node)}-${workflowInfo().runId}`;
  await signalIncident.executeWithOptions({ summary: `tell the incident: ${line}`.slice(0, 200) }, [
    { cluster, node, eventId },
  ]);
  return line;
}
