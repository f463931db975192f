// Gives a primary that is starting, stopping or in crash recovery its time, and returns as soon as it answers.

import { type ClusterConfiguration, getNode } from '../../domain/facts/cluster';
import { nodeFactsBoundMs, readNodeFacts } from '../io/sql/node-facts';
import type { Tools } from '../io/tools';

export interface AwaitRecoveryInput {
  readonly configuration: ClusterConfiguration;
  readonly node: number;
}

const readMs = 500;
const pauseMs = 20;
/** Bounds the time beyond policy.crashRecoveryMs: sums the last pause and the last look. */
export const boundMs = pauseMs + nodeFactsBoundMs(readMs);

/**
 * Reads only. Returns what was seen last; at most policy.crashRecoveryMs later. A restart refuses connections between its stop and its start, so a refusal or a
 * silence meanwhile is no end.
 */
export async function awaitRecovery(tools: Tools, input: AwaitRecoveryInput): Promise<{ line: string }> {
  const { configuration } = input;
  const startedAt = Date.now();
  for (;;) {
    const facts = await readNodeFacts(tools.sql, configuration, getNode(configuration, input.node), readMs);
    const ms = Date.now() - startedAt;
    const line = `node ${input.node} after ${ms} ms: ${facts.sqlSeen}`;
    const isSettled = facts.sql === 'answered' || facts.sql === 'rejected';
    if (isSettled || ms >= configuration.policy.crashRecoveryMs) return { line };
    tools.attempt.tell(line);
    await tools.attempt.sleep(pauseMs);
  }
}
