// Ends recovery on the candidate: look again, act, prove. Success = out of recovery and on a newer timeline.

import { type ClusterConfiguration, getNode } from '../../domain/facts/cluster';
import { comparePosition, type TimelineEnd, type WalPosition } from '../../domain/facts/wal';
import type { NodeFacts } from '../../domain/facts/facts';
import { confirmPromotion, standstillMs } from '../io/sql/confirm-promotion';
import { Cancelled } from '../io/attempt';
import { failure, withDetails } from '../io/failures';
import { nodeFactsBoundMs, readNodeFacts } from '../io/sql/node-facts';
import { type NodeLock, nodeLockBoundMs, withNodeLock } from '../io/host/node-lock';
import { quoteLiteral } from '../io/sql/postgres';
import type { HoldUpKind } from '../io/sql/promotion-progress';
import { alterSystem } from '../io/sql/settings';
import { sqlTarget, type Tools } from '../io/tools';

export interface PromoteInput {
  readonly configuration: ClusterConfiguration;
  readonly candidate: number;
  /** The position that the plan was made on; anything newer elsewhere means that the world has changed. */
  readonly position: WalPosition;
  readonly systemIdentifier: string;
  /** Written before the promotion, so that the first commit does not wait for a standby that is gone. */
  readonly synchronousStandbyNames: string;
  /** Fenced with proof, or silent: not asked again. */
  readonly notAsked: number | null;
  /** Nodes that hold more WAL than the candidate: the plan knew that. */
  readonly passedOver: readonly number[];
  /** Timelines of branches that the candidate does not know: their numbers are not given a second time. */
  readonly reserved: readonly { readonly timeline: number; readonly history: readonly TimelineEnd[] }[];
  /** Whether a paused replay may be resumed: not where PostgreSQL paused it, because that would end the server. */
  readonly mayResume: boolean;
  /** Nobody else could be promoted: queries on it that block its replay may be ended. */
  readonly isOnlyCandidate: boolean;
}

/** In the failure's details. */
export interface PromoteFailure {
  /** pg_promote was sent, or may have been, by an attempt that died. */
  readonly isTold: boolean;
  /** Why a candidate that was told is not out of recovery; null = nothing shows it. */
  readonly holdUp: HoldUpKind | null;
}

export interface PromoteResult {
  readonly changed: boolean;
  readonly timeline: number;
  /** Where the new timeline begins. */
  readonly line: string;
}

const readMs = 700;
const actMs = 2000;
const promotionMs = 20_000;
/** An act that holds the lock longer is no follow that has just been cancelled: the plan is made anew. */
const lockTimes = { waitMs: 3000, timeoutMs: promotionMs };
/**
 * Bounds the time while nothing advances: sums the lock, the look, and after the last `confirm` the first answer and the standstill. Each
 * branch whose timeline is reserved adds two statements.
 */
export const boundMs = nodeLockBoundMs(lockTimes, {
  readsMs: nodeFactsBoundMs(readMs),
  lastMs: actMs + standstillMs,
});

/**
 * Under the candidate's lock if its host answers over ssh. Every failure has a PromoteFailure in its details; one that came before pg_promote was sent is not
 * retried: the plan is made anew.
 * @throws WorldChanged when another node accepts writes or holds more WAL; Unproven when the promotion is not seen in time;
 * Unreachable when the candidate does not answer or another act holds it
 */
export async function promote(tools: Tools, input: PromoteInput): Promise<PromoteResult> {
  const { configuration } = input;
  const node = getNode(configuration, input.candidate);
  const deadline = Date.now() + promotionMs;
  const look = (): Promise<World> => readWorld(tools, input, deadline);
  const looking = look();
  // An attempt before this one may have died after it had sent it.
  const order: Order = { isTold: tools.attempt.isRepeated, holdUp: null };
  try {
    return await withNodeLock(tools, { configuration, node, ...lockTimes, isRequired: false }, async (lock) =>
      promoteLocked(tools, input, lock, await (lock.waitedMs < readMs ? looking : look()), order),
    );
  } catch (error) {
    if (error instanceof Cancelled) throw error;
    throw withDetails(error, { isTold: order.isTold, holdUp: order.holdUp } satisfies PromoteFailure, !order.isTold);
  }
}

/** The fate of the order to promote. */
interface Order {
  isTold: boolean;
  holdUp: HoldUpKind | null;
}

interface World {
  readonly nodes: readonly NodeFacts[];
  readonly deadline: number;
  /** The deadline by the candidate's clock, in seconds since 1970; null when it did not say. */
  readonly candidateDeadline: number | null;
}

async function readWorld(tools: Tools, input: PromoteInput, deadline: number): Promise<World> {
  const { configuration, notAsked } = input;
  const asked = configuration.nodes.filter((node) => node.id !== notAsked);
  const [nodes, candidateDeadline] = await Promise.all([
    Promise.all(asked.map((node) => readNodeFacts(tools.sql, configuration, node, readMs))),
    readDeadline(tools, input, deadline).catch(() => null),
  ]);
  return { nodes, deadline, candidateDeadline };
}

