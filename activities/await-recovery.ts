// Gives a primary that is starting, stopping or in crash recovery its time, and returns as soon as it is settled either way.

import { heartbeat, sleep } from '@temporalio/activity';
import { type ClusterConfiguration, getNode } from '../domain/cluster';
import { readNodeFacts } from './io/node-facts';
import type { Tools } from './io/tools';

export interface AwaitRecoveryInput {
  readonly configuration: ClusterConfiguration;
  readonly node: number;
}

/** Reads only. Returns what was seen last; at most policy.crashRecoveryMs later. */
export async function awaitRecovery(tools: Tools, input: AwaitRecoveryInput): Promise<{ line: string }> {
  const { configuration } = input;
  const startedAt = Date.now();
  for (;;) {
    const facts = await readNodeFacts(tools.sql, configuration, getNode(configuration, input.node), 1000);
    const ms = Date.now() - startedAt;
    const line = `node ${String(input.node)} after ${String(ms)} ms: ${facts.sqlSeen}`;
    if (facts.sql !== 'recovering' || ms >= configuration.policy.crashRecoveryMs) return { line };
    heartbeat(line);
    await sleep(20);
  }
}
