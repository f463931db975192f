// Waits until a standby that was told to promote accepts writes on a newer timeline: as long as anything shows that it will.

import { type ClusterConfiguration, getNode } from '../../../domain/facts/cluster';
import { failure, messageOf } from '../failures';
import { type HoldUp, readHoldUp } from './promotion-progress';
import { sqlTarget, type Tools } from '../tools';

export interface PromotionWait {
  readonly oldTimeline: number;
  /** Without any sign of progress it is given up then, by this clock. */
  readonly deadline: number;
  readonly onHoldUp: (holdUp: HoldUp) => void;
}

export interface Promoted {
  readonly timeline: number;
  readonly line: string;
}

const actMs = 2000;
const patienceMs = 20_000;
/** A candidate that says nothing for so long while it promotes is looked at by others, too. */
const silenceMs = 3000;
/** A promotion that nothing holds up is over by then. */
const explainAfterMs = 500;
/** A query that is in the way may end by itself. */
const cancelAfterMs = 2000;
const terminateAfterMs = 4000;
const pauseMs = 1;
/** Bounds confirmPromotion() once nothing advances: sums the patience and a last round of three queries. */
export const standstillMs = patienceMs + pauseMs + 3 * actMs;

interface Progress {
  replayed: string | null;
  lastAnswer: number;
  giveUpAt: number;
  explainAt: number;
  seen: string;
  blockedSince: number | null;
  readonly ended: Set<number>;
}

/** @throws Unproven; PostgreSQL goes on with the promotion all the same */
export async function confirmPromotion(
  tools: Tools,
  input: {
    readonly configuration: ClusterConfiguration;
    readonly candidate: number;
    readonly isOnlyCandidate: boolean;
  },
  wait: PromotionWait,
): Promise<Promoted> {
  const { configuration, candidate } = input;
  const target = sqlTarget(configuration, getNode(configuration, candidate));
  const now = Date.now();
  const progress: Progress = {
    replayed: null,
    lastAnswer: now,
    giveUpAt: wait.deadline,
    explainAt: now + explainAfterMs,
    seen: 'still in recovery',
    blockedSince: null,
    ended: new Set(),
  };
  while (Date.now() < progress.giveUpAt && Date.now() - progress.lastAnswer < silenceMs) {
    tools.attempt.tell(progress.seen);
    try {
      const [row] = await tools.sql.query<{ timeline: number | null; replayed: string | null }>(
        target,
        `select case when not pg_is_in_recovery() then ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int end as timeline,
           pg_last_wal_replay_lsn()::text as replayed`,
        { timeoutMs: actMs },
      );
      progress.lastAnswer = Date.now();
      const timeline = row?.timeline ?? null;
      if (timeline !== null && timeline > wait.oldTimeline) {
        return { timeline, line: `node ${candidate} accepts writes on timeline ${timeline}${describeEnded(progress)}` };
      }
      const hasAdvanced = (row?.replayed ?? null) !== progress.replayed;
      progress.replayed = row?.replayed ?? null;
      // The WAL that was received is replayed first, which may take minutes.
      if (hasAdvanced) progress.giveUpAt = Math.max(wait.deadline, Date.now() + patienceMs);
      if (Date.now() >= progress.explainAt) await explain(tools, input, progress, hasAdvanced, wait.onHoldUp);
    } catch (error) {
      progress.seen = messageOf(error);
    }
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
  throw failure(
    'unproven',
    `node ${candidate} was told to promote but is not proven to accept writes on a newer timeline: ${progress.seen}`,
  );
}

/** Says what it waits for; with a cause that ends it is waited for on and on. */
async function explain(
  tools: Tools,
  { configuration, candidate, isOnlyCandidate }: Parameters<typeof confirmPromotion>[1],
  progress: Progress,
  isReplaying: boolean,
  onHoldUp: PromotionWait['onHoldUp'],
): Promise<void> {
  const target = sqlTarget(configuration, getNode(configuration, candidate));
  progress.explainAt = Date.now() + explainAfterMs;
  const found = await readHoldUp(tools, target, actMs);
  if (!found) return;
  const holdUp: HoldUp =
    isReplaying && found.kind === null
      ? { ...found, kind: 'replaying', seen: 'it replays what it has received' }
      : found;
  onHoldUp(holdUp);
  progress.seen = `still in recovery: ${holdUp.seen}`;
  // Queries in the way are ended only where nobody else could be promoted; else another one may take its place.
  const isEndless = holdUp.kind === 'conflict' && !isOnlyCandidate;
  if (holdUp.kind !== null && holdUp.kind !== 'paused' && !isEndless)
    progress.giveUpAt = Math.max(progress.giveUpAt, Date.now() + patienceMs);
  if (holdUp.kind !== 'conflict') progress.blockedSince = null;
  else {
    progress.blockedSince ??= Date.now();
    if (isOnlyCandidate)
      await endBlockers(tools, target, holdUp.blockers, progress, Date.now() - progress.blockedSince);
  }
}

/** While it is no primary nobody can write, and reading on it is all that is lost. A session that is idle in a transaction has nothing to cancel. */
async function endBlockers(
  tools: Tools,
  target: Parameters<typeof readHoldUp>[1],
  pids: readonly number[],
  { ended }: Progress,
  blockedMs: number,
): Promise<void> {
  if (blockedMs < cancelAfterMs || pids.length === 0) return;
  const act = blockedMs < terminateAfterMs ? 'pg_cancel_backend' : 'pg_terminate_backend';
  for (const pid of pids) ended.add(pid);
  await tools.sql.query(target, `select ${act}(pid) from unnest($1::int[]) as pid`, {
    values: [pids],
    timeoutMs: actMs,
  });
}

function describeEnded({ ended }: Progress): string {
  return ended.size === 0 ? '' : `; queries that its replay waited for were ended: pid ${[...ended].join(', ')}`;
}