async function promoteLocked(
  tools: Tools,
  input: PromoteInput,
  lock: NodeLock,
  { nodes, deadline, candidateDeadline }: World,
  order: Order,
): Promise<PromoteResult> {
  const { candidate } = input;
  const own = nodes.find((entry) => entry.node === candidate);
  if (own?.sql !== 'answered' || !own.position || candidateDeadline === null) {
    throw failure('unreachable', `candidate node ${candidate} does not answer: ${own?.sqlSeen ?? 'not asked'}`);
  }
  refuseChangedWorld(input, own, nodes);
  if (own.isInRecovery === false) {
    return {
      changed: false,
      timeline: own.position.timeline,
      line: `node ${candidate} was promoted already, timeline ${own.position.timeline}`,
    };
  }
  await prepare(tools, input, lock, own);
  lock.confirm();
  await sendPromote(tools, input, candidateDeadline, order);
  const confirmed = await confirmPromotion(tools, input, {
    oldTimeline: own.position.timeline,
    deadline,
    onHoldUp: (holdUp) => {
      order.holdUp = holdUp.kind;
    },
  });
  return { changed: true, ...confirmed };
}

async function sendPromote(tools: Tools, input: PromoteInput, candidateDeadline: number, order: Order): Promise<void> {
  const wasTold = order.isTold;
  // Also if no answer comes: it may have been sent.
  order.isTold = true;
  // The node's own clock decides, in the statement that acts: an attempt that slept must not promote.
  const [row] = await run<{ promoted: boolean | null }>(
    tools,
    input,
    `select case when clock_timestamp() < to_timestamp($1) then pg_promote(false) end as promoted`,
    [candidateDeadline],
  );
  if (row?.promoted === true) return;
  if (row?.promoted === null) order.isTold = wasTold;
  throw failure('unproven', `pg_promote on node ${input.candidate} did not start the promotion`);
}

function refuseChangedWorld(input: PromoteInput, own: NodeFacts, nodes: readonly NodeFacts[]): void {
  const name = `node ${input.candidate}`;
  if (own.systemIdentifier !== input.systemIdentifier)
    throw failure('worldChanged', `${name} now has another system identifier`);
  for (const other of nodes) {
    if (other.node === input.candidate || other.sql !== 'answered') continue;
    if (other.isInRecovery === false)
      throw failure('worldChanged', `node ${other.node} accepts writes: ${name} is not promoted`);
    if (
      own.isInRecovery &&
      !input.passedOver.includes(other.node) &&
      other.position &&
      own.position &&
      other.systemIdentifier === own.systemIdentifier &&
      comparePosition(other.position, own.position) > 0
    ) {
      throw failure(
        'worldChanged',
        `node ${other.node} holds more WAL (${other.position.lsn}) than ${name} (${own.position.lsn})`,
      );
    }
  }
  // Out of recovery on the planned timeline means that somebody made a primary of it without a promotion of ours.
  if (own.isInRecovery === false && own.position && own.position.timeline <= input.position.timeline) {
    throw failure('worldChanged', `${name} is out of recovery but not on a newer timeline`);
  }
}

/** Makes true what must hold before the first commit: replay runs, and nothing waits for an absent standby. */
async function prepare(tools: Tools, input: PromoteInput, { confirm }: NodeLock, own: NodeFacts): Promise<void> {
  const { configuration, candidate, synchronousStandbyNames: value } = input;
  confirm();
  if (own.isReplayPaused && !input.mayResume) {
    throw failure(
      'unreachable',
      `replay of node ${candidate} is paused and its host cannot say why: unless a setting of it is too small, resume it (select pg_wal_replay_resume())`,
    );
  }
  if (own.isReplayPaused) await run(tools, input, 'select pg_wal_replay_resume()');
  for (const reserved of input.reserved) await reserveTimeline(tools, input, reserved);
  if (own.synchronousStandbyNames === value) return;
  const target = sqlTarget(configuration, getNode(configuration, candidate));
  await alterSystem(tools, target, { name: 'synchronous_standby_names', value }, { timeoutMs: actMs, confirm });
}

/**
 * PostgreSQL gives a promotion the first number after its own for which it finds no history file (timeline.c, findNewestTimeLine). With the other branch's file in its
 * pg_wal the number is not used twice; a file of a branch that is not its own future changes nothing else (rescanLatestTimeLine).
 */
async function reserveTimeline(
  tools: Tools,
  input: PromoteInput,
  { timeline, history }: PromoteInput['reserved'][number],
): Promise<void> {
  const path = `pg_wal/${timeline.toString(16).toUpperCase().padStart(8, '0')}.history`;
  const [row] = await run<{ is_there: boolean; directory: string }>(
    tools,
    input,
    `select pg_stat_file($1, true) is not null as is_there, current_setting('data_directory') as directory`,
    [path],
  );
  if (!row || row.is_there || history.length === 0) return;
  const lines = history.map((end) => `(${end.timeline}, ${quoteLiteral(end.endLsn)}, 'another branch')`);
  await run(tools, input, `copy (values ${lines.join(', ')}) to ${quoteLiteral(`${row.directory}/${path}`)}`);
}

async function readDeadline(tools: Tools, input: PromoteInput, deadline: number): Promise<number> {
  const [row] = await tools.sql.query<{ now: number }>(
    sqlTarget(input.configuration, getNode(input.configuration, input.candidate)),
    `select extract(epoch from clock_timestamp())::float8 as now`,
    { timeoutMs: readMs },
  );
  return row!.now + (deadline - Date.now()) / 1000;
}

async function run<Row extends Record<string, unknown>>(
  tools: Tools,
  input: PromoteInput,
  text: string,
  values?: unknown[],
): Promise<Row[]> {
  const target = sqlTarget(input.configuration, getNode(input.configuration, input.candidate));
  return await tools.sql.query<Row>(target, text, { timeoutMs: actMs, ...(values && { values }) });
}
