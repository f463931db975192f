// pgpool-runbook status: the cluster by one look, the work in progress, and steps that wait for a person. Without a
// worker it shows what Temporal and the record know.

import { type Client, WorkflowFailedError, WorkflowNotFoundError } from '@temporalio/client';
import { randomUUID } from 'node:crypto';
import type { ClusterConfiguration } from '../../domain/facts/cluster';
import { describeBytes } from '../../domain/facts/data-directory';
import type { ParkedStep } from '../../domain/facts/decision';
import { inForce } from '../../domain/facts/maintenance';
import { incidentWorkflowId, lookWorkflowId, workflowTypes } from '../../domain/facts/names';
import type { Recorded } from '../../domain/facts/record';
import { type ClusterOverview, describeSamples, type NodeOverview } from '../../domain/plans/overview';
import { loadClusterFiles } from '../cluster-files';
import type { CommandResult } from '../outcome';
import { describeParked, describePending, formatDecideCommand, listParked } from '../progress';
import { withinCallTime, withTemporal } from '../temporal';
import { describeHeld, describeRecord, readKnown } from './record';

export interface StatusArguments {
  readonly config: string;
}

/** A look takes two seconds at most; the rest is for a worker that is busy. */
const answerMs = 10_000;

interface OpenIncident {
  readonly workflowId: string;
  readonly runId: string;
  readonly since: string;
  readonly doing: readonly string[];
  readonly parked: readonly ParkedStep[];
}

/**
 * Exit code 1 when the look shows no primary or more than one, when a node is away, or when a step waits for a person.
 */
export async function status(options: StatusArguments): Promise<CommandResult> {
  const { configuration } = loadClusterFiles([options.config])[0]!;
  return await withTemporal(configuration, async (client) => {
    const [overview, incident, { recorded, watch }] = await Promise.all([
      look(client, configuration),
      findIncident(client, configuration),
      readKnown(client, configuration),
    ]);
    const { record, maintenance, left } = recorded;
    const held = inForce(maintenance, new Date().toISOString());
    const last = overview === null && watch ? describeSamples(configuration, watch.samples, maintenance) : null;
    const lines = [
      ...(overview ? describeOverview(overview) : describeSilence(configuration, last)),
      ...describeRecorded(recorded),
      ...held.map(describeHeld),
      ...left.map(describeLeft),
      ...describeIncident(incident, options.config),
    ];
    const isLookedAt = overview !== null;
    const json = { ...(overview ?? last), isLookedAt, record, maintenance: held, left, incident };
    return {
      exitCode: isWell(
        overview,
        incident,
        held.map(({ node }) => node),
      )
        ? 0
        : 1,
      lines,
      json,
    };
  });
}

function isWell(
  overview: ClusterOverview | null,
  incident: OpenIncident | null,
  held: readonly (number | null)[],
): boolean {
  if (overview?.primaries.length !== 1 || (incident?.parked.length ?? 0) > 0) return false;
  return overview.nodes.every(({ node, role }) => role !== 'away' || held.includes(node));
}

/** Null when no worker answers. */
async function look(client: Client, { cluster, temporal }: ClusterConfiguration): Promise<ClusterOverview | null> {
  const handle = await withinCallTime(client, () =>
    client.workflow.start(workflowTypes.look, {
      workflowId: lookWorkflowId(cluster, randomUUID().slice(0, 8)),
      taskQueue: temporal.taskQueue,
      args: [cluster],
      workflowExecutionTimeout: answerMs,
    }),
  );
  try {
    return (await handle.result()) as ClusterOverview;
  } catch (error) {
    if (error instanceof WorkflowFailedError) return null;
    throw error;
  }
}

async function findIncident(client: Client, { cluster }: ClusterConfiguration): Promise<OpenIncident | null> {
  const handle = client.workflow.getHandle(incidentWorkflowId(cluster));
  try {
    const description = await withinCallTime(client, () => handle.describe());
    if (description.status.name !== 'RUNNING') return null;
    const { workflowId, runId, startTime } = description;
    const doing = await describeWork(client, description);
    // Only a worker answers a query; without one the rest is still shown.
    const parked = await withinCallTime(client, () => listParked(client, { workflowId, runId })).catch(() => []);
    return { workflowId, runId, since: startTime.toISOString(), doing, parked };
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return null;
    throw error;
  }
}

