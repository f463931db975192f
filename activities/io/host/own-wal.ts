// What a node's own pg_wal holds: where it is, how its branch came about, what was saved of it, and whether a stretch of it has records.

import type { ClusterConfiguration, NodeConfiguration } from '../../../domain/facts/cluster';
import { type DivergedRange, rebuildMarkName } from '../../../domain/facts/data-directory';
import type { FenceMark } from '../../../domain/facts/facts';
import { parseTimelineHistory, type TimelineEnd, type TimelineRange } from '../../../domain/facts/wal';
import { runOnNode, savedDirectory } from './act';
import { failure } from '../failures';
import { parseFenceMark, parseKeyValues } from './host-facts';
import type { Tools } from '../tools';
import { scripts } from './scripts';

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
  /** Its own WAL; null when there is none, and `seen` says why. */
  readonly wal: { readonly directory: string; readonly timeline: number; readonly history: TimelineEnd[] } | null;
  readonly seen: string;
}

/** What was saved, kept beside it: the answer stays the same when the data directory is replaced already. */
export interface WalReport {
  readonly range: DivergedRange;
  readonly forkLsn: string;
  /** The node's own, at the end of the range. */
  readonly toTimeline: number;
  readonly wasPrimary: boolean;
  readonly fenceMark: FenceMark;
}

const lookMs = 60_000;
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
  const stdout = await read(tools, configuration, node, scripts.lookAtWal, args);
  const values = parseKeyValues(stdout);
  const history = [...stdout.matchAll(/^history=(.*)$/gm)].map((match) => match[1]).join('\n');
  const directory = values.get('wal');
  const mark = values.get('rebuild') ?? null;
  // The first start renames backup_label. From then on a mark says nothing about what the node took itself.
  const rebuildMark = values.has('backup_label') ? mark : null;
  const fenceMark = parseFenceMark(values.get('fence_mark')) ?? 'none';
  const isStandby = values.has('standby_signal') || standbyStates.includes(values.get('state') ?? '');
  return {
    set: values.get('set') ?? set,
    report: parseReport(values),
    rebuildMark,
    isOwnCopy: mark === rebuildId,
    wasPrimary: values.has('fence_mark') && rebuildMark === null && (fenceMark !== 'none' || !isStandby),
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
  return /^record=yes$/m.test(await read(tools, configuration, node, scripts.findRecord, args));
}

async function read(
  tools: Tools,
  configuration: ClusterConfiguration,
  node: NodeConfiguration,
  script: string,
  args: readonly string[],
): Promise<string> {
  const result = await runOnNode(tools, configuration, node, script, { args: [...args], timeoutMs: lookMs });
  if (result.exitCode === 0) return result.stdout;
  const name = `node ${node.id} (${node.host})`;
  if (result.exitCode === 3)
    throw failure('configuration', `${name}: pg_waldump cannot be run (postgres.bin): ${result.stderr.trim()}`);
  throw failure('unreachable', `${name}: cannot look at its WAL: ${result.stderr.trim() || 'no answer'}`);
}

/** As the scripts take them. */
export function formatRanges(ranges: readonly TimelineRange[]): string {
  return ranges.map(({ timeline, fromLsn, toLsn }) => `${timeline} ${fromLsn} ${toLsn ?? '-'}`).join('\n');
}

function parseReport(values: ReadonlyMap<string, string>): WalReport | null {
  const value = (key: string): string | undefined => values.get(`report_${key}`) ?? undefined;
  const [fromLsn, toLsn, forkLsn, savedTo] = [value('from'), value('to'), value('fork'), values.get('set')];
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
