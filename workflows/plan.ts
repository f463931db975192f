// Tells what a failover would do if these nodes were down now: one real look, then the runbooks on dry ground. Nothing
// is changed.

import { upsertSearchAttributes } from '@temporalio/workflow';
import { perform } from './ground';
import { type ToldPlan, tellPlan } from './runbooks/telling';
import { searchAttributes } from './search-attributes';

export interface PlanInput {
  readonly cluster: string;
  readonly down: readonly number[];
}

export async function plan({ cluster, down }: PlanInput): Promise<ToldPlan> {
  upsertSearchAttributes(searchAttributes({ cluster, operation: 'plan' }));
  const observation = await perform('observe', { cluster, suspect: null }, 'what would be done is told from it');
  return await tellPlan(observation, down, Date.now());
}
