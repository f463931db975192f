// Drops the slots that kept the WAL of a node's copies, wherever they are: the node streams, or the rebuild was given up.

import type { ClusterConfiguration } from '../../domain/facts/cluster';
import { dropCopySlots, dropSlotsBoundMs } from '../io/sql/copy-slot';
import type { Tools } from '../io/tools';

export interface ReleaseSlotsInput {
  readonly configuration: ClusterConfiguration;
  readonly node: number;
  readonly primary: number;
}

export interface ReleaseSlotsResult {
  readonly changed: boolean;
  readonly line: string;
}

/** Counts one node, because all are asked at once. */
export const boundMs = dropSlotsBoundMs;

/** Never fails: a node that does not answer is asked again at the end of the next follow. */
export async function releaseSlots(tools: Tools, input: ReleaseSlotsInput): Promise<ReleaseSlotsResult> {
  const dropped = await dropCopySlots(tools, input);
  const what = dropped.length === 0 ? 'no slot of a copy is left' : `dropped ${dropped.join(', ')}`;
  return { changed: dropped.length > 0, line: `node ${input.node}: ${what}` };
}
