// One look at a missing node: is it back? "No" is a retryable failure, so that Temporal Web shows the wait as one pending step.

import { activityInfo, heartbeat } from '@temporalio/activity';
import { type ClusterConfiguration, getNode } from '../domain/cluster';
import { notYet } from './io/failures';
import { readNodeFacts } from './io/node-facts';
import type { Tools } from './io/tools';

export interface ReadReturnInput {
  readonly cluster: string;
  readonly node: number;
  /** answers: any answer counts; streams: it answered and could not follow, so it must stream, or be silent and answer again. */
  readonly until: 'answers' | 'streams';
}

/** What one attempt tells the next: the node has been silent, so its answering is news. */
interface Seen {
  readonly wasSilent: boolean;
}

/** Reads only. @throws Unreachable (quietly) while the node is not back. */
export async function readReturn(tools: Tools, input: ReadReturnInput): Promise<{ line: string }> {
  const configuration: ClusterConfiguration = tools.readConfiguration(input.cluster);
  const earlier = activityInfo().heartbeatDetails as Seen | undefined;
  const facts = await readNodeFacts(tools.sql, configuration, getNode(configuration, input.node), 2000);
  const isAnswering = facts.sql === 'answered';
  const isStreaming = isAnswering && facts.walReceiver?.isStreaming === true;
  const state = isAnswering ? (isStreaming ? 'streams' : 'answers but does not stream') : facts.sqlSeen;
  const wasSilent = earlier?.wasSilent === true || !isAnswering;
  if (isStreaming || (isAnswering && (input.until === 'answers' || wasSilent))) {
    return { line: `node ${String(input.node)} is back: ${state}` };
  }
  heartbeat({ wasSilent } satisfies Seen);
  throw notYet(`node ${String(input.node)} is not back: ${state}`);
}
