// Saves the WAL that only this node holds before its data is replaced, and says how much that is: nothing acknowledged is lost silently.
// It fails only while there is WAL that could not be saved; what is gone already cannot be.

import { type ClusterConfiguration, getNode, type NodeConfiguration } from '../../domain/facts/cluster';
import type { DivergedRange } from '../../domain/facts/data-directory';
import type { FenceMark } from '../../domain/facts/facts';
import { findFork, rangesAfter, type TimelineEnd } from '../../domain/facts/wal';
import { failure } from '../io/failures';
import { finishJob, jobBoundMs } from '../io/host/jobs';
import { findRecord, formatRanges, lookAtWal, type WalLook, walLookMs, type WalReport } from '../io/host/own-wal';
import type { Tools } from '../io/tools';

export interface SaveDivergedWalInput {
  readonly configuration: ClusterConfiguration;
  readonly node: number;
  readonly primary: number;
  readonly primaryTimeline: number;
  readonly primaryHistory: readonly TimelineEnd[];
  readonly rebuildId: string;
}

export interface SaveDivergedWalResult {
  readonly changed: boolean;
  readonly line: string;
  /** Null when it holds nothing past the fork, or nothing is left that could be read. */
  readonly range: DivergedRange | null;
  /** The node accepted writes of its own, as far as its files tell. */
  readonly wasPrimary: boolean;
  readonly fenceMark: FenceMark;
}

/** Bounds the time beside the work of the job: sums three looks before the job, its silence and end, and two looks after it. */
export const boundMs = 3 * walLookMs + jobBoundMs + 2 * walLookMs;

/**
 * Idempotent per rebuildId; a set is taken again if the node has written more since.
 * @throws Configuration when pg_waldump cannot be run there; Unproven when WAL is there and was not saved; Unreachable
 */
export async function saveDivergedWal(tools: Tools, input: SaveDivergedWalInput): Promise<SaveDivergedWalResult> {
  tools.attempt.tell('looking at its WAL');
  const { configuration, primary, rebuildId } = input;
  const node = getNode(configuration, input.node);
  const name = `node ${node.id}`;
  const look = await lookAtWal(tools, configuration, node, rebuildId);
  const isReplaced = look.rebuildMark === rebuildId;
  const nothing = (line: string): SaveDivergedWalResult => ({
    changed: false,
    line: `${name} ${line}`,
    range: null,
    wasPrimary: !isReplaced && look.wasPrimary,
    fenceMark: isReplaced ? 'none' : look.fenceMark,
  });
  if (look.report && (isReplaced || !look.wal)) return describe(input, look.report, false);
  if (isReplaced)
    return nothing('holds its fresh copy already, and no WAL was saved before: nothing was past the fork');
  if (!look.wal) return nothing(`has no WAL to save: ${look.seen}`);
  if (look.report && (await isWhole(tools, input, node, look))) return describe(input, look.report, false);

  const fork = findFork(look.wal, { timeline: input.primaryTimeline, history: input.primaryHistory });
  const former = look.isOwnCopy ? look.report : null;
  if (!fork && former) return describe(input, former, false);
  if (!fork) return nothing(`is on the same branch as node ${primary}: no WAL is to be saved`);
  const ranges = rangesAfter(look.wal, fork);
  const found = await findRecord(tools, configuration, node, look.wal.directory, ranges);
  if (!found && former) return describe(input, former, false);
  if (!found) return nothing(`holds nothing beyond the fork at (${fork.timeline}, ${fork.lsn})`);

  const lines = [
    `fork=${fork.lsn}`,
    `timeline=${fork.timeline}`,
    `to_timeline=${look.wal.timeline}`,
    `was_primary=${look.wasPrimary ? 'yes' : 'no'}`,
    `fence_mark=${look.fenceMark}`,
  ];
  await save(tools, input, node, [
    look.wal.directory,
    configuration.postgres.bin,
    look.set,
    formatRanges(ranges),
    lines.join('\n'),
    former ? 'yes' : 'no',
  ]);
  const after = await lookAtWal(tools, configuration, node, rebuildId);
  if (!after.report || !(await isWhole(tools, input, node, after)))
    throw failure('unproven', `${name}: ${after.set} does not hold all of its WAL past the fork; it is saved again`);
  return describe(input, after.report, true);
}

/** Nothing was written since, and on no other timeline: what the report says is all that there is. */
async function isWhole(
  tools: Tools,
  input: SaveDivergedWalInput,
  node: NodeConfiguration,
  { report, wal }: WalLook,
): Promise<boolean> {
  if (!report || !wal) return report !== null;
  const rest = { timeline: report.toTimeline, fromLsn: report.range.toLsn, toLsn: null };
  return (
    wal.timeline === report.toTimeline && !(await findRecord(tools, input.configuration, node, wal.directory, [rest]))
  );
}

/** May be gigabytes, so a job. */
async function save(
  tools: Tools,
  { configuration, rebuildId }: SaveDivergedWalInput,
  node: NodeConfiguration,
  args: readonly string[],
): Promise<void> {
  const job = {
    configuration,
    node,
    name: `save-wal-${rebuildId.toLowerCase()}`,
    script: 'saveDivergedWal',
    args,
  } as const;
  await finishJob(tools, job, 'save its diverged WAL to paths.savedConfiguration');
}

function describe(input: SaveDivergedWalInput, report: WalReport, changed: boolean): SaveDivergedWalResult {
  const { range, forkLsn, wasPrimary, fenceMark } = report;
  const what =
    range.commits === null
      ? 'its commits could not be counted'
      : `${range.commits} commit${range.commits === 1 ? '' : 's'}${range.lastCommitAt ? `, the last at ${range.lastCommitAt}` : ''}`;
  const gone = range.fromLsn === forkLsn ? '' : ` (what was between and ${range.fromLsn} is gone from it)`;
  const line = `node ${input.node} holds ${range.bytes} bytes of WAL after the fork at (${range.timeline}, ${forkLsn})${gone}: ${what}; saved in ${range.savedTo}; read it with pg_waldump`;
  return { changed, line, range, wasPrimary, fenceMark };
}
