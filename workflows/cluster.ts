// What is known of one cluster, for as long as it exists: the record. Never ends; continues as new when its history is long.
// Its memo holds the record as well, because looks read it there.

import {
  allHandlersFinished,
  ApplicationFailure,
  condition,
  makeContinueAsNewFunc,
  setHandler,
  upsertMemo,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import { recordName } from '../domain/facts/names';
import type { ClusterRecord, Conclusion } from '../domain/facts/record';
import { accept, conclude } from '../domain/plans/record';
import { perform } from './ground';
import { type Acceptance, acceptUpdate, concludeUpdate, recordQuery } from './messages';
import { searchAttributes } from './search-attributes';

/** @param carried what the run before this one has left; null = nothing is known yet */
export async function cluster(name: string, carried: ClusterRecord | null): Promise<void> {
  let record = carried;
  const keep = (changed: ClusterRecord): ClusterRecord => {
    record = changed;
    upsertMemo({ [recordName]: changed });
    return changed;
  };
  setHandler(concludeUpdate, (conclusion: Conclusion) => keep(conclude(record, conclusion)), {
    description: 'What an incident has left as true. One that is older than the record changes nothing.',
  });
  setHandler(
    acceptUpdate,
    async (acceptance: Acceptance) => {
      const why = `is node ${acceptance.node} the primary, as ${acceptance.operator} says?`;
      const { configuration, facts } = await perform('observe', { cluster: name, suspect: null }, why);
      const accepted = accept(configuration, facts, acceptance);
      if (typeof accepted === 'string') throw ApplicationFailure.nonRetryable(accepted, 'NotAccepted');
      return keep(accepted);
    },
    { description: 'A person says who the primary is: {"node": 1, "operator": "you"}.' },
  );
  setHandler(recordQuery, () => record, { description: 'What is known of the cluster; null = nothing yet.' });
  upsertSearchAttributes(searchAttributes({ cluster: name, operation: 'cluster' }));
  // A run that was started without a memo shows what it was given.
  if (record) upsertMemo({ [recordName]: record });
  await condition(() => workflowInfo().continueAsNewSuggested);
  await condition(allHandlersFinished);
  // The memo does not come along by itself.
  await makeContinueAsNewFunc<typeof cluster>({ memo: { [recordName]: record } })(name, record);
}
