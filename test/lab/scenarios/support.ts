// A scenario: one lab under write load, one thing that goes wrong, and what must be true afterwards. Conditions are awaited, never slept for.

import { Client, Connection, defaultPayloadConverter } from '@temporalio/client';
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Client as SqlClient, type QueryResultRow } from 'pg';
import { jobsDirectory } from '../../../activities/io/host/act';
import { readNodeInfo } from '../../../activities/io/pcp/pcp';
import { loadClusterFile } from '../../../configuration/load';
import { main } from '../../../client/cli';
import { listParked } from '../../../client/progress';
import { getNode, type PolicyConfiguration } from '../../../domain/facts/cluster';
import type { Choice, ParkedStep } from '../../../domain/facts/decision';
import { followWorkflowId, incidentWorkflowId } from '../../../domain/facts/names';
import { silentMisses } from '../../../domain/facts/watch';
import { recall } from '../../../worker/record';
import { asidePath, freshSuffix, rebuildMarkName } from '../../../domain/facts/data-directory';
import { type Lab, up } from '../../../lab/lab';
import { setPolicy as setLabPolicy } from '../../../lab/policy';
import { isRunning, type ProcessRecord, readRecord } from '../../../lab/processes';
import { readState } from '../../../lab/state';
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
  kind: 'failover' | 'follow' | 'rejoin' | 'watch-answers',
): IncidentReport['events'][number] {
  const found = report.events.find((event) => event.eventId.startsWith(kind));
  if (!found) throw new Error(`no ${kind} event in ${JSON.stringify(report.events)}`);
  return found;
}

/** The node that was promoted after `former`, once it accepts writes. */
export async function untilPromoted({ lab }: Scenario, former: number, timeoutMs = 60_000): Promise<number> {
  let promoted: number | undefined;
  await until(
    `a successor of node ${former} accepts writes`,
    async () => {
      const { nodes } = await lab.report();
      promoted = nodes.find((entry) => entry.id !== former && entry.isInRecovery === false)?.id;
      return promoted !== undefined;
    },
    timeoutMs,
  );
  return promoted!;
}

/** The one node of three that is neither of these. */
export function thirdOf(...two: readonly [number, number]): number {
  return [0, 1, 2].find((id) => !two.includes(id))!;
}

export async function expectOneWritable({ lab }: Scenario, node: number): Promise<void> {
  let writable: number[] = [];
  // A node that does not answer in time is not one that is read-only: only silence is asked again, two are two.
  await until('a node accepts writes', async () => {
    const { nodes } = await lab.report();
    writable = nodes.filter((entry) => entry.isInRecovery === false).map((entry) => entry.id);
    return writable.length > 0;
  });
  expect(writable).toEqual([node]);
}

export async function expectFollowing({ lab }: Scenario, node: number, primary: number): Promise<void> {
  await until(`node ${node} streams from node ${primary}`, async () => {
    const { nodes } = await lab.report();
    const own = nodes.find((entry) => entry.id === node);
    return own?.streamingFrom === primary && own.timeline === nodes.find((entry) => entry.id === primary)?.timeline;
  });
}

