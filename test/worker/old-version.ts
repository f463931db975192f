// An incident and a wait of a version with other steps: today's workflows cannot replay their runs.

import { condition, setHandler, sleep, upsertSearchAttributes } from '@temporalio/workflow';
import { eventSignal } from '../../workflows/messages';
import { searchAttributes } from '../../workflows/search-attributes';

export async function incident(cluster: string): Promise<void> {
  setHandler(eventSignal, () => undefined);
  await sleep('1ms');
  upsertSearchAttributes(searchAttributes({ cluster, operation: 'incident' }));
  await condition(() => false);
}

export async function awaitNode({ cluster }: { cluster: string }): Promise<void> {
  await incident(cluster);
}
