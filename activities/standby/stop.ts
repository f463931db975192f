// Stops PostgreSQL on a node whose data is to be replaced: the article's immediate stop, until no process of its data directory is left.

import { type ClusterConfiguration, getNode } from '../../domain/facts/cluster';
import { serviceCommands } from '../../domain/texts/service';
import { actBoundMs, mustAct } from '../io/host/act';
import { failure } from '../io/failures';
import { nodeFactsBoundMs, readNodeFacts } from '../io/sql/node-facts';
import type { Tools } from '../io/tools';

export interface StopInput {
  readonly configuration: ClusterConfiguration;
  readonly node: number;
  /** Accepts writes, which is looked at just before. */
  readonly primary: number;
}

export interface StopResult {
  readonly changed: boolean;
  readonly line: string;
}

const readMs = 3000;
/** The service's own stop 10 s, the immediate one 7 s, SIGKILL 4 s, and a wait for the lock. */
const stopMs = 45_000;
/** Sums the look at both nodes and the stop. */
export const boundMs = nodeFactsBoundMs(readMs) + actBoundMs(stopMs);

/**
 * A node that answers and is out of recovery is never stopped here, only by a fence: that saves what it took.
 * @throws Configuration for the primary itself; WorldChanged when the primary does not accept writes, or the node does;
 * Unproven when processes are left; Unreachable
 */
export async function stop(tools: Tools, input: StopInput): Promise<StopResult> {
  const { configuration } = input;
  const node = getNode(configuration, input.node);
  const lookedAt = Date.now();
  const wasStandby = await refuseWritable(tools, input);
  const isService = configuration.postgres.service.kind !== 'pg_ctl';
  const values = await mustAct(tools, {
    configuration,
    node,
    script: 'stop',
    args: [
      node.dataDirectory,
      configuration.postgres.bin,
      serviceCommands(configuration, node).stop,
      isService ? 'yes' : 'no',
      wasStandby ? 'yes' : 'no',
    ],
    timeoutMs: stopMs,
    clockOffsetMs: 'measure',
    lookedAt,
    what: 'stop PostgreSQL',
  });
  const how = values.get('how') ?? '';
  return {
    changed: how !== 'absent' && how !== 'already-stopped',
    line: describe(`node ${node.id}`, how, node.dataDirectory),
  };
}

/** Whether the node answers that it is in recovery. */
async function refuseWritable(tools: Tools, { configuration, node, primary }: StopInput): Promise<boolean> {
  if (node === primary)
    throw failure('configuration', `node ${node} is the primary: it is not stopped, and its data is not replaced`);
  const [own, other] = await Promise.all(
    [node, primary].map((id) => readNodeFacts(tools.sql, configuration, getNode(configuration, id), readMs)),
  );
  if (other?.isInRecovery !== false) {
    throw failure(
      'worldChanged',
      `node ${node} is not stopped, because its primary is not known to accept writes: node ${primary} ${other?.sqlSeen ?? ''}`,
    );
  }
  if (own?.isInRecovery === false) {
    throw failure(
      'worldChanged',
      `node ${node} accepts writes: it is not stopped here, because what it took would be lost unseen; the incident looks again, and fences it`,
    );
  }
  return own?.isInRecovery === true;
}

function describe(name: string, how: string, dataDirectory: string): string {
  const seen: Record<string, string> = {
    absent: `nothing runs, because ${dataDirectory} does not exist`,
    'already-stopped': 'PostgreSQL was stopped already',
    stop: 'PostgreSQL was stopped by its service',
    immediate: 'PostgreSQL was stopped (immediate)',
    killed: 'PostgreSQL did not stop in time and was ended by SIGKILL',
    'orphans-killed': 'processes without a postmaster were ended by SIGKILL',
  };
  return `${name}: ${seen[how] ?? how}; no process of ${dataDirectory} is left`;
}
