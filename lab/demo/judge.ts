// Judges the demo: the conditions for exit 0, and the JSON of its result.

import type { FollowReport } from '../../domain/facts/outcome';
import { comparePosition } from '../../domain/facts/wal';
import type { Lab, LabReport } from '../lab';
import type { FailoverRun } from './run-failover';
import type { RejoinRun } from './run-rejoin';

interface PcpRow {
  readonly id: number;
  readonly status: string;
  readonly role: string;
}

export type FollowRow = Pick<FollowReport, 'node' | 'rung' | 'outcome' | 'ms'>;

/** The result of one failover. */
export interface FailoverJson {
  readonly failover: {
    readonly outcome: string;
    readonly candidate: number | null;
    readonly outageMs: number;
    readonly hookMs: number | null;
    readonly hookToWritableMs: number | null;
  };
  readonly follow: readonly FollowRow[];
  readonly writes: { readonly acknowledged: number; readonly lost: number };
  readonly pcpBefore: readonly PcpRow[];
  readonly pcpAfter: readonly PcpRow[];
  readonly web: string;
}

/** The first failover, then the acts after it. */
export interface DemoJson extends FailoverJson {
  readonly versions: Lab['versions'];
  /** Empty when no rejoin was tried, because the first failover was not proven. */
  readonly rejoin: readonly FollowRow[];
  /** Null when no second failover was tried, because the rejoin was not proven. */
  readonly second: FailoverJson | null;
}

export interface Judged<T> {
  readonly json: T;
  /** Sentences; empty = everything was proven. */
  readonly problems: readonly string[];
}

export function judgeFailover(before: LabReport, run: FailoverRun, after: LabReport): Judged<FailoverJson> {
  const { report } = run;
  const json: FailoverJson = {
    failover: {
      outcome: report.outcome,
      candidate: report.primary,
      outageMs: run.outageMs,
      hookMs: run.hookMs,
      hookToWritableMs: run.hookToWritableMs,
    },
    follow: report.follows.map(followRow),
    writes: { acknowledged: run.journal.acknowledged.length, lost: run.lost.length },
    pcpBefore: pcpRows(before),
    pcpAfter: pcpRows(after),
    web: run.web,
  };
  const standbys = after.nodes.map(({ id }) => id).filter((id) => id !== report.primary && id !== run.stopped);
  const problems = [
    ...findIncidentProblems(report),
    ...findCandidateProblems(run),
    ...findClusterProblems(after, report.primary, standbys),
  ];
  if (run.lostButHeld.length > 0) problems.push(`lost ids that a standby holds: ${run.lostButHeld.join(', ')}`);
  return { json, problems };
}

export function judgeRejoin(run: RejoinRun, after: LabReport): Judged<readonly FollowRow[]> {
  const { report, follow, settings } = run;
  const name = `node ${run.node}`;
  const problems = findIncidentProblems(report);
  if (!follow) problems.push(`the incident says nothing about ${name}`);
  else if (follow.outcome !== 'completed')
    problems.push(`the rejoin of ${name} ended ${follow.outcome} (${follow.reason}): ${follow.line}`);
  if (run.exitCode !== 0) problems.push(`the command ended with exit code ${run.exitCode}: ${run.answer}`);
  const standbys = after.nodes.map(({ id }) => id).filter((id) => id !== report.primary);
  problems.push(...findClusterProblems(after, report.primary, standbys));
  for (const [setting, value] of Object.entries(settings.before)) {
    const now = settings.after[setting];
    if (now !== value) problems.push(`${name} runs with ${setting} '${now ?? '?'}', and its own is '${value}'`);
  }
  for (const path of run.leftovers) problems.push(`left behind: ${path}`);
  return { json: follow ? [followRow(follow)] : [], problems };
}

/** The three acts as one result; null = not played. */
export function summarize(
  versions: Lab['versions'],
  first: Judged<FailoverJson>,
  rejoin: Judged<readonly FollowRow[]> | null,
  second: Judged<FailoverJson> | null,
): Judged<DemoJson> {
  return {
    json: { versions, ...first.json, rejoin: rejoin?.json ?? [], second: second?.json ?? null },
    problems: [first, rejoin, second].flatMap((act) => act?.problems ?? []),
  };
}

function findIncidentProblems({ outcome, reason, line }: FailoverRun['report']): string[] {
  return outcome === 'completed' ? [] : [`the incident ended ${outcome} (${reason}): ${line}`];
}

function findCandidateProblems({ report, positions }: FailoverRun): string[] {
  const candidate = positions.find((entry) => entry.node === report.primary)?.position;
  if (!candidate) return ['the position of the candidate was not measured after the fence'];
  return positions
    .filter((entry) => entry.isInRecovery && entry.position && comparePosition(entry.position, candidate) > 0)
    .map((entry) => `node ${entry.node} had more WAL than the candidate`);
}

/** A node must be writable, and each standby must stream from it on its timeline and be used by pgpool. */
function findClusterProblems(after: LabReport, primary: number | null, standbys: readonly number[]): string[] {
  const problems: string[] = [];
  const writable = after.nodes.filter((node) => node.isInRecovery === false);
  if (writable.length !== 1) problems.push(`${writable.length} nodes are writable, there must be one`);
  const timeline = writable[0]?.timeline ?? null;
  for (const standby of after.nodes.filter(({ id }) => standbys.includes(id))) {
    const name = `node ${standby.id}`;
    if (standby.streamingFrom !== primary || standby.timeline !== timeline)
      problems.push(`${name} does not stream from node ${String(primary)} on timeline ${String(timeline)}`);
    const row = pcpRows(after).find((entry) => entry.id === standby.id);
    if (row?.status !== 'up' && row?.status !== 'waiting')
      problems.push(`pgpool shows ${name} ${row?.status ?? 'not at all'}`);
  }
  return problems;
}

function followRow({ node, rung, outcome, ms }: FollowReport): FollowRow {
  return { node, rung, outcome, ms };
}

function pcpRows(report: LabReport): PcpRow[] {
  return report.backends.map((entry) =>
    'error' in entry
      ? { id: entry.id, status: 'unknown', role: 'unknown' }
      : { id: entry.id, status: entry.status, role: entry.role },
  );
}
