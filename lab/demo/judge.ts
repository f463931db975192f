// What must be true for the demo to exit 0, and the JSON that it writes.

import { comparePosition } from '../../domain/wal';
import type { FollowReport } from '../../domain/outcome';
import type { Lab, LabReport } from '../lab';
import type { FailoverRun } from './run-failover';

interface PcpRow {
  readonly id: number;
  readonly status: string;
  readonly role: string;
}

export interface DemoJson {
  readonly versions: { readonly postgres: string; readonly pgpool: string; readonly temporal: string };
  readonly failover: {
    readonly outcome: string;
    readonly candidate: number | null;
    readonly outageMs: number;
    readonly hookMs: number | null;
    readonly hookToWritableMs: number | null;
  };
  readonly follow: readonly Pick<FollowReport, 'node' | 'rung' | 'outcome' | 'ms'>[];
  readonly writes: { readonly acknowledged: number; readonly lost: number };
  readonly pcpBefore: readonly PcpRow[];
  readonly pcpAfter: readonly PcpRow[];
  readonly web: string;
}

export interface DemoResult {
  readonly json: DemoJson;
  /** Sentences; empty = everything was proven. */
  readonly problems: readonly string[];
}

export function judge(lab: Lab, before: LabReport, run: FailoverRun, after: LabReport): DemoResult {
  const { report } = run;
  const json: DemoJson = {
    versions: lab.versions,
    failover: {
      outcome: report.outcome,
      candidate: report.primary,
      outageMs: run.outageMs,
      hookMs: run.hookMs,
      hookToWritableMs: run.hookToWritableMs,
    },
    follow: report.follows.map(({ node, rung, outcome, ms }) => ({ node, rung, outcome, ms })),
    writes: { acknowledged: run.journal.acknowledged.length, lost: run.lost.length },
    pcpBefore: pcpRows(before),
    pcpAfter: pcpRows(after),
    web: run.web,
  };
  return { json, problems: findProblems(run, after) };
}

function findProblems(run: FailoverRun, after: LabReport): string[] {
  const { report } = run;
  const problems: string[] = [];
  if (report.outcome !== 'completed')
    problems.push(`the incident ended ${report.outcome} (${report.reason}): ${report.line}`);
  const candidate = run.positions.find((entry) => entry.node === report.primary);
  const ahead = run.positions.filter(
    (entry) =>
      entry.isInRecovery &&
      entry.position &&
      candidate?.position &&
      comparePosition(entry.position, candidate.position) > 0,
  );
  if (!candidate?.position) problems.push('the position of the candidate was not measured after the fence');
  for (const entry of ahead) problems.push(`node ${String(entry.node)} had more WAL than the candidate`);
  const writable = after.nodes.filter((node) => node.isInRecovery === false);
  if (writable.length !== 1) problems.push(`${String(writable.length)} nodes are writable, there must be one`);
  const timeline = writable[0]?.timeline ?? null;
  for (const standby of after.nodes.filter((node) => node.id !== report.primary && node.id !== 0)) {
    const isStreaming = standby.streamingFrom === report.primary && standby.timeline === timeline;
    if (!isStreaming)
      problems.push(
        `node ${String(standby.id)} does not stream from node ${String(report.primary)} on timeline ${String(timeline)}`,
      );
    const row = pcpRows(after).find((entry) => entry.id === standby.id);
    if (row?.status !== 'up' && row?.status !== 'waiting')
      problems.push(`pgpool shows node ${String(standby.id)} ${row?.status ?? 'not at all'}`);
  }
  if (run.lostButHeld.length > 0) problems.push(`lost ids that a standby holds: ${run.lostButHeld.join(', ')}`);
  return problems;
}

export function pcpRows(report: LabReport): PcpRow[] {
  return report.backends.map((entry) =>
    'error' in entry
      ? { id: entry.id, status: 'unknown', role: 'unknown' }
      : { id: entry.id, status: entry.status, role: entry.role },
  );
}
