// The one door to a host: runs a script on a node over ssh and reads its answer. An act holds the node's lock, and has a deadline
// that the node itself refuses once it has passed; a look does without both.

import type { ClusterConfiguration, NodeConfiguration } from '../../../domain/facts/cluster';
import { type Answer, parseAnswer, requireDone, type Values } from './answer';
import { Cancelled } from '../attempt';
import { failure } from '../failures';
import { type ScriptName, scripts } from './scripts';
import { type CommandResult, type RunOptions, SshFailure } from '../ssh/ssh';
import { sshTarget, type Tools, type WorkerTools } from '../tools';

interface Order {
  readonly configuration: ClusterConfiguration;
  readonly node: NodeConfiguration;
  readonly script: ScriptName;
  readonly args: readonly string[];
  readonly timeoutMs: number;
}

/** For a script that only looks, or takes the lock itself. */
export interface LookOrder extends Order, Pick<RunOptions, 'signal' | 'onOutput'> {}

/** For a script that opens with lib/act.sh. */
export interface ActOrder extends Order {
  /** The node's clock minus the worker's; unknown (null) or `measure` = asked first, for one more round trip. */
  readonly clockOffsetMs: number | null | 'measure';
  /** Date.now() before the first look that the act relies on: its time counts from there, however long the worker slept since. */
  readonly lookedAt?: number | undefined;
  /** Belongs to what a requested cancellation leaves to be done. An attempt that has timed out does not act all the same. */
  readonly isCleanup?: boolean;
  /** Issued once more, at once, where another act has overtaken it. Any other act fails then, and is tried again from a fresh look. */
  readonly reliesOnNoLook?: boolean;
}

const clockMs = 5000;
const clockBoundMs = (timeoutMs: number): number => Math.min(clockMs, timeoutMs);

/** Bounds act(): the clock may be asked first, and an act that is issued once more has only what is left of timeoutMs. */
export function actBoundMs(timeoutMs: number): number {
  return clockBoundMs(timeoutMs) + timeoutMs;
}

/**
 * The node refuses an act that another one has overtaken: one that ended after this one was issued.
 * @throws Unreachable when the script was not sent, as the connection failed or `lookedAt` is too long ago; Configuration when
 * ssh is set up wrong; Cancelled, with nothing done, once the activity was cancelled or its attempt has timed out
 */
export async function act(tools: Tools, order: ActOrder): Promise<Answer> {
  const startedAt = Date.now();
  const answer = await issue(tools, order);
  const leftMs = startedAt + order.timeoutMs - Date.now();
  if (order.reliesOnNoLook !== true || answer.values.get('overtaken') === undefined || leftMs <= 0) return answer;
  return await issue(tools, { ...order, clockOffsetMs: 'measure', timeoutMs: leftMs });
}

async function issue(tools: Tools, order: ActOrder): Promise<Answer> {
  const { configuration, node } = order;
  const script = scripts[order.script];
  refuseLate(tools, order);
  const measured = typeof order.clockOffsetMs === 'number' ? order.clockOffsetMs : await measureClock(tools, order);
  // The measurement may have taken any time.
  refuseLate(tools, order);
  const until = (order.lookedAt ?? Date.now()) + order.timeoutMs;
  const deadline = Math.min(until, tools.attempt.deadline ?? until) + (measured ?? 0);
  // By a clock that is not known nothing can be told to have come before.
  const issued = measured === null ? deadline : Math.min(Date.now() + measured, deadline);
  const lock = lockFile(configuration, node);
  const result = await send(tools, order, script, {
    args: [lock, String(issued), String(deadline), tools.attempt.actor, ...order.args],
    timeoutMs: order.timeoutMs,
  });
  return parseAnswer(result);
}

/** @throws Unreachable or Configuration when the script was not sent; the reason of `signal` once that is aborted */
export async function look(tools: Pick<WorkerTools, 'ssh'>, order: LookOrder): Promise<Answer> {
  const { configuration, node, script, ...options } = order;
  return parseAnswer(await send(tools, { configuration, node }, scripts[script], options));
}

/** An act that must be done. `what` is for the sentence of a failure: "set its data aside". @throws as act() and requireDone() */
export async function mustAct(tools: Tools, order: ActOrder & { readonly what: string }): Promise<Values> {
  return requireDone(order, await act(tools, order));
}

/** A look that must be answered. @throws as look() and requireDone() */
export async function mustLook(
  tools: Pick<WorkerTools, 'ssh'>,
  { what, ...order }: LookOrder & { readonly what: string },
): Promise<Values> {
  return requireDone({ node: order.node, what }, await look(tools, order));
}

/** @throws Cancelled; Unreachable */
function refuseLate({ attempt }: Tools, { node, timeoutMs, lookedAt, isCleanup }: ActOrder): void {
  const mayCleanUp = isCleanup === true && attempt.isCancelRequested();
  if (attempt.signal.aborted && !mayCleanUp) throw new Cancelled();
  if (lookedAt === undefined || Date.now() < lookedAt + timeoutMs) return;
  const ago = `${Math.round((Date.now() - lookedAt) / 1000)} s`;
  throw failure(
    'unreachable',
    `node ${node.id} (${node.host}): nothing was done, because the world was looked at too long ago (${ago}); it is looked at again`,
  );
}

async function send(
  tools: Pick<WorkerTools, 'ssh'>,
  { configuration, node }: Pick<Order, 'configuration' | 'node'>,
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

/** The node's clock minus the worker's; null when it does not say. */
async function measureClock(tools: Tools, { configuration, node, timeoutMs }: Order): Promise<number | null> {
  const startedAt = Date.now();
  const order = {
    configuration,
    node,
    script: 'readClock',
    args: [],
    timeoutMs: clockBoundMs(timeoutMs),
  } as const;
  const { values } = await look(tools, order);
  return readClockOffset(values, (startedAt + Date.now()) / 2);
}

/** From clock=; `now` is the worker's clock when the node printed it. Null without one. */
export function readClockOffset(values: Values, now: number): number | null {
  const clock = values.get('clock');
  return clock && /^[0-9]{13}$/.test(clock) ? Math.round(Number(clock) - now) : null;
}

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
