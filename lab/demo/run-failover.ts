// A failover as an act of the demo: stops the primary under write load as the article does, watches, stops the load,
// and counts.

import type { FenceResult } from '../../activities/primary/fence';
import type { IncidentReport } from '../../workflows/messages';
import type { RunRecord } from '../incident-watch';
import type { Lab } from '../lab';
import { findFailoverTimes, pgpoolLogSize, readPgpoolLog } from '../pgpool-log';
import { findLostIds, type Journal, longestGapMs, Workload } from '../workload';
import { type Stage, watchIncident } from './watch-incident';

const writers = 4;
const pauseMs = 2;
const table = 'demo_writes';
const enough = { writes: 200, withinMs: 20_000 } as const;
const incidentMs = 60_000;

export interface FailoverRun {
  /** The primary that was stopped. */
  readonly stopped: number;
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

/** Clients that write through pgpool, from now on. */
export async function startLoad({ lab, say }: Stage): Promise<Workload> {
  const workload = new Workload({ connection: lab.connection('pgpool'), table, writers, pauseMs });
  await workload.start();
  await workload.untilAcknowledged(enough.writes, enough.withinMs);
  const through = `through pgpool ${lab.pgpool.host}:${lab.pgpool.port}`;
  say(`write load: ${writers} clients ${through}, one row a transaction, every id noted`);
  return workload;
}

/** Ends the load. */
export async function runFailover(stage: Stage, stopped: number, workload: Workload): Promise<FailoverRun> {
  const { lab } = stage;
  const written = String(workload.journal.acknowledged.length);
  const logStart = pgpoolLogSize(lab);
  let since = 0;
  const { incident, report, web } = await watchIncident(stage, {
    line: `node ${stopped}, the primary: pg_ctl -m immediate stop (${written} writes acknowledged so far)`,
    opener: "pgpool's hook",
    limitMs: incidentMs,
    act: () => {
      since = performance.now();
      return lab.stopImmediate(stopped);
    },
  });
  await workload.untilAcknowledged(enough.writes, enough.withinMs);
  const journal = await workload.stop();
  const { primary } = report;
  const standbys = lab.configuration.nodes.map(({ id }) => id).filter((id) => id !== primary && id !== stopped);
  const lost = primary === null ? [] : await findLostIds(journal, lab.connection(primary), table);
  const fence = incident.activities.find((entry) => entry.activity === 'fence')?.result as FenceResult | undefined;
  return {
    ...{ stopped, report, journal, web, lost },
    outageMs: Math.round(longestGapMs(journal, since)),
    ...readHookTimes(lab, logStart, incident),
    lostButHeld: await findHeld(lab, lost, journal, standbys),
    positions: fence?.nodes ?? [],
  };
}

/** Reads from pgpool's log when it called the hook, and when it went on. */
function readHookTimes(
  lab: Lab,
  logStart: number,
  incident: RunRecord,
): { hookMs: number | null; hookToWritableMs: number | null } {
  const { calledAt, returnedAt } = findFailoverTimes(readPgpoolLog(lab, logStart));
  const promoted = incident.activities.find((entry) => entry.activity === 'promote' && entry.failure === null);
  return {
    hookMs: calledAt !== null && returnedAt !== null ? returnedAt - calledAt : null,
    hookToWritableMs: calledAt !== null && promoted ? Math.round(promoted.endedAt - calledAt) : null,
  };
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
