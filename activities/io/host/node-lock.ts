// The node's lock for acts that go over SQL: a script on the node holds it meanwhile. It lets go when it is told to, at its
// deadline, or within a second after its worker has died.

import type { ClusterConfiguration, NodeConfiguration } from '../../../domain/facts/cluster';
import { lockFile, look } from './act';
import { type Answer, explainAnswer } from './answer';
import { failure } from '../failures';
import type { Tools } from '../tools';

export interface NodeLockInput {
  readonly configuration: ClusterConfiguration;
  readonly node: NodeConfiguration;
  /** How long another act is waited for; less than timeoutMs. */
  readonly waitMs: number;
  /** How long the act may go on, the wait included. */
  readonly timeoutMs: number;
  /** false: when the host does not answer over ssh, the act goes on without the lock; while another act holds it, it fails all the same. */
  readonly isRequired: boolean;
}

export interface NodeLock {
  /** If this is long, what was measured before may be old. */
  readonly waitedMs: number;
  /** To be called right before every statement that changes something. @throws Unreachable when the time is over or the lock is lost */
  readonly confirm: () => void;
}

/** Where the lock is not required, a host that has not answered by then is taken for unreachable. */
const reachMs = 700;
/** For the connection, and for the holder to end by itself. */
const marginMs = 5000;

/**
 * Bounds withNodeLock(). The answer about the lock may come as late as the holder's end, and then the body ends at its first `confirm`.
 * @param readsMs the waits of the body before its first `confirm`
 * @param lastMs the waits after a `confirm`, up to the next one or the end of the body
 */
export function nodeLockBoundMs(
  { waitMs, timeoutMs }: Pick<NodeLockInput, 'waitMs' | 'timeoutMs'>,
  { readsMs, lastMs }: { readonly readsMs: number; readonly lastMs: number },
): number {
  return Math.max(holderMs({ waitMs, timeoutMs }) + readsMs, timeoutMs + lastMs);
}

function holderMs({ waitMs, timeoutMs }: Pick<NodeLockInput, 'waitMs' | 'timeoutMs'>): number {
  return waitMs + timeoutMs + marginMs;
}

/**
 * Runs `body` while the node's lock is held, then lets it go without waiting for that.
 * @throws Unreachable when another act holds the node, or the lock is required and cannot be had; Configuration when it cannot be made
 */
export async function withNodeLock<T>(
  tools: Tools,
  input: NodeLockInput,
  body: (lock: NodeLock) => Promise<T>,
): Promise<T> {
  const release = new AbortController();
  try {
    return await body(await take(tools, input, release.signal));
  } finally {
    release.abort();
  }
}

type Ending = { readonly answer: Answer } | { readonly error: unknown };

async function take(tools: Tools, input: NodeLockInput, signal: AbortSignal): Promise<NodeLock> {
  const { configuration, node, isRequired, timeoutMs } = input;
  const startedAt = Date.now();
  const holder = startHolder(tools, input, signal);
  const first = await Promise.race([holder.held, holder.ended, ...(isRequired ? [] : [holder.silence])]);
  if (first !== 'held') refuse(input, first);
  let isOver = false;
  void holder.ended.then(() => (isOver = true));
  return {
    waitedMs: Date.now() - startedAt,
    confirm: () => {
      const name = `node ${node.id} (${node.host})`;
      // The holder counts the same time from when it had the lock, which was later.
      if (Date.now() >= startedAt + timeoutMs)
        throw failure('unreachable', `${name}: the act took longer than ${timeoutMs} ms and went no further`);
      if (isRequired && isOver)
        throw failure('unreachable', `${name}: ${lockFile(configuration, node)} was lost, so the act went no further`);
    },
  };
}

interface Holder {
  readonly held: Promise<'held'>;
  /** Nothing was heard of the host. */
  readonly silence: Promise<null>;
  readonly ended: Promise<Ending>;
}

function startHolder(tools: Tools, input: NodeLockInput, signal: AbortSignal): Holder {
  const { configuration, node, waitMs, timeoutMs } = input;
  let output = '';
  let tell = (): void => undefined;
  const held = new Promise<'held'>((resolve) => {
    tell = () => {
      resolve('held');
    };
  });
  const running = look(tools, {
    configuration,
    node,
    script: 'holdLock',
    args: [lockFile(configuration, node), String(waitMs), tools.attempt.actor, String(timeoutMs)],
    timeoutMs: holderMs(input),
    signal,
    onOutput: (text) => {
      output += text;
      if (output.startsWith('here\nheld\n')) tell();
    },
  });
  const ended = running.then(
    (answer) => ({ answer }),
    (error: unknown) => ({ error }),
  );
  const silence = new Promise<null>((resolve) => {
    setTimeout(() => {
      if (output === '') resolve(null);
    }, reachMs).unref();
  });
  return { held, silence, ended };
}

/** Returns only if the act may go on without the lock. */
function refuse({ configuration, node, isRequired }: NodeLockInput, ending: Ending | null): void {
  const answer = ending && 'answer' in ending ? ending.answer : null;
  const isHeld = answer?.values.get('holder') !== undefined;
  if (!isRequired && !isHeld) return;
  if (ending && 'error' in ending) throw ending.error;
  const what = `take ${lockFile(configuration, node)}`;
  if (answer && answer.kind !== 'done') throw explainAnswer({ node, what }, answer);
  throw failure('unreachable', `node ${node.id} (${node.host}): cannot ${what}`);
}
