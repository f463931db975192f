// Runs one act on a node over ssh: under the node's lock, with a deadline that the node itself refuses once it has passed.

import type { ClusterConfiguration, NodeConfiguration } from '../../domain/cluster';
import { failure } from './failures';
import type { CommandResult } from './ssh';
import { sshTarget, type Tools } from './tools';

export interface ActInput {
  readonly configuration: ClusterConfiguration;
  readonly node: NodeConfiguration;
  /** A script that opens with actPreamble. */
  readonly script: string;
  readonly args: readonly string[];
  readonly timeoutMs: number;
  readonly clockOffsetMs: number | null;
}

/**
 * @throws Unreachable when the connection fails or another act holds the node; the act's own exit status is returned.
 * Exit status null (the channel dropped) = outcome unknown: look before acting again.
 */
export async function actOnNode(tools: Tools, input: ActInput): Promise<CommandResult> {
  const { configuration, node } = input;
  // With the ids, because several nodes may share a host and its home directory.
  const lock = `${configuration.paths.jobs}/${configuration.cluster}.node${String(node.id)}.lock`;
  const deadline = Date.now() + (input.clockOffsetMs ?? 0) + input.timeoutMs;
  const result = await tools.ssh.run(sshTarget(configuration, node), input.script, {
    args: [lock, String(deadline), ...input.args],
    timeoutMs: input.timeoutMs,
  });
  const name = `node ${String(node.id)} (${node.host})`;
  if (result.exitCode === 74)
    throw failure(
      'configuration',
      `${name}: cannot create paths.jobs (${configuration.paths.jobs}): ${result.stderr.trim()}`,
    );
  if (result.exitCode === 75) throw failure('unreachable', `${name}: another act holds ${lock}; it is retried`);
  if (result.exitCode === 76)
    throw failure('unreachable', `${name}: the act arrived after its deadline and was refused`);
  return result;
}
