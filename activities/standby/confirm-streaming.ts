// Proves that a standby that was started streams from its primary. A fresh copy first fetches what was written during the copy.

import { confirmStreaming as proveStreaming, streamingBoundMs, type StreamingInput } from '../io/sql/streaming';
import type { Tools } from '../io/tools';

export type ConfirmStreamingInput = StreamingInput;

export interface ConfirmStreamingResult {
  readonly changed: false;
  readonly line: string;
}

/** Since the standby's position last advanced. */
const patienceMs = 60_000;
/** Bounds the time while the standby does not advance: sums the patience, the looks around it, and the explanation. */
export const boundMs = streamingBoundMs(patienceMs);

/** @throws WalMissing when the primary no longer has the WAL that the node needs; Unproven when it does not stream and does not advance */
export async function confirmStreaming(tools: Tools, input: ConfirmStreamingInput): Promise<ConfirmStreamingResult> {
  await proveStreaming(tools, input, patienceMs);
  const { node, primary, timeline } = input;
  const line = `node ${node} streams from node ${primary} on timeline ${timeline}`;
  return { changed: false, line };
}
