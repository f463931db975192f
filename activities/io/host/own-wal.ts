// A node's own pg_wal: where it is, how its branch came about, what was saved of it, and whether a stretch of it has records.

import type { ClusterConfiguration, NodeConfiguration } from '../../../domain/facts/cluster';
import { type DivergedRange, rebuildMarkName } from '../../../domain/facts/data-directory';
import type { FenceMark } from '../../../domain/facts/facts';
import { parseTimelineHistory, type TimelineEnd, type TimelineRange } from '../../../domain/facts/wal';
import { mustLook, savedDirectory } from './act';
import type { Values } from './answer';
import { parseFenceMark } from './host-facts';
import type { ScriptName } from './scripts';
import type { Tools } from '../tools';

export interface WalLook {
  /** Where the set of this rebuild is, or will be. */
  readonly set: string;
  readonly report: WalReport | null;
  /** The data directory is the fresh copy of the rebuild with this id, and was never started. */
  readonly rebuildMark: string | null;
  /** The same, but it may have been started since: what its report tells of was in the data before. */
  readonly isOwnCopy: boolean;
  readonly wasPrimary: boolean;
  readonly fenceMark: FenceMark;
  /** The WAL in its data directory; null when there is none, and `seen` says why. */
  readonly wal: { readonly directory: string; readonly timeline: number; readonly history: TimelineEnd[] } | null;
  readonly seen: string;
}

/** The report of what was saved, kept beside it: the answer stays the same when the data directory is replaced already. */
export interface WalReport {
  readonly range: DivergedRange;
  readonly forkLsn: string;
  /** The node's own, at the end of the range. */
  readonly toTimeline: number;
  readonly wasPrimary: boolean;
  readonly fenceMark: FenceMark;
}

/** Bounds lookAtWal(), and findRecord(). Both together are shorter than the 2 minutes of findOwnWal. */
export const walLookMs = 55_000;
/** pg_controldata's words for a node that is, or ended, in recovery as a standby. */
const standbyStates = ['in archive recovery', 'shut down in recovery'];

/**
 * @param rebuildId of the rebuild for which WAL is, or will be, saved; empty when there is none
 * @throws Configuration when pg_waldump cannot be run there; Unreachable
 */
export async function lookAtWal(
  tools: Tools,
  configuration: ClusterConfiguration,
  node: NodeConfiguration,
  rebuildId: string,
): Promise<WalLook> {
  const set = `${savedDirectory(configuration, node)}/diverged-wal-${rebuildId}`;
  const args = [node.dataDirectory, configuration.postgres.bin, set, rebuildMarkName];
  const values = await read(tools, configuration, node, 'lookAtWal', args);
  const history = values.all('history').join('\n');
  const directory = values.get('wal');
  const mark = values.get('rebuild') ?? null;
  // The first start renames backup_label. From then on a mark says nothing about what the node took itself.
  const rebuildMark = values.flag('backup_label') ? mark : null;
  const fenceMark = parseFenceMark(values.get('fence_mark')) ?? 'none';
  const isStandby = values.flag('standby_signal') === true || standbyStates.includes(values.get('state') ?? '');
  return {
    set: values.get('set') ?? set,
    report: parseReport(values.startingWith('report_'), values.get('set')),
    rebuildMark,
    isOwnCopy: mark === rebuildId,
    wasPrimary: values.get('fence_mark') !== undefined && rebuildMark === null && (fenceMark !== 'none' || !isStandby),
    fenceMark,
    wal: directory
      ? { directory, timeline: Number(values.get('wal_timeline')), history: parseTimelineHistory(history) ?? [] }
      : null,
    seen: values.get('seen') ?? '',
  };
}

/** Is there a whole record in these ranges? @throws as lookAtWal */
export async function findRecord(
  tools: Tools,
  configuration: ClusterConfiguration,
  node: NodeConfiguration,
  directory: string,
  ranges: readonly TimelineRange[],
): Promise<boolean> {
  const args = [directory, configuration.postgres.bin, formatRanges(ranges)];
  return (await read(tools, configuration, node, 'findRecord', args)).flag('record') === true;
}

async function read(
  tools: Tools,
  configuration: ClusterConfiguration,
  node: NodeConfiguration,
  script: ScriptName,
  args: readonly string[],
): Promise<Values> {
  return await mustLook(tools, { configuration, node, script, args, timeoutMs: walLookMs, what: 'look at its WAL' });
}

/** As the scripts take them. */
export function formatRanges(ranges: readonly TimelineRange[]): string {
  return ranges.map(({ timeline, fromLsn, toLsn }) => `${timeline} ${fromLsn} ${toLsn ?? '-'}`).join('\n');
}

function parseReport(report: ReadonlyMap<string, string>, savedTo: string | undefined): WalReport | null {
  const value = (key: string): string | undefined => report.get(key);
  const [fromLsn, toLsn, forkLsn] = [value('from'), value('to'), value('fork')];
  if (!fromLsn || !toLsn || !forkLsn || !savedTo) return null;
  return {
    range: {
      timeline: Number(value('timeline')),
      fromLsn,
      toLsn,
      bytes: Number(value('bytes')),
      commits: value('commits') ? Number(value('commits')) : null,
      lastCommitAt: value('last_commit') || null,
      savedTo,
    },
    forkLsn,
    toTimeline: Number(value('to_timeline')),
    wasPrimary: value('was_primary') === 'yes',
    fenceMark: parseFenceMark(value('fence_mark')) ?? 'none',
  };
}
