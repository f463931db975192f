// Makes what an incident has found true the cluster's record, so that later decisions need not find it again.

import type { ClusterConfiguration } from '../../domain/facts/cluster';
import type { Conclusion } from '../../domain/facts/record';
import type { Tools } from '../io/tools';

export interface ConcludeInput {
  readonly configuration: ClusterConfiguration;
  readonly conclusion: Conclusion;
}

/** Bounds the question to Temporal, the only wait. */
export const boundMs = 9000;

/** Idempotent: a conclusion that is older than the record changes nothing. @throws Unreachable when Temporal does not take it */
export async function conclude(tools: Tools, { configuration, conclusion }: ConcludeInput): Promise<{ line: string }> {
  const { primary, timeline, openedBy } = conclusion;
  await tools.conclude(configuration, conclusion, boundMs);
  const how = openedBy === 'us' ? ', opened by us' : '';
  return { line: `recorded: node ${primary} is the primary on timeline ${timeline}${how}` };
}
