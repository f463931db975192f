// Long commands on a node that outlive the worker, the ssh connection and each attempt: the same name is the same job.
// A job is started under the node's lock and followed without it. A connection that drops is "unknown", never "failed".

import type { ClusterConfiguration, NodeConfiguration } from '../../../domain/facts/cluster';
import { type ActOrder, actBoundMs, jobsDirectory, look, mustAct, mustLook } from './act';
import { type Answer, parseJobAnswer, requireDone, Values } from './answer';
import { Cancelled, throwIfCancelled } from '../attempt';
import { failure, messageOf } from '../failures';
import { type ScriptName, scripts } from './scripts';
import type { Tools } from '../tools';

export interface JobInput {
  readonly configuration: ClusterConfiguration;
  readonly node: NodeConfiguration;
  /** [a-z0-9.-]+ ; the same name is the same job. */
  readonly name: string;
  /** The arguments of a job show in the node's process list, so they hold no secret. */
  readonly script: ScriptName;
  readonly args: readonly string[];
  /** As ActOrder's, for the start of the job. */
  readonly lookedAt?: number | undefined;
}

/** `lost`: nothing of it is left and no result was written (a reboot, a SIGKILL): look before acting. `log`: its last 256 KiB. */
export type JobEnd =
  | { readonly state: 'done'; readonly exitCode: number; readonly log: string }
  | { readonly state: 'lost'; readonly log: string };

/** How long the node waits for the end of a job before it says that it still runs, and we ask again. */
const pollMs = 1000;
/** Between two questions, should a node answer without waiting. */
const leastPollMs = 50;
const pollTimeoutMs = 10_000;
/** No answer for this long ends the attempt; the next one re-attaches. */
const silenceMs = 60_000;
const startMs = 15_000;
const endMs = 30_000;
const keptBytes = 256 * 1024;

/** Bounds listJobs(). */
export const listJobsBoundMs = pollTimeoutMs;
/** Bounds endJob() and removeJobs(). */
export const endJobBoundMs = actBoundMs(endMs);
/** Bounds a job beside its own work: its node is silent, is asked one last time, and the job is ended. */
export const jobBoundMs = silenceMs + pollMs + pollTimeoutMs + endJobBoundMs;

/**
 * Starts the job unless it was started already (then re-attaches), and follows its log until its end. A cancelled activity
 * ends the job; a worker that shuts down or an attempt that timed out leaves it to the next attempt.
 * @param describe makes what people and the next attempt are told of the log so far
 * @throws Unreachable after 60 s without an answer; WorldChanged when somebody else ended the job; Cancelled
 */
export async function runJob(tools: Tools, input: JobInput, describe: (log: string) => unknown): Promise<JobEnd> {
  try {
    return await followJob(tools, input, describe);
  } catch (error) {
    if (!tools.attempt.isCancelRequested()) throw error;
    await endJob(tools, input.configuration, input.node, input.name, true);
    throw new Cancelled();
  }
}

/** The answer of a job's script, from its log; failed where nothing of it is left. */
export function answerOf(end: JobEnd): Answer {
  if (end.state === 'done') return parseJobAnswer(end.exitCode, end.log);
  return { kind: 'failed', sentence: 'its job was lost half-way', values: new Values('') };
}

/**
 * Runs a job to its good end. Its directory goes with its end, because another attempt has to be a new one.
 * @throws as requireDone() with `what`, "save its diverged WAL", when it did not end well; as runJob
 */
export async function finishJob(tools: Tools, job: JobInput, what: string): Promise<void> {
  const { configuration, node, name } = job;
  const end = await runJob(tools, job, (log) => new Values(log).get('progress') ?? `${name} has begun`);
  await endJob(tools, configuration, node, name);
  requireDone({ node, what }, answerOf(end));
}

/**
 * Ends a job if it runs (group TERM, after 5 s KILL), waits until nothing of it is left, and removes its directory.
 * @param isCleanup also in an activity that was cancelled
 * @throws Unproven when something of it is left or the outcome is unknown
 */
export async function endJob(
  tools: Tools,
  configuration: ClusterConfiguration,
  node: NodeConfiguration,
  name: string,
  isCleanup = false,
): Promise<void> {
  await act(tools, configuration, node, {
    what: `end job ${name}`,
    script: 'endJob',
    args: [name],
    timeoutMs: endMs,
    isCleanup,
    reliesOnNoLook: true,
  });
}

/** Removes the directories of all jobs of this node that do not run any more. */
export async function removeJobs(
  tools: Tools,
  configuration: ClusterConfiguration,
  node: NodeConfiguration,
): Promise<void> {
  await act(tools, configuration, node, {
    what: 'remove the ended jobs',
    script: 'removeJobs',
    args: [],
    timeoutMs: endMs,
    reliesOnNoLook: true,
  });
}

