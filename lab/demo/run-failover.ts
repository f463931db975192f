// The demo's act: write through pgpool, stop the primary as the article does, watch the incident, stop writing, count.

import { Client, Connection } from '@temporalio/client';
import { setMaxListeners } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FenceResult } from '../../activities/fence';
import { incidentWorkflowId } from '../../domain/names';
import type { IncidentReport } from '../../workflows/messages';
import { type ActivityRecord, type RunRecord, waitForRun, watchRun } from '../incident-watch';
import type { Lab } from '../lab';
import { findLostIds, type Journal, longestGapMs, Workload } from '../workload';

const writers = 4;
const pauseMs = 2;
const table = 'demo_writes';
const incidentMs = 60_000;

export interface FailoverRun {
  readonly incident: RunRecord;
  readonly report: IncidentReport;
  readonly journal: Journal;
  readonly outageMs: number;
  readonly hookMs: number | null;
  readonly hookToWritableMs: number | null;
  readonly lost: readonly number[];
  /** Lost ids that a standby holds: must be none. */
  readonly lostButHeld: readonly number[];
  /** Every node's position when the plan was made, after the fence. */
  readonly positions: FenceResult['nodes'];
  readonly web: string;
}

export async function runFailover(lab: Lab, say: (line?: string) => void): Promise<FailoverRun> {
  const workload = new Workload({ connection: lab.connection('pgpool'), table, writers, pauseMs });
  await workload.start();
  await workload.untilAcknowledged(200, 20_000);
  say(
    `\nwrite load: ${String(writers)} clients through pgpool ${lab.pgpool.host}:${String(lab.pgpool.port)}, one row a transaction, every id noted`,
  );
  const seen = await stopAndWatch(lab, workload, say);
  await workload.untilAcknowledged(200, 20_000);
  const journal = await workload.stop();
  const report = seen.incident.result as IncidentReport;
  const { primary } = report;
  const standbys = lab.configuration.nodes
    .filter((node) => node.id !== primary && node.id !== 0)
    .map((node) => node.id);
  const lost = primary === null ? [] : await findLostIds(journal, lab.connection(primary), table);
  const fence = seen.incident.activities.find((entry) => entry.activity === 'fence')?.result as FenceResult | undefined;
  return {
    ...seen,
    report,
    journal,
    outageMs: Math.round(longestGapMs(journal)),
    ...readHookTimes(lab, seen.incident),
    lost,
    lostButHeld: await findHeld(lab, lost, journal, standbys),
    positions: fence?.nodes ?? [],
  };
}

async function stopAndWatch(
  lab: Lab,
  workload: Workload,
  say: (line?: string) => void,
): Promise<{ incident: RunRecord; web: string }> {
  const connection = await Connection.connect({ address: lab.temporal.address });
  const client = new Client({ connection, namespace: lab.temporal.namespace });
  const signal = AbortSignal.timeout(incidentMs);
  // Every long poll of every watched run listens to it.
  setMaxListeners(0, signal);
  try {
    const count = workload.journal.acknowledged.length;
    const startedAt = Date.now();
    say(`\n   +0 ms  node 0, the primary: pg_ctl -m immediate stop (${String(count)} writes acknowledged so far)`);
    const stopping = lab.stopImmediate(0);
    const workflowId = incidentWorkflowId(lab.configuration.cluster);
    const runId = await waitForRun(client, workflowId, signal);
    const web = `${lab.temporal.web}/namespaces/${lab.temporal.namespace}/workflows/${workflowId}/${runId}`;
    say(`${offset(Date.now(), startedAt)}  pgpool's hook has opened the incident: ${web}`);
    const incident = await watchRun(
      client,
      { workflowId, runId },
      {
        onActivity: (record) => {
          say(describeActivity(record, startedAt));
        },
      },
      signal,
    );
    await stopping;
    return { incident, web };
  } finally {
    await connection.close();
  }
}

function describeActivity(record: ActivityRecord, startedAt: number): string {
  const took = `${String(Math.round(record.endedAt - record.startedAt))} ms`;
  const line = (record.result as { line?: string; seen?: string } | null) ?? {};
  const said = record.failure ?? line.line ?? line.seen ?? '';
  return `${offset(record.endedAt, startedAt)}  ${record.activity.padEnd(15)} ${took.padStart(7)}  ${record.summary}${said ? `\n${' '.repeat(36)}→ ${said}` : ''}`;
}

function offset(at: number, startedAt: number): string {
  return `+${String(Math.round(at - startedAt))} ms`.padStart(8);
}

/** From pgpool's own log: when it called the hook, and when it went on. */
function readHookTimes(lab: Lab, incident: RunRecord): { hookMs: number | null; hookToWritableMs: number | null } {
  const lines = readFileSync(join(lab.directory, 'pgpool', 'pgpool.log'), 'utf8').split('\n');
  const called = lines.findIndex((line) => /execute command: .*hook\.sh.* failover /.test(line));
  const calledAt = timeOf(lines[called]);
  const wentOnAt = timeOf(lines.slice(called).find((line) => line.includes('find_primary_node_repeatedly')));
  const promoted = incident.activities.find((entry) => entry.activity === 'promote' && entry.failure === null);
  return {
    hookMs: calledAt !== null && wentOnAt !== null ? wentOnAt - calledAt : null,
    hookToWritableMs: calledAt !== null && promoted ? Math.round(promoted.endedAt - calledAt) : null,
  };
}

/** log_line_prefix %m: local time with milliseconds. */
function timeOf(line: string | undefined): number | null {
  const match = /^(\d{4}-\d{2}-\d{2}) (\d{2}:\d{2}:\d{2}\.\d{3})/.exec(line ?? '');
  return match ? new Date(`${match[1]!}T${match[2]!}`).getTime() : null;
}

async function findHeld(
  lab: Lab,
  lost: readonly number[],
  journal: Journal,
  standbys: readonly number[],
): Promise<number[]> {
  if (lost.length === 0) return [];
  const held = new Set<number>();
  for (const node of standbys) {
    const missing = new Set(await findLostIds(journal, lab.connection(node), table));
    for (const id of lost) if (!missing.has(id)) held.add(id);
  }
  return [...held];
}