/** pgpool's own word, asked through PCP. */
export async function expectPgpoolUses({ lab }: Scenario, primary: number, standbys: readonly number[]): Promise<void> {
  const pgpool = lab.configuration.pgpool[0]!;
  await until(`pgpool uses node ${primary} as primary and ${standbys.join(', ')}`, async () => {
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

export function setPolicy({ lab }: Scenario, policy: Partial<PolicyConfiguration>): void {
  setLabPolicy(lab, policy);
}

/**
 * After a rebuild no copy, job, mark, program or slot of it is left, except slots that nodes name themselves, and no
 * more old data than the policy keeps.
 */
export async function expectNothingLeft(
  scenario: Scenario,
  node: number,
  ownSlots: readonly string[] = [],
): Promise<void> {
  const configuration = loadClusterFile(scenario.lab.clusterFile);
  const { dataDirectory } = getNode(configuration, node);
  const beside = readdirSync(dirname(dataDirectory)).map((name) => join(dirname(dataDirectory), name));
  expect(beside.filter((path) => path.endsWith(freshSuffix))).toEqual([]);
  const asides = beside.filter((path) => path.startsWith(asidePath(dataDirectory, '')));
  expect(asides.length).toBeLessThanOrEqual(configuration.policy.replacedData === 'keep' ? 1 : 0);
  expect(existsSync(jobsDirectory(configuration, getNode(configuration, node)))).toBe(false);
  expect(readdirSync(dataDirectory)).not.toContain(rebuildMarkName);
  expect(findCopies(scenario, node)).toEqual([]);
  const { nodes } = await scenario.lab.report();
  for (const { id } of nodes.filter((entry) => entry.isInRecovery !== null)) {
    const rows = await readRows<{ name: string }>(
      scenario,
      id,
      'select slot_name::text as name from pg_replication_slots',
    );
    expect(rows.filter(({ name }) => !ownSlots.includes(name))).toEqual([]);
  }
}

/** Every file of the node's data, and the directories beside it: whatever is changed, moved or put there changes the result. */
export function fingerprintData({ lab }: Scenario, node: number): string[] {
  const { dataDirectory } = getNode(lab.configuration, node);
  const list = (...args: readonly string[]): string[] =>
    execFileSync('find', [...args, '-printf', '%i %s %T@ %C@ %p\n'], { encoding: 'utf8' }).split('\n');
  return [...list(dataDirectory), ...list(dirname(dataDirectory), '-mindepth', '1', '-maxdepth', '1', '-type', 'd')];
}

/** The pg_basebackup processes that copy for this node. */
export function findCopies({ lab }: Scenario, node: number): ProcessRecord[] {
  const { dataDirectory } = getNode(lab.configuration, node);
  return readdirSync('/proc').flatMap((name) => {
    if (!/^[0-9]+$/.test(name)) return [];
    try {
      const [program = '', ...args] = readFileSync(`/proc/${name}/cmdline`, 'utf8').split('\0');
      if (!program.endsWith('/pg_basebackup') || !args.some((arg) => arg.startsWith(dataDirectory))) return [];
    } catch {
      return [];
    }
    return readRecord(Number(name)) ?? [];
  });
}

/** Asks the node itself, not pgpool. */
export async function readRows<Row extends QueryResultRow>(
  { lab }: Scenario,
  node: number,
  sql: string,
): Promise<Row[]> {
  const client = new SqlClient(lab.connection(node));
  await client.connect();
  try {
    return (await client.query<Row>(sql)).rows;
  } finally {
    await client.end();
  }
}

/** The very process that the lab started: it was never stopped. */
export function expectPgpoolUntouched({ lab }: Scenario): void {
  expect(isRunning(readState(lab.name)?.processes.pgpool)).toBe(true);
}

export interface CommandSaid {
  readonly exitCode: number;
  readonly out: string;
  readonly progress: string;
}

/** Runs `pgpool-runbook rejoin NODE` and returns its output. */
export async function rejoin(scenario: Scenario, node: number): Promise<CommandSaid> {
  // A time limit, so that the command does not outlive a failed test.
  return await command(scenario, ['rejoin', String(node), '--timeout', '230']);
}

export async function decide(scenario: Scenario, stepId: string, choice: Choice): Promise<CommandSaid> {
  const incident = incidentWorkflowId(scenario.lab.configuration.cluster);
  return await command(scenario, ['decide', incident, stepId, choice, '--reason', 'the scenario says so']);
}

async function command({ lab }: Scenario, args: readonly string[]): Promise<CommandSaid> {
  let [out, progress] = ['', ''];
  const exitCode = await main([...args, '--config', lab.clusterFile], {
    writeOut: (text) => (out += text),
    writeError: (text) => (progress += text),
  });
  return { exitCode, out, progress };
}

/** Waits until this step of the open incident waits for a person. */
export async function untilParked(
  { lab, temporal }: Scenario,
  stepId: string,
  timeoutMs = 60_000,
): Promise<ParkedStep> {
  let found: ParkedStep | undefined;
  await until(
    `${stepId} is parked`,
    async () => {
      const workflowId = incidentWorkflowId(lab.configuration.cluster);
      const { runId } = await temporal.workflow.getHandle(workflowId).describe();
      const parked = await listParked(temporal, { workflowId, runId });
      found = parked.find((step) => step.stepId === stepId);
      return found !== undefined;
    },
    timeoutMs,
  );
  return found!;
}

/** The longest time without an acknowledged write from `since` on, by performance.now(). */
export function outageMs({ workload }: Scenario, since: number): number {
  return longestGapMs(workload.journal, since);
}

export function pgpoolLog({ lab }: Scenario): string {
  return readFileSync(join(lab.directory, 'pgpool', 'pgpool.log'), 'utf8');
}

/** The watch has not heard the node for two looks, and tells of its return. */
export async function isMissed({ lab, temporal }: Scenario, node: number): Promise<boolean> {
  const { watch } = await recall(temporal, lab.configuration);
  return (watch?.samples.nodes.find((entry) => entry.node === node)?.misses ?? 0) >= silentMisses;
}

/** Brings back a node that is missed, or is about to be; then the report of the incident that made it follow, whoever told of it first. */
export async function bringBack(scenario: Scenario, node: number, start: () => Promise<void>): Promise<IncidentReport> {
  await until(`the watch misses node ${node}`, () => isMissed(scenario, node), 60_000);
  await start();
  let report: IncidentReport;
  const isBack = async (): Promise<boolean> => {
    report = await finishedIncident(scenario);
    return report.follows.some((follow) => follow.node === node && follow.outcome === 'completed');
  };
  // The watch tells once of a node that returns twice within a minute.
  await until(`an incident has made node ${node} follow`, isBack, 120_000);
  return report!;
}

/** The results of an activity of the node's follows, oldest first. */
export async function readResults({ lab, temporal }: Scenario, node: number, activity: string): Promise<Result[]> {
  const runs: { startTime: Date; results: Result[] }[] = [];
  const follow = followWorkflowId(lab.configuration.cluster, node);
  for await (const { workflowId, runId, startTime } of temporal.workflow.list({ query: 'WorkflowType = "follow"' })) {
    if (workflowId !== follow) continue;
    const { events } = await temporal.workflow.getHandle(workflowId, runId).fetchHistory();
    const scheduled = new Set<string>();
    const results: Result[] = [];
    for (const {
      eventId,
      activityTaskScheduledEventAttributes: task,
      activityTaskCompletedEventAttributes: done,
    } of events ?? []) {
      if (task?.activityType?.name === activity) scheduled.add(String(eventId));
      const payload = done?.result?.payloads?.[0];
      if (payload && scheduled.has(String(done.scheduledEventId)))
        results.push(defaultPayloadConverter.fromPayload<Result>(payload));
    }
    runs.push({ startTime, results });
  }
  return runs
    .sort((one, other) => one.startTime.getTime() - other.startTime.getTime())
    .flatMap(({ results }) => results);
}

interface Result {
  readonly changed: boolean;
  readonly line: string;
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

/** A crashed primary that holds nothing past the fork is only started: where its data shall be replaced, once the others follow. */
export async function allowOnlyRebuild(scenario: Scenario, former: number, primary: number): Promise<void> {
  await expectFollowing(scenario, thirdOf(former, primary), primary);
  setPolicy(scenario, { follow: ['rebuild'] });
}

/** Awaits a condition; a rejection counts as "not yet" and is shown when time is up. */
export async function until(what: string, condition: () => Promise<boolean>, timeoutMs = 30_000): Promise<void> {
  await waitFor(condition, { what, timeoutMs });
}
