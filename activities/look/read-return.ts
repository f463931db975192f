// One look at a missing node: is it back? "No" is a retryable failure, so that Temporal Web shows the wait as one pending step.

import { type ClusterConfiguration, getNode } from '../../domain/facts/cluster';
import { type NodeFacts, receivesFrom, writableNodes } from '../../domain/facts/facts';
import { notYet } from '../io/failures';
import { readNodeFacts } from '../io/sql/node-facts';
import type { Tools } from '../io/tools';

export interface ReadReturnInput {
  readonly cluster: string;
  readonly node: number;
  /** answers: any answer counts; streams: it answered and could not follow, so it must stream from the primary, or be silent and answer again; returns: only the latter counts. */
  readonly until: 'answers' | 'streams' | 'returns';
}

/** As observe's: a node that only answers this look in time would be "back" and "silent" by turns. */
const readMs = 1000;

/** What one attempt tells the next: the node has been silent, so its answering is news. */
interface Seen {
  readonly wasSilent: boolean;
}

/** Reads only. @throws Unreachable (quietly) while the node is not back. */
export async function readReturn(tools: Tools, input: ReadReturnInput): Promise<{ line: string }> {
  const configuration = tools.readConfiguration(input.cluster);
  const earlier = tools.attempt.earlier as Seen | undefined;
  const nodes = await Promise.all(
    configuration.nodes.map((node) => readNodeFacts(tools.sql, configuration, node, readMs)),
  );
  const own = nodes.find((entry) => entry.node === input.node);
  const isAnswering = own?.sql === 'answered';
  const isFollowing = own !== undefined && followsPrimary(configuration, own, nodes);
  const state = isFollowing
    ? 'follows the primary'
    : isAnswering
      ? 'answers, but does not follow the primary'
      : own?.sqlSeen;
  const wasSilent = earlier?.wasSilent === true || !isAnswering;
  const line = state ?? 'not configured';
  const isEnough =
    (isFollowing && input.until !== 'returns') || (isAnswering && (input.until === 'answers' || wasSilent));
  if (isEnough) {
    return { line: `node ${input.node} is back: ${line}` };
  }
  tools.attempt.tell({ wasSilent } satisfies Seen);
  throw notYet(`node ${input.node} is not back: ${line}`);
}

/** From the one node that accepts writes, on its timeline: a standby that streams from a former primary has not come back. */
function followsPrimary(configuration: ClusterConfiguration, own: NodeFacts, nodes: readonly NodeFacts[]): boolean {
  const [primary, ...others] = writableNodes({ nodes });
  const receiver = own.walReceiver;
  if (!primary || others.length > 0 || receiver?.isStreaming !== true) return false;
  return receivesFrom(own, getNode(configuration, primary.node)) && receiver.timeline === primary.position?.timeline;
}
