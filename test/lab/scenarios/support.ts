// A scenario: one lab under write load, one thing that goes wrong, and what must be true afterwards. Conditions are awaited, never slept for.

import { Client, Connection } from '@temporalio/client';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readNodeInfo } from '../../../activities/io/pcp';
import { awaitWorkflowId, incidentWorkflowId } from '../../../domain/names';
import { type Lab, up } from '../../../lab/lab';
import { findLostIds, type Journal, longestGapMs, Workload } from '../../../lab/workload';
import { waitFor } from '../../../lab/wait';
import type { IncidentReport } from '../../../workflows/messages';

const table = 'scenario_writes';

export interface Scenario {
  readonly lab: Lab;
  readonly workload: Workload;
  readonly temporal: Client;
}

/** A lab with load for this file's tests; taken down whatever happens. */
export function useScenario(name: string): () => Scenario {
  let scenario: Scenario | undefined;
  let connection: Connection | undefined;
  beforeAll(async () => {
    const lab = await up({ name });
    connection = await Connection.connect({ address: lab.temporal.address });
    const temporal = new Client({ connection, namespace: lab.temporal.namespace });
    const workload = new Workload({ connection: lab.connection('pgpool'), table, writers: 3, pauseMs: 5 });
    scenario = { lab, workload, temporal };
    await workload.start();
    await workload.untilAcknowledged(50, 20_000);
  }, 120_000);
  afterAll(async () => {
    await scenario?.workload.stop().catch(() => undefined);
    await connection?.close();
    await scenario?.lab.down();
  }, 60_000);
  return () => {
    if (!scenario) throw new Error('the lab did not come up');
    return scenario;
  };
}

/** The report of the run that is open now, or is opened next, once it has closed. */
export async function finishedIncident({ lab, temporal }: Scenario, timeoutMs = 90_000): Promise<IncidentReport> {
  const workflowId = incidentWorkflowId(lab.configuration.cluster);
  await until(
    'an incident is opened',
    async () => (await temporal.workflow.getHandle(workflowId).describe()).runId !== '',
    timeoutMs,
  );
  const { runId } = await temporal.workflow.getHandle(workflowId).describe();
  const handle = temporal.workflow.getHandle(workflowId, runId);
  await until('the incident is closed', async () => (await handle.describe()).status.name !== 'RUNNING', timeoutMs);
  return (await handle.result()) as IncidentReport;
}

/** The verdict on one event, as the hook gets it. */
export function verdictOf(
  report: IncidentReport,
  kind: 'failover' | 'follow' | 'returned',
): IncidentReport['events'][number] {
  const found = report.events.find((event) => event.eventId.startsWith(kind));
  if (!found) throw new Error(`no ${kind} event in ${JSON.stringify(report.events)}`);
  return found;
}

export async function expectOneWritable({ lab }: Scenario, node: number): Promise<void> {
  const report = await lab.report();
  expect(report.nodes.filter((entry) => entry.isInRecovery === false).map((entry) => entry.id)).toEqual([node]);
}

export async function expectFollowing({ lab }: Scenario, node: number, primary: number): Promise<void> {
  await until(`node ${String(node)} streams from node ${String(primary)}`, async () => {
    const { nodes } = await lab.report();
    const own = nodes.find((entry) => entry.id === node);
    return own?.streamingFrom === primary && own.timeline === nodes.find((entry) => entry.id === primary)?.timeline;
  });
}

/** pgpool's own word, asked through PCP. */
export async function expectPgpoolUses({ lab }: Scenario, primary: number, standbys: readonly number[]): Promise<void> {
  const pgpool = lab.configuration.pgpool[0]!;
  await until(`pgpool uses node ${String(primary)} as primary and ${standbys.join(', ')}`, async () => {
    const infos = await Promise.all([primary, ...standbys].map((id) => readNodeInfo(pgpool, id, { timeoutMs: 3000 })));
    return infos.every((info, index) => info.status !== 'down' && (info.role === 'primary') === (index === 0));
  });
}

/** Writes go through again; returns the journal up to now. */
export async function expectServed({ workload }: Scenario, timeoutMs = 30_000): Promise<Journal> {
  await workload.untilAcknowledged(30, timeoutMs);
  return workload.journal;
}

/**
 * Stops the load and looks every acknowledged id up. Replication is asynchronous: an id may be lost with the old primary,
 * but then no node that was left may hold it.
 */
export async function expectHonestLoss(
  { lab, workload }: Scenario,
  primary: number,
  standbys: readonly number[],
): Promise<void> {
  const journal = await workload.stop();
  const lost = await findLostIds(journal, lab.connection(primary), table);
  for (const node of standbys) {
    const missing = new Set(await findLostIds(journal, lab.connection(node), table));
    expect(lost.filter((id) => !missing.has(id))).toEqual([]);
  }
}

export function outageMs({ workload }: Scenario): number {
  return longestGapMs(workload.journal);
}

export function pgpoolLog({ lab }: Scenario): string {
  return readFileSync(join(lab.directory, 'pgpool', 'pgpool.log'), 'utf8');
}

export async function isAwaited({ lab, temporal }: Scenario, node: number): Promise<boolean> {
  const handle = temporal.workflow.getHandle(awaitWorkflowId(lab.configuration.cluster, node));
  return (await handle.describe()).status.name === 'RUNNING';
}

export interface HookResult {
  readonly exitCode: number | null;
  readonly said: string;
}

/** Runs the lab's hook as pgpool would, as the lab's own user. */
export async function runHook({ lab }: Scenario, ...args: readonly string[]): Promise<HookResult> {
  const command = [lab.hookPath, '-c', lab.hookConf, ...args];
  const [program, ...rest] = process.getuid?.() === 0 ? ['runuser', '-u', 'postgres', '--', ...command] : command;
  return await new Promise((resolve, reject) => {
    const child = spawn(program!, rest, { cwd: '/', stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (data: Buffer) => {
        said += data.toString();
      });
    child.on('error', reject);
    child.on('close', (exitCode) => {
      resolve({ exitCode, said: said.trim() });
    });
  });
}

/** Awaits a condition; a rejection counts as "not yet" and is shown when time is up. */
export async function until(what: string, condition: () => Promise<boolean>, timeoutMs = 30_000): Promise<void> {
  await waitFor(condition, { what, timeoutMs });
}
