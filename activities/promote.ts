// Ends recovery on the candidate: look again, act, prove. Success = out of recovery and on a newer timeline.

import { heartbeat } from '@temporalio/activity';
import { type ClusterConfiguration, getNode } from '../domain/cluster';
import { comparePosition, type WalPosition } from '../domain/wal';
import type { NodeFacts } from '../domain/witness';
import { failure, messageOf } from './io/failures';
import { readNodeFacts } from './io/node-facts';
import { type NodeLock, withNodeLock } from './io/node-lock';
import { alterSystem } from './io/settings';
import { sqlTarget, type Tools } from './io/tools';

export interface PromoteInput {
  readonly configuration: ClusterConfiguration;
  readonly candidate: number;
  /** What the plan was made on; anything newer elsewhere means that the world has changed. */
  readonly position: WalPosition;
  readonly systemIdentifier: string;
  /** Written before the promotion, so that the first commit does not wait for a standby that is gone. */
  readonly synchronousStandbyNames: string;
  /** Fenced with proof, or known to be unreachable: not asked again. */
  readonly formerPrimary: number | null;
}

export interface PromoteResult {
  readonly changed: boolean;
  readonly timeline: number;
  /** Where the new timeline begins. */
  readonly line: string;
}

const readMs = 700;
const actMs = 2000;
/** What holds the lock longer is no follow that has just been cancelled: the plan is made anew. */
const lockMs = 3000;
const promotionMs = 20_000;
/** A candidate that says nothing for so long while it promotes is given up for the next one. */
const silenceMs = 3000;

/**
 * Under the candidate's lock if its host answers over ssh.
 * @throws WorldChanged when another node accepts writes or holds more WAL; Unproven when the promotion is not seen in time;
 * Unreachable when the candidate does not answer or another act holds it
 */
export async function promote(tools: Tools, input: PromoteInput): Promise<PromoteResult> {
  const { configuration } = input;
  const node = getNode(configuration, input.candidate);
  const deadline = Date.now() + promotionMs;
  const look = (): Promise<World> => readWorld(tools, input, deadline);
  const looking = look();
  return await withNodeLock(
    tools,
    { configuration, node, waitMs: lockMs, timeoutMs: promotionMs, isRequired: false },
    async (lock) => promoteLocked(tools, input, lock, await (lock.waitedMs < readMs ? looking : look())),
  );
}

interface World {
  readonly nodes: readonly NodeFacts[];
  readonly deadline: number;
  /** The deadline by the candidate's clock, in seconds since 1970; null when it did not say. */
  readonly candidateDeadline: number | null;
}

async function readWorld(tools: Tools, input: PromoteInput, deadline: number): Promise<World> {
  const { configuration, formerPrimary } = input;
  const asked = configuration.nodes.filter((node) => node.id !== formerPrimary);
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
): Promise<PromoteResult> {
  const { candidate } = input;
  const own = nodes.find((entry) => entry.node === candidate);
  if (own?.sql !== 'answered' || !own.position || candidateDeadline === null) {
    throw failure('unreachable', `candidate node ${String(candidate)} does not answer: ${own?.sqlSeen ?? 'not asked'}`);
  }
  refuseChangedWorld(input, own, nodes);
  if (own.isInRecovery === false) {
    return {
      changed: false,
      timeline: own.position.timeline,
      line: `node ${String(candidate)} was promoted already, timeline ${String(own.position.timeline)}`,
    };
  }
  await prepare(tools, input, lock, own);
  lock.confirm();
  // The node's own clock decides, in the statement that acts: an attempt that slept must not promote.
  const rows = await run<{ promoted: boolean }>(
    tools,
    input,
    `select case when clock_timestamp() < to_timestamp($1) then pg_promote(false) end as promoted`,
    [candidateDeadline],
  );
  if (rows[0]?.promoted !== true)
    throw failure('unproven', `pg_promote on node ${String(candidate)} did not start the promotion`);
  return await confirmPromotion(tools, input, own.position.timeline, deadline);
}

function refuseChangedWorld(input: PromoteInput, own: NodeFacts, nodes: readonly NodeFacts[]): void {
  const name = `node ${String(input.candidate)}`;
  if (own.systemIdentifier !== input.systemIdentifier)
    throw failure('worldChanged', `${name} now has another system identifier`);
  for (const other of nodes) {
    if (other.node === input.candidate || other.sql !== 'answered') continue;
    if (other.isInRecovery === false)
      throw failure('worldChanged', `node ${String(other.node)} accepts writes: ${name} is not promoted`);
    if (
      own.isInRecovery &&
      other.position &&
      own.position &&
      other.systemIdentifier === own.systemIdentifier &&
      comparePosition(other.position, own.position) > 0
    ) {
      throw failure(
        'worldChanged',
        `node ${String(other.node)} holds more WAL (${other.position.lsn}) than ${name} (${own.position.lsn})`,
      );
    }
  }
  // Out of recovery on the planned timeline means that somebody made a primary of it without a promotion of ours.
  if (own.isInRecovery === false && own.position && own.position.timeline <= input.position.timeline) {
    throw failure('worldChanged', `${name} is out of recovery but not on a newer timeline`);
  }
}

/** What must hold before the first commit: replay runs, and nothing waits for an absent standby. */
async function prepare(tools: Tools, input: PromoteInput, { confirm }: NodeLock, own: NodeFacts): Promise<void> {
  const { configuration, candidate, synchronousStandbyNames: value } = input;
  confirm();
  if (own.isReplayPaused) await run(tools, input, 'select pg_wal_replay_resume()');
  if (own.synchronousStandbyNames === value) return;
  const target = sqlTarget(configuration, getNode(configuration, candidate));
  await alterSystem(tools, target, { name: 'synchronous_standby_names', value }, { timeoutMs: actMs, confirm });
}

async function confirmPromotion(
  tools: Tools,
  input: PromoteInput,
  oldTimeline: number,
  deadline: number,
): Promise<PromoteResult> {
  const { candidate } = input;
  let seen = 'still in recovery';
  let lastAnswer = Date.now();
  let giveUpAt = deadline;
  let replayed: string | null = null;
  while (Date.now() < giveUpAt && Date.now() - lastAnswer < silenceMs) {
    heartbeat(seen);
    try {
      const [row] = await run<{ timeline: number | null; replayed: string | null }>(
        tools,
        input,
        `select case when not pg_is_in_recovery() then ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int end as timeline,
           pg_last_wal_replay_lsn()::text as replayed`,
      );
      lastAnswer = Date.now();
      // What it received is replayed first, which may take minutes: no reason to throw it away while it advances.
      if (row?.replayed !== replayed) giveUpAt = Math.max(deadline, lastAnswer + promotionMs);
      replayed = row?.replayed ?? null;
      const timeline = row?.timeline ?? null;
      if (timeline !== null && timeline > oldTimeline) {
        return {
          changed: true,
          timeline,
          line: `node ${String(candidate)} accepts writes on timeline ${String(timeline)}`,
        };
      }
    } catch (error) {
      seen = messageOf(error);
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  throw failure(
    'unproven',
    `node ${String(candidate)} was told to promote but is not proven to accept writes on a newer timeline: ${seen}`,
  );
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
