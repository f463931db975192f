// The end of a rebuild, once the node streams: what was set aside is kept or removed by policy, and everything of ours goes.

import { type ClusterConfiguration, getNode } from '../../domain/facts/cluster';
import { describeBytes, type RebuildPlan } from '../../domain/facts/data-directory';
import { receivesFrom } from '../../domain/facts/facts';
import { failure } from '../io/failures';
import { baseBackupJobName } from '../io/host/fresh-copy';
import { endJobBoundMs, jobBoundMs, listJobs, listJobsBoundMs, removeJobs } from '../io/host/jobs';
import { nodeFactsBoundMs, readNodeFacts } from '../io/sql/node-facts';
import {
  actOnDirectories,
  directoryActBoundMs,
  directoryArguments,
  linksFile,
  readMark,
  readMarkBoundMs,
  runDirectoryJob,
} from '../io/host/rebuild-acts';
import type { Values } from '../io/host/answer';
import type { Tools } from '../io/tools';

export interface ClearReplacedDataInput {
  readonly configuration: ClusterConfiguration;
  readonly node: number;
  readonly primary: number;
  readonly rebuild: RebuildPlan;
}

export interface ClearReplacedDataResult {
  readonly changed: boolean;
  readonly line: string;
  /** The one directory that is kept, its linked ones beside it; null when none is. */
  readonly kept: string | null;
}

const what = 'clear up what was replaced';
const sqlMs = 2000;
/** Bounds the time beside the work of the job: sums the three looks before it, its silence and end, and the removal of all jobs and of the mark. */
export const boundMs =
  readMarkBoundMs + nodeFactsBoundMs(sqlMs) + listJobsBoundMs + jobBoundMs + endJobBoundMs + directoryActBoundMs;

/**
 * The mark goes last: while it is there, this is still to do. Only directories whose name ends in the id of a rebuild of ours, or
 * in the name of a copy of ours, are removed; with policy `remove` all of them, else all but the last data that served.
 * @throws Unproven when the node does not stream from the primary now, and nothing is removed; WorldChanged when its data is the
 * copy of another rebuild, or a newer one has begun; Unreachable; Cancelled, once nothing removes any more
 */
export async function clearReplacedData(tools: Tools, input: ClearReplacedDataInput): Promise<ClearReplacedDataResult> {
  const { configuration, rebuild } = input;
  const node = getNode(configuration, input.node);
  const name = `node ${node.id}`;
  tools.attempt.tell({ step: what, line: `${name}: ${what}` });
  const { mark } = await readMark(tools, configuration, node, rebuild);
  if (!mark) return { changed: false, line: `${name}: nothing is left to clear up`, kept: null };
  await confirmStreams(tools, input);
  const [own, jobs] = [baseBackupJobName(rebuild), await listJobs(tools, configuration, node)];
  const newer = jobs.find((job) => job.startsWith('base-backup-') && job > own);
  if (newer) throw failure('worldChanged', `${name}: a newer rebuild has begun (${newer}): nothing is removed`);
  const values = await runDirectoryJob(tools, {
    configuration,
    node,
    name: `clear-${rebuild.rebuildId.toLowerCase()}`,
    script: 'clearReplacedData',
    args: [
      ...[configuration.postgres.bin, rebuild.rebuildId],
      configuration.policy.replacedData === 'remove' ? 'no' : 'yes',
      ...directoryArguments(rebuild),
    ],
    what,
  });
  await removeJobs(tools, configuration, node);
  await actOnDirectories(tools, {
    configuration,
    node,
    script: 'finishRebuild',
    args: [rebuild.rebuildId, linksFile(configuration, node), ...directoryArguments(rebuild)],
    what: 'remove the mark of the rebuild',
  });
  const kept = values.get('kept') ?? null;
  return { changed: true, line: `${name}: ${describe(values, kept)}`, kept };
}

function describe(values: Values, kept: string | null): string {
  const size = describeBytes(Number(values.get('kilobytes') ?? 0) * 1024);
  const removed = values.all('removed');
  const used = values.all('used');
  return [
    kept && `the replaced data is kept in ${kept}, ${size}; remove it when you no longer need it`,
    removed.length > 0 && `removed ${removed.join(', ')}`,
    used.length > 0 && `${used.join(', ')} should go, but is in use or is not a plain directory: remove it yourself`,
    !kept && removed.length === 0 && 'no replaced data is left',
  ]
    .filter(Boolean)
    .join('; ');
}

async function confirmStreams(tools: Tools, { configuration, node, primary }: ClearReplacedDataInput): Promise<void> {
  const facts = await readNodeFacts(tools.sql, configuration, getNode(configuration, node), sqlMs);
  const isStreaming = facts.isInRecovery === true && facts.walReceiver?.isStreaming === true;
  if (isStreaming && receivesFrom(facts, getNode(configuration, primary))) return;
  throw failure(
    'unproven',
    `node ${node} does not stream from node ${primary} (${facts.sqlSeen}): nothing of what was replaced is removed`,
  );
}
