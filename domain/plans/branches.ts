// The cluster's branch of the WAL is the one that the lost primary wrote. A standby on another branch is no successor
// of it.

import { type ClusterConfiguration, findNode } from '../facts/cluster';
import {
  type Branch,
  comparePosition,
  findFork,
  type OpenedTimeline,
  type TimelineEnd,
  type WalPosition,
} from '../facts/wal';
import { answeringStandbys, factsOf, type Facts, type NodeFacts, receivesFrom } from '../facts/facts';

export type Positioned = NodeFacts & { readonly position: WalPosition };

/** The standbys sorted by branch: a branch may continue the lost primary's, or part from it. */
export interface BranchView {
  /** The lost primary's timeline; null = nothing shows it. */
  readonly current: number | null;
  /** Standbys whose WAL belongs to the current branch, or may. */
  readonly own: readonly Positioned[];
  /** Standbys on a branch that parted from the current one, with the reason in words. */
  readonly strays: readonly { readonly node: number; readonly line: string }[];
}

/**
 * Sorts standbys of one system by branch.
 * A branch is a stray if it parted before WAL that the lost primary's control file, or a standby on the primary's own
 * timeline, holds. A standby that has gone past the beginning of the current timeline is a stray too: it is a former
 * primary of an earlier failover. While the current timeline is unknown, two standbys that have both gone past their
 * fork are strays to each other.
 */
export function sortBranches(
  configuration: ClusterConfiguration,
  facts: Facts,
  formerPrimary: number | null,
  standbys: readonly Positioned[],
  opened: readonly OpenedTimeline[],
): BranchView {
  const current = findCurrentTimeline(configuration, facts, formerPrimary, opened);
  const holders = [...standbys.map(holderOf), ...formerHolder(facts, formerPrimary, standbys)];
  const lines = standbys.map((entry) => ({ node: entry.node, line: explainStray(entry, current, holders) }));
  const strays = lines.flatMap(({ node, line }) => (line === null ? [] : [{ node, line }]));
  return { current, strays, own: standbys.filter((entry) => !strays.some(({ node }) => node === entry.node)) };
}

/**
 * The newest timeline named by the node's files, by receivers that streamed from it, and by our promotions of it.
 * Segments in pg_wal count because a control file names the old timeline until the first checkpoint after a promotion
 * has ended.
 */
function findCurrentTimeline(
  configuration: ClusterConfiguration,
  facts: Facts,
  formerPrimary: number | null,
  opened: readonly OpenedTimeline[],
): number | null {
  const node = findNode(configuration, formerPrimary);
  if (!node) return null;
  const own = factsOf(facts, node.id);
  const received = answeringStandbys(facts)
    .filter((entry) => receivesFrom(entry, node))
    .map((entry) => entry.walReceiver?.timeline);
  const seen = [
    own?.host?.controlFile?.checkpoint.timeline,
    own?.host?.walTimeline,
    own?.position?.timeline,
    ...received,
    ...opened.filter((promotion) => promotion.node === node.id).map(({ timeline }) => timeline),
  ];
  const timelines = seen.filter((timeline) => typeof timeline === 'number');
  return timelines.length > 0 ? Math.max(...timelines) : null;
}

interface Holder extends Branch {
  readonly node: number;
  readonly name: string;
  /** The lost primary itself, by its control file. */
  readonly isFormer: boolean;
  /** A fence of ours left this node behind: that failover has already decided about its WAL past the fork. */
  readonly isFenced: boolean;
}

function holderOf(entry: Positioned): Holder {
  const isFenced = entry.fenceMark === 'before-promotion' || entry.fenceMark === 'after-return';
  return {
    node: entry.node,
    name: `node ${entry.node}`,
    position: entry.position,
    history: entry.history,
    isFormer: false,
    isFenced,
  };
}

/** The former primary by its control file; a standby provides the history of its timeline. */
function formerHolder(facts: Facts, formerPrimary: number | null, standbys: readonly Positioned[]): Holder[] {
  const checkpoint = formerPrimary === null ? undefined : factsOf(facts, formerPrimary)?.host?.controlFile?.checkpoint;
  const history = checkpoint && findHistory(checkpoint.timeline, standbys);
  if (formerPrimary === null || !checkpoint || !history) return [];
  return [
    {
      node: formerPrimary,
      name: `node ${formerPrimary}`,
      position: checkpoint,
      history,
      isFormer: true,
      isFenced: false,
    },
  ];
}

/** Null when no standby knows the timeline. */
function findHistory(timeline: number, standbys: readonly Positioned[]): readonly TimelineEnd[] | null {
  if (timeline === 1) return [];
  const same = standbys.find((entry) => entry.position.timeline === timeline);
  if (same) return same.history;
  const heir = standbys.find((entry) => entry.history.some((end) => end.timeline === timeline));
  return heir?.history.filter((end) => end.timeline < timeline) ?? null;
}

function explainStray(entry: Positioned, current: number | null, holders: readonly Holder[]): string | null {
  const own = entry.position.timeline;
  const isContinuing = current !== null && entry.history.some((end) => end.timeline === current);
  for (const holder of holders) {
    if (holder.node === entry.node) continue;
    const fork = findFork(ancestryOf(holder), ancestryOf(entry));
    if (fork === null || comparePosition(holder.position, fork) <= 0) continue;
    const isCurrent = holder.isFormer || holder.position.timeline === current;
    const hasPassed = comparePosition(entry.position, fork) > 0;
    // Only another branch of the same number makes a standby on the current timeline a stray, and only the current
    // branch does so to its successor.
    if (own === current || isContinuing ? !isCurrent : !hasPassed) continue;
    if (current === null && holder.isFenced) continue;
    return `node ${entry.node} is on timeline ${own}, which parted at ${fork.lsn}; ${holder.name} holds WAL up to ${holder.position.lsn} on timeline ${holder.position.timeline}`;
  }
  return null;
}

function ancestryOf({ position, history }: Branch): { timeline: number; history: readonly TimelineEnd[] } {
  return { timeline: position.timeline, history };
}