/** Names of the jobs of this node whose directory exists, running or not. @throws Unreachable */
export async function listJobs(
  tools: Tools,
  configuration: ClusterConfiguration,
  node: NodeConfiguration,
): Promise<string[]> {
  const order = { configuration, node, script: 'listJobs', timeoutMs: pollTimeoutMs } as const;
  const args = [jobsDirectory(configuration, node)];
  return (await mustLook(tools, { ...order, args, what: 'list its jobs' })).all('job');
}

/** The log so far: which byte comes next, and the last ones. Bytes, because a chunk may end within a character. */
class Log {
  private kept: Buffer = Buffer.alloc(0);
  length = 0;

  add(chunk: Buffer): void {
    this.length += chunk.length;
    this.kept = Buffer.concat([this.kept, chunk]).subarray(-keptBytes);
  }

  get text(): string {
    return this.kept.toString('utf8');
  }
}

async function followJob(tools: Tools, input: JobInput, describe: (log: string) => unknown): Promise<JobEnd> {
  const { attempt } = tools;
  const log = new Log();
  const name = `job ${input.name} on node ${input.node.id} (${input.node.host})`;
  attempt.tell(describe(''));
  let answeredAt = Date.now();
  let isKnown = false;
  let isBehind = false;
  for (;;) {
    const askedAt = Date.now();
    const poll = await pollJob(tools, input, log.length, isKnown && !isBehind ? pollMs : 0);
    if ('seen' in poll) {
      if (Date.now() - answeredAt > silenceMs)
        throw failure('unreachable', `${name}: no answer for ${silenceMs / 1000} s: ${poll.seen}`);
      await attempt.sleep(pollMs);
      continue;
    }
    answeredAt = Date.now();
    log.add(poll.chunk);
    if (poll.chunk.length > 0) attempt.tell(describe(log.text));
    isBehind = poll.chunk.length === keptBytes;
    if (isBehind) continue;
    if (poll.state === 'absent') {
      if (isKnown) throw failure('worldChanged', `${name} was ended and removed by somebody else`);
      await startJob(tools, input);
    } else if (poll.state === 'running') {
      if (Date.now() < askedAt + leastPollMs) await attempt.sleep(leastPollMs);
    } else {
      return poll.state === 'done'
        ? { state: 'done', exitCode: poll.exitCode, log: log.text }
        : { state: 'lost', log: log.text };
    }
    isKnown = true;
  }
}

async function startJob(tools: Tools, { configuration, node, name, script, args, lookedAt }: JobInput): Promise<void> {
  await act(tools, configuration, node, {
    what: `start job ${name}`,
    script: 'startJob',
    args: [name, scripts.superviseJob, scripts[script], ...args],
    timeoutMs: startMs,
    lookedAt,
  });
}

type Poll =
  | { readonly state: 'absent' | 'running' | 'lost'; readonly chunk: Buffer }
  | { readonly state: 'done'; readonly exitCode: number; readonly chunk: Buffer }
  | { readonly seen: string };

/** One look, from byte `offset` of the log, at the job's end or after `waitMs`. Throws only when the activity was cancelled. */
async function pollJob(
  tools: Tools,
  { configuration, node, name }: JobInput,
  offset: number,
  waitMs: number,
): Promise<Poll> {
  const { signal } = tools.attempt;
  try {
    const answer = await look(tools, {
      configuration,
      node,
      script: 'pollJob',
      args: [jobsDirectory(configuration, node), name, String(offset + 1), String(keptBytes), String(waitMs / 1000)],
      timeoutMs: pollTimeoutMs,
      signal,
    });
    if (answer.kind !== 'done') return { seen: answer.sentence };
    const { values } = answer;
    const state = values.get('state');
    const chunk = values.bytes('log') ?? Buffer.alloc(0);
    if (state === 'absent' || state === 'running' || state === 'lost') return { state, chunk };
    const result = values.get('exit');
    return state === 'done' && result ? { state, exitCode: Number(result), chunk } : { seen: `its state is ${state}` };
  } catch (error) {
    throwIfCancelled(tools.attempt);
    return { seen: messageOf(error) };
  }
}

interface JobAct extends Pick<ActOrder, 'script' | 'args' | 'timeoutMs' | 'lookedAt' | 'isCleanup' | 'reliesOnNoLook'> {
  readonly what: string;
}

/** @throws as mustAct() */
async function act(
  tools: Tools,
  configuration: ClusterConfiguration,
  node: NodeConfiguration,
  { what, args, ...more }: JobAct,
): Promise<void> {
  const directory = jobsDirectory(configuration, node);
  const order = { ...more, configuration, node, args: [directory, ...args], clockOffsetMs: 'measure' } as const;
  await mustAct(tools, { ...order, what: `${what} in ${directory}` });
}
