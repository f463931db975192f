// One look at a missing node: is it back? "No" is a retryable failure, so that Temporal Web shows the wait as one pending step.

import { type ClusterConfiguration, getNode } from '../domain/cluster';
import { notYet } from './io/failures';
import { readNodeFacts } from './io/node-facts';
import type { Tools } from './io/tools';

export interface ReadReturnInput {
  readonly cluster: string;
  readonly node: number;
  /** answers: any answer counts; streams: it must stream, because it answered before and could not follow. */
  readonly until: 'answers' | 'streams';
}

/** Reads only. @throws Unreachable while the node is not back. */
export async function readReturn(tools: Tools, input: ReadReturnInput): Promise<{ line: string }> {
  const configuration: ClusterConfiguration = tools.readConfiguration(input.cluster);
  const facts = await readNodeFacts(tools.sql, configuration, getNode(configuration, input.node), 2000);
  const isBack = facts.sql === 'answered' && (input.until === 'answers' || facts.walReceiver?.isStreaming === true);
  const state =
    facts.sql === 'answered'
      ? facts.walReceiver?.isStreaming
        ? 'streams'
        : 'answers but does not stream'
      : facts.sqlSeen;
  if (!isBack) throw notYet(`node ${String(input.node)} is not back: ${state}`);
  return { line: `node ${String(input.node)} is back: ${state}` };
}
