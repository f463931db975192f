// The search attributes of incidents in Temporal Web: PgCluster="shop" and PgOutcome="refused".

import { defineSearchAttributeKey, type SearchAttributePair } from '@temporalio/common';
import { searchAttributeNames } from '../domain/facts/names';

export const searchAttributeKeys = {
  cluster: defineSearchAttributeKey(searchAttributeNames.cluster, 'KEYWORD'),
  operation: defineSearchAttributeKey(searchAttributeNames.operation, 'KEYWORD'),
  outcome: defineSearchAttributeKey(searchAttributeNames.outcome, 'KEYWORD'),
};

/** Pairs for the given values only. */
export function searchAttributes(values: {
  cluster?: string;
  operation?: string;
  outcome?: string;
}): SearchAttributePair[] {
  const { cluster, operation, outcome } = values;
  return [
    ...(cluster === undefined ? [] : [{ key: searchAttributeKeys.cluster, value: cluster }]),
    ...(operation === undefined ? [] : [{ key: searchAttributeKeys.operation, value: operation }]),
    ...(outcome === undefined ? [] : [{ key: searchAttributeKeys.outcome, value: outcome }]),
  ];
}