type Description = Awaited<ReturnType<ReturnType<Client['workflow']['getHandle']>['describe']>>;

/** The work of the incident and its children. */
async function describeWork(client: Client, incident: Description): Promise<string[]> {
  const children = (incident.raw.pendingChildren ?? []).map(({ workflowId, runId }) =>
    withinCallTime(client, () => client.workflow.getHandle(workflowId!, runId!).describe()),
  );
  const all = [incident, ...(await Promise.all(children))];
  return all.flatMap((description) => describePending(description).map(({ line }) => line));
}

/** @param last what the watch saw last; null = nothing is known of that */
function describeSilence({ cluster, temporal }: ClusterConfiguration, last: ClusterOverview | null): string[] {
  const advice = `is a worker of cluster ${cluster} running on task queue ${temporal.taskQueue}?`;
  const silence = `cluster ${cluster}: no worker has looked within ${answerMs / 1000} s: ${advice}`;
  if (!last) return [`${silence} What was recorded last:`];
  const ageSeconds = Math.max(0, Math.round((Date.now() - Date.parse(last.takenAt)) / 1000));
  return [`${silence} What the watch saw last, ${describeSeconds(ageSeconds)} ago:`, ...describeOverview(last)];
}

function describeSeconds(seconds: number): string {
  if (seconds < 120) return `${seconds} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}

/** Only what is different about it then: the watch tells of every other node. */
function describeLeft(node: number): string {
  return `node ${node}: a person has chosen to leave it as it is; the watch does not tell of it until it comes back, or streams`;
}

const columns = ['node', 'role', 'timeline', 'LSN', 'lag', 'from'] as const;

function describeOverview({ cluster, nodes, primaries, served, takenAt }: ClusterOverview): string[] {
  const pgpools = Object.keys(served);
  const rows = [[...columns, ...pgpools], ...nodes.map((node) => cellsOf(node, pgpools))];
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const table = rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join('  ')
      .trimEnd(),
  );
  const notes = nodes.flatMap(({ node, role, seen }) => (role === 'away' ? [`node ${node}: ${seen}`] : []));
  const views = Object.entries(served).map(
    ([pgpool, node]) => `${pgpool}: ${node === null ? 'shows no primary, or did not answer' : `serves node ${node}`}`,
  );
  return [`cluster ${cluster} at ${takenAt}: ${describePrimaries(primaries)}`, ...table, ...notes, ...views];
}

function describePrimaries(primaries: readonly number[]): string {
  if (primaries.length === 0) return 'no node accepts writes';
  if (primaries.length === 1) return `node ${primaries[0]!} is the primary`;
  return `MORE THAN ONE node accepts writes: ${primaries.join(', ')}`;
}

function cellsOf(node: NodeOverview, pgpools: readonly string[]): string[] {
  const lag = node.lagBytes === null ? '' : describeBytes(node.lagBytes);
  const role = node.isInMaintenance ? `${node.role} (maintenance)` : node.role;
  const own = [String(node.node), role, String(node.timeline ?? ''), node.lsn ?? '', lag, node.from ?? ''];
  return [...own, ...pgpools.map((pgpool) => node.pgpools[pgpool] ?? 'unknown')];
}

function describeRecorded({ record }: Recorded): string[] {
  return record ? describeRecord(record).map((line) => `record: ${line}`) : [];
}

function describeIncident(incident: OpenIncident | null, clusterFile: string): string[] {
  if (!incident) return ['no incident is open'];
  return [
    `incident ${incident.workflowId} is open since ${incident.since}`,
    ...incident.doing.map((line) => `  ${line}`),
    ...incident.parked.flatMap((step) => [
      `  ${describeParked(step)}`,
      `    ${formatDecideCommand('pgpool-runbook', incident.workflowId, step, clusterFile)}`,
    ]),
  ];
}
