// pgpool-runbook decide: sends a person's choice for a parked step; without a step, lists the parked steps.

import { type Client, WorkflowNotFoundError, WorkflowUpdateFailedError } from '@temporalio/client';
import { hostname, userInfo } from 'node:os';
import type { ClusterConfiguration } from '../../domain/facts/cluster';
import type { Choice, Decision } from '../../domain/facts/decision';
import { decideUpdateName, incidentWorkflowId } from '../../domain/facts/names';
import { loadClusterFiles } from '../cluster-files';
import { CommandFailure, type CommandResult } from '../outcome';
import { describeParked, formatDecideCommand, listParked } from '../progress';
import { isUnanswered, withinCallTime, withTemporal } from '../temporal';

export interface DecideArguments {
  readonly config: string;
  readonly reason?: string;
  /** Default: the user of the operating system, at this host. */
  readonly operator?: string;
}

interface Run {
  readonly workflowId: string;
  readonly runId: string;
}

/**
 * @throws CommandFailure 1 when nothing is open or the incident rejects the decision; 2 usage; 3 without Temporal; 4
 * without a worker
 */
export async function decide(
  incident: string,
  stepId: string | undefined,
  choice: Choice | undefined,
  options: DecideArguments,
): Promise<CommandResult> {
  const configuration = loadClusterFiles([options.config])[0]!.configuration;
  const expected = incidentWorkflowId(configuration.cluster);
  if (incident !== expected)
    throw new CommandFailure(2, `${options.config} is about the incident ${expected}, not ${incident}`);
  const decision = stepId === undefined ? null : createDecision(stepId, choice, options);
  return await withTemporal(configuration, async (client) => {
    const run = await findOpenRun(client, incident);
    return await askWorker(client, configuration, () =>
      decision ? sendDecision(client, run, decision) : showParked(client, run, options.config),
    );
  });
}

function createDecision(stepId: string, choice: Choice | undefined, options: DecideArguments): Decision {
  if (choice === undefined)
    throw new CommandFailure(2, `what shall be done about ${stepId}? Say retry, skip or abort after it`);
  const { reason, operator = findOperator() } = options;
  if (reason === undefined || reason.trim() === '')
    throw new CommandFailure(2, 'say why with --reason TEXT: it is kept with the decision');
  return { stepId, choice, operator, reason };
}

async function findOpenRun(client: Client, workflowId: string): Promise<Run> {
  const none = `no incident ${workflowId} is open: nothing waits for a decision`;
  try {
    const { runId, status } = await withinCallTime(client, () => client.workflow.getHandle(workflowId).describe());
    if (status.name !== 'RUNNING') throw new CommandFailure(1, none);
    return { workflowId, runId };
  } catch (error) {
    throw error instanceof WorkflowNotFoundError ? new CommandFailure(1, none) : error;
  }
}

async function showParked(client: Client, run: Run, clusterFile: string): Promise<CommandResult> {
  const parked = await listParked(client, run);
  const lines = parked.flatMap((step) => [
    describeParked(step),
    `  ${formatDecideCommand('pgpool-runbook', run.workflowId, step, clusterFile)}`,
  ]);
  const none = `nothing is parked in ${run.workflowId}`;
  return { exitCode: 0, lines: parked.length > 0 ? lines : [none], json: { incident: run, parked } };
}

async function sendDecision(client: Client, run: Run, decision: Decision): Promise<CommandResult> {
  const handle = client.workflow.getHandle(run.workflowId, run.runId);
  try {
    const answer = await handle.executeUpdate<string, [Decision]>(decideUpdateName, { args: [decision] });
    return { exitCode: 0, lines: [answer], json: { incident: run, ...decision, answer } };
  } catch (error) {
    if (error instanceof WorkflowUpdateFailedError)
      throw new CommandFailure(1, error.cause?.message ?? `${run.workflowId} rejected the decision`);
    if (error instanceof WorkflowNotFoundError)
      throw new CommandFailure(1, `the incident ${run.workflowId} has just ended: nothing waits for a decision`);
    throw error;
  }
}

/** Asks a worker, which may be away although Temporal answers. */
async function askWorker<T>(client: Client, { temporal }: ClusterConfiguration, ask: () => Promise<T>): Promise<T> {
  try {
    return await withinCallTime(client, ask);
  } catch (error) {
    if (!isUnanswered(error)) throw error;
    const advice = 'start one (pgpool-runbook worker), then look at what is parked before you decide again';
    throw new CommandFailure(4, `no worker answers on task queue ${temporal.taskQueue}: ${advice}`);
  }
}

export function findOperator(): string {
  try {
    return `${userInfo().username}@${hostname()}`;
  } catch {
    // A container's user may have no name.
    return `user ${String(process.getuid?.())}@${hostname()}`;
  }
}
