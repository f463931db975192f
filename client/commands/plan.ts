// pgpool-runbook plan: tells what a failover would do if nodes were down, from the facts of this moment. Changes
// nothing.

import { type Client, WorkflowFailedError } from '@temporalio/client';
import { randomUUID } from 'node:crypto';
import { type ClusterConfiguration, findNode } from '../../domain/facts/cluster';
import { planWorkflowId, workflowTypes } from '../../domain/facts/names';
import type { ToldPlan, ToldFollow } from '../../workflows/runbooks/telling';
import { loadClusterFiles } from '../cluster-files';
import { CommandFailure, type CommandResult } from '../outcome';
import { withinCallTime, withTemporal } from '../temporal';

export interface PlanArguments {
  readonly config: string;
  /** NODE=down, once for each node. */
  readonly if: readonly string[];
}

/** A look takes two seconds at most; the rest is for a worker that is busy. */
const answerMs = 15_000;

/** @throws CommandFailure 2 for a node that the file does not have, 3 without Temporal, 4 when no worker answers */
export async function plan(options: PlanArguments): Promise<CommandResult> {
  const { configuration } = loadClusterFiles([options.config])[0]!;
  const down = [...new Set(options.if.map((text) => parseCondition(configuration, text)))];
  const told = await withTemporal(configuration, (client) => ask(client, configuration, down));
  return { exitCode: told.outcome === 'completed' ? 0 : 1, lines: describe(told, down), json: { down, ...told } };
}

function parseCondition(configuration: ClusterConfiguration, text: string): number {
  const [, id] = /^([0-9]{1,3})=down$/.exec(text) ?? [];
  if (id === undefined) throw new CommandFailure(2, `--if ${text}: say NODE=down, as in --if 0=down`);
  const node = findNode(configuration, Number(id));
  if (node) return node.id;
  const ids = configuration.nodes.map((entry) => entry.id).join(', ');
  throw new CommandFailure(2, `--if ${text}: cluster ${configuration.cluster} has no node ${id}: its nodes are ${ids}`);
}

async function ask(
  client: Client,
  { cluster, temporal }: ClusterConfiguration,
  down: readonly number[],
): Promise<ToldPlan> {
  const { taskQueue } = temporal;
  const handle = await withinCallTime(client, () =>
    client.workflow.start(workflowTypes.plan, {
      workflowId: planWorkflowId(cluster, randomUUID().slice(0, 8)),
      taskQueue,
      args: [{ cluster, down }],
      workflowExecutionTimeout: answerMs,
    }),
  );
  try {
    return (await handle.result()) as ToldPlan;
  } catch (error) {
    if (!(error instanceof WorkflowFailedError)) throw error;
    const advice = `is a worker of cluster ${cluster} running on task queue ${taskQueue}?`;
    throw new CommandFailure(4, `no answer within ${answerMs / 1000} s: ${advice} (${error.cause?.message ?? ''})`);
  }
}

function describe(told: ToldPlan, down: readonly number[]): string[] {
  const nodes = down.map((node) => `node ${node}`).join(' and ');
  return [
    `if ${nodes} went down now (facts of ${told.takenAt}; nothing was changed):`,
    `  ${told.outcome} (${told.reason}): ${told.line}`,
    ...listVerbs(told.verbs),
    ...told.follows.flatMap(describeFollow),
  ];
}

function describeFollow({ node, rung, line, verbs }: ToldFollow): string[] {
  return [`node ${node}: ${rung === 'left' ? 'nothing now' : rung}: ${line}`, ...listVerbs(verbs)];
}

function listVerbs(verbs: ToldPlan['verbs']): string[] {
  return verbs.map(({ title, why }, index) => `  ${String(index + 1).padStart(2)}. ${title}: ${why}`);
}
