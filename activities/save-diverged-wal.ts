// Saves the WAL that only this node holds before its data is replaced, and says how much that is: nothing acknowledged is lost silently.
// It fails only while there is WAL that could not be saved; what is gone already cannot be.

import { type ClusterConfiguration, getNode, type NodeConfiguration } from '../domain/cluster';
import { type DivergedRange, type FenceMark, rebuildMarkName } from '../domain/rebuild';
import { findFork, parseTimelineHistory, rangesAfter, type TimelineEnd, type TimelineRange } from '../domain/wal';
import { runOnNode, savedDirectory } from './io/act';
import { failure } from './io/failures';
import { beatWhile } from './io/heartbeats';
import { parseFenceMark, parseKeyValues } from './io/host-facts';
import { endJob, runJob } from './io/jobs';
import type { Tools } from './io/tools';
import { findRecordScript, lookAtWalScript, saveWalScript } from './io/wal-scripts';

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
  /** It accepted writes of its own, as far as its files tell. */
  readonly wasPrimary: boolean;
  readonly fenceMark: FenceMark;
}

interface Look {
  /** Where the set of this rebuild is, or will be. */
  readonly set: string;
  readonly report: Report | null;
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
interface Report {
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
 * Idempotent per rebuildId; a set is taken again if the node has written more since.
 * @throws Configuration when pg_waldump cannot be run there; Unproven when WAL is there and was not saved; Unreachable
 */
export async function saveDivergedWal(tools: Tools, input: SaveDivergedWalInput): Promise<SaveDivergedWalResult> {
  let seen = 'looking at its WAL';
  return await beatWhile(
    () => seen,
    () => saveWal(tools, input, (line) => (seen = line)),
  );
}

/** Keeps the line for the heartbeats, and returns it. */
type Tell = (line: string) => string;

async function saveWal(tools: Tools, input: SaveDivergedWalInput, tell: Tell): Promise<SaveDivergedWalResult> {
  const { configuration, primary, rebuildId } = input;
  const node = getNode(configuration, input.node);
  const name = `node ${String(node.id)}`;
  const look = await lookAtWal(tools, input, node);
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
  if (!fork) return nothing(`is on the same branch as node ${String(primary)}: no WAL is to be saved`);
  const ranges = rangesAfter(look.wal, fork);
  const found = await findRecord(tools, input, node, look.wal.directory, ranges);
  if (!found && former) return describe(input, former, false);
  if (!found) return nothing(`holds nothing beyond the fork at (${String(fork.timeline)}, ${fork.lsn})`);

  const lines = [
    `fork=${fork.lsn}`,
    `timeline=${String(fork.timeline)}`,
    `to_timeline=${String(look.wal.timeline)}`,
    `was_primary=${look.wasPrimary ? 'yes' : 'no'}`,
    `fence_mark=${look.fenceMark}`,
  ];
  await save(tools, input, node, tell, [
    look.wal.directory,
    configuration.postgres.bin,
    look.set,
    formatRanges(ranges),
    lines.join('\n'),
    former ? 'yes' : 'no',
  ]);
  const after = await lookAtWal(tools, input, node);
  if (!after.report || !(await isWhole(tools, input, node, after)))
    throw failure('unproven', `${name}: ${after.set} does not hold all of its WAL past the fork; it is saved again`);
  return describe(input, after.report, true);
}

async function lookAtWal(tools: Tools, input: SaveDivergedWalInput, node: NodeConfiguration): Promise<Look> {
  const { configuration, rebuildId } = input;
  const set = `${savedDirectory(configuration, node)}/diverged-wal-${rebuildId}`;
  const args = [node.dataDirectory, configuration.postgres.bin, set, rebuildMarkName];
  const stdout = await read(tools, input, node, lookAtWalScript, args);
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

/** Nothing was written since, and on no other timeline: what the report says is all that there is. */
async function isWhole(
  tools: Tools,
  input: SaveDivergedWalInput,
  node: NodeConfiguration,
  { report, wal }: Look,
): Promise<boolean> {
  if (!report || !wal) return report !== null;
  const rest = { timeline: report.toTimeline, fromLsn: report.range.toLsn, toLsn: null };
  return wal.timeline === report.toTimeline && !(await findRecord(tools, input, node, wal.directory, [rest]));
}

async function findRecord(
  tools: Tools,
  input: SaveDivergedWalInput,
  node: NodeConfiguration,
  directory: string,
  ranges: readonly TimelineRange[],
): Promise<boolean> {
  const args = [directory, input.configuration.postgres.bin, formatRanges(ranges)];
  return /^record=yes$/m.test(await read(tools, input, node, findRecordScript, args));
}

async function read(
  tools: Tools,
  { configuration }: SaveDivergedWalInput,
  node: NodeConfiguration,
  script: string,
  args: readonly string[],
): Promise<string> {
  const result = await runOnNode(tools, configuration, node, script, { args: [...args], timeoutMs: lookMs });
  if (result.exitCode === 0) return result.stdout;
  const name = `node ${String(node.id)} (${node.host})`;
  if (result.exitCode === 3)
    throw failure('configuration', `${name}: pg_waldump cannot be run (postgres.bin): ${result.stderr.trim()}`);
  throw failure('unreachable', `${name}: cannot look at its WAL: ${result.stderr.trim() || 'no answer'}`);
}

/** May be gigabytes, so a job; its directory goes with its end, because another attempt has to be a new one. */
async function save(
  tools: Tools,
  { configuration, rebuildId }: SaveDivergedWalInput,
  node: NodeConfiguration,
  tell: Tell,
  args: readonly string[],
): Promise<void> {
  const name = `save-wal-${rebuildId.toLowerCase()}`;
  const lastLine = (log: string): string => log.trimEnd().split('\n').at(-1) ?? '';
  const job = { configuration, node, name, script: saveWalScript, args };
  const end = await runJob(tools, job, (log) => tell(lastLine(log) || 'copying WAL'));
  await endJob(tools, configuration, node, name);
  if (end.state === 'done' && end.exitCode === 0) return;
  const seen = end.state === 'lost' ? 'it was interrupted' : end.log.trim().split('\n').slice(-3).join('; ');
  throw failure(
    'unproven',
    `node ${String(node.id)} (${node.host}): its diverged WAL could not be saved to paths.savedConfiguration: ${seen}`,
  );
}

function formatRanges(ranges: readonly TimelineRange[]): string {
  return ranges.map(({ timeline, fromLsn, toLsn }) => `${String(timeline)} ${fromLsn} ${toLsn ?? '-'}`).join('\n');
}

function parseReport(values: ReadonlyMap<string, string>): Report | null {
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

function describe(input: SaveDivergedWalInput, report: Report, changed: boolean): SaveDivergedWalResult {
  const { range, forkLsn, wasPrimary, fenceMark } = report;
  const what =
    range.commits === null
      ? 'its commits could not be counted'
      : `${String(range.commits)} commit${range.commits === 1 ? '' : 's'}${range.lastCommitAt ? `, the last at ${range.lastCommitAt}` : ''}`;
  const gone = range.fromLsn === forkLsn ? '' : ` (what was between and ${range.fromLsn} is gone from it)`;
  const line = `node ${String(input.node)} holds ${String(range.bytes)} bytes of WAL after the fork at (${String(range.timeline)}, ${forkLsn})${gone}: ${what}; saved in ${range.savedTo}; read it with pg_waldump`;
  return { changed, line, range, wasPrimary, fenceMark };
}
