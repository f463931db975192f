// Runs one act on a node over ssh: under the node's lock, with a deadline that the node itself refuses once it has passed.

import type { ClusterConfiguration, NodeConfiguration } from '../../../domain/facts/cluster';
import { Cancelled } from '../attempt';
import { failure } from '../failures';
import { type CommandResult, type RunOptions, SshFailure } from '../ssh/ssh';
import { sshTarget, type Tools } from '../tools';

export interface ActInput {
  readonly configuration: ClusterConfiguration;
  readonly node: NodeConfiguration;
  /** A script that opens with lib/act.sh. */
  readonly script: string;
  readonly args: readonly string[];
  readonly timeoutMs: number;
  /** The node's clock minus the worker's; unknown (null) or `measure` = asked first, for one more round trip. */
  readonly clockOffsetMs: number | null | 'measure';
  /** Date.now() before the first look that the act relies on: its time counts from there, however long the worker slept since. */
  readonly lookedAt?: number | undefined;
  /** Belongs to what a requested cancellation leaves to be done. An attempt that has timed out does not act all the same. */
  readonly isCleanup?: boolean;
}

const clockMs = 5000;

/**
 * @throws Unreachable when the connection fails, another act holds the node, or `lookedAt` is too long ago; Cancelled,
 * with nothing done, once the activity was cancelled or its attempt has timed out; the act's own exit status is returned.
 * Exit status null (the channel dropped) = outcome unknown: look before acting again.
 */
export async function actOnNode(tools: Tools, input: ActInput): Promise<CommandResult> {
  const { configuration, node } = input;
  const lock = lockFile(configuration, node);
  refuseLate(tools, input);
  const offsetMs =
    typeof input.clockOffsetMs === 'number'
      ? input.clockOffsetMs
      : await measureClock(tools, configuration, node, Math.min(clockMs, input.timeoutMs));
  // The measurement may have taken any time.
  refuseLate(tools, input);
  const until = (input.lookedAt ?? Date.now()) + input.timeoutMs;
  const deadline = Math.min(until, tools.attempt.deadline ?? until) + offsetMs;
  const result = await runOnNode(tools, configuration, node, input.script, {
    args: [lock, String(deadline), tools.attempt.actor, ...input.args],
    timeoutMs: input.timeoutMs,
  });
  refuseUnlocked(configuration, node, result);
  return result;
}

/** @throws Cancelled; Unreachable */
function refuseLate({ attempt }: Tools, { node, timeoutMs, lookedAt, isCleanup }: ActInput): void {
  const mayCleanUp = isCleanup === true && attempt.isCancelRequested();
  if (attempt.signal.aborted && !mayCleanUp) throw new Cancelled();
  if (lookedAt === undefined || Date.now() < lookedAt + timeoutMs) return;
  const ago = `${Math.round((Date.now() - lookedAt) / 1000)} s`;
  throw failure(
    'unreachable',
    `node ${node.id} (${node.host}): nothing was done, because the world was looked at too long ago (${ago}); it is looked at again`,
  );
}

/** Without the lock: for scripts that only look, or take it themselves. @throws Unreachable or Configuration when it was not started */
export async function runOnNode(
  tools: Tools,
  configuration: ClusterConfiguration,
  node: NodeConfiguration,
  script: string,
  options: RunOptions,
): Promise<CommandResult> {
  try {
    return await tools.ssh.run(sshTarget(configuration, node), script, options);
  } catch (error) {
    if (!(error instanceof SshFailure)) throw error;
    throw failure(error.isRetryable ? 'unreachable' : 'configuration', error.message, error);
  }
}

/** What lib/act.sh's own exit statuses mean. @throws Configuration or Unreachable */
export function refuseUnlocked(
  configuration: ClusterConfiguration,
  node: NodeConfiguration,
  result: CommandResult,
): void {
  const name = `node ${node.id} (${node.host})`;
  if (result.exitCode === lockFailed)
    throw failure(
      'configuration',
      `${name}: cannot create paths.jobs (${configuration.paths.jobs}): ${result.stderr.trim()}`,
    );
  if (result.exitCode === lockIsHeld)
    throw failure(
      'unreachable',
      `${name}: ${lockFile(configuration, node)} is held by ${result.stderr.trim() || 'another act'}; it is retried`,
    );
  if (result.exitCode === deadlinePassed)
    throw failure('unreachable', `${name}: the act arrived after its deadline and was refused`);
}

// lib/act.sh's exit statuses: LOCK_FAILED, LOCK_HELD while another act holds the node, DEADLINE_PASSED.
export const lockFailed = 74;
export const lockIsHeld = 75;
export const deadlinePassed = 76;

/** One lock for every act on the node, on the node. */
export function lockFile(configuration: ClusterConfiguration, node: NodeConfiguration): string {
  return `${jobsDirectory(configuration, node)}.lock`;
}

/** Of this node alone, on the node: several nodes may share a host, and then its home directory. */
export function jobsDirectory({ cluster, paths }: ClusterConfiguration, node: NodeConfiguration): string {
  return `${paths.jobs}/${cluster}.node${node.id}`;
}

/** Of this node alone, on the node: its saved configurations and its saved WAL. */
export function savedDirectory({ cluster, paths }: ClusterConfiguration, node: NodeConfiguration): string {
  return `${paths.savedConfiguration}/${cluster}.node${node.id}`;
}

async function measureClock(
  tools: Tools,
  configuration: ClusterConfiguration,
  node: NodeConfiguration,
  timeoutMs: number,
): Promise<number> {
  const startedAt = Date.now();
  const { stdout } = await runOnNode(tools, configuration, node, 'date +%s%3N', { timeoutMs });
  const clock = /^[0-9]{13}$/m.exec(stdout)?.[0];
  return clock ? Math.round(Number(clock) - (startedAt + Date.now()) / 2) : 0;
}
