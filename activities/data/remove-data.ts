// The article's "remove the data directory", for disks that cannot hold two copies: empties it, and what it links to, in place.

import { type ClusterConfiguration, getNode } from '../../domain/facts/cluster';
import type { RebuildPlan } from '../../domain/facts/data-directory';
import { savedDirectory } from '../io/host/act';
import { failure, messageOf } from '../io/failures';
import { jobBoundMs, listJobs, listJobsBoundMs } from '../io/host/jobs';
import {
  confirmReplaceable,
  confirmReplaceableBoundMs,
  directoryArguments,
  linksFile,
  readMark,
  readMarkBoundMs,
  runDirectoryJob,
} from '../io/host/rebuild-acts';
import { sqlTarget, type Tools } from '../io/tools';

export interface RemoveDataInput {
  readonly configuration: ClusterConfiguration;
  readonly node: number;
  readonly primary: number;
  readonly rebuild: RebuildPlan;
}

export interface RemoveDataResult {
  readonly changed: boolean;
  readonly line: string;
}

const what = 'remove its data';
const sqlMs = 2000;
/** Bounds the time beside the work of the job: sums the mark, the list of jobs, the guard, the primary's version, and the job's silence and end. */
export const boundMs = readMarkBoundMs + listJobsBoundMs + confirmReplaceableBoundMs + sqlMs + jobBoundMs;

/**
 * Data that was removed once for this rebuild is not removed again: whatever lies there later is the copy, or on its way to be.
 * @throws Configuration when the plan is not removeFirst; WorldChanged when a guard of design 5 does not hold at this moment;
 * Unproven; Unreachable; Cancelled, once nothing removes any more
 */
export async function removeData(tools: Tools, input: RemoveDataInput): Promise<RemoveDataResult> {
  const { configuration, rebuild } = input;
  const node = getNode(configuration, input.node);
  const title = `node ${node.id}`;
  tools.attempt.tell({ step: what, line: `${title}: ${what}` });
  if (rebuild.mode !== 'removeFirst')
    throw failure('configuration', `${title}: its data is replaced beside a copy, so it is not removed first`);
  const { mark } = await readMark(tools, configuration, node, rebuild);
  if (mark === rebuild.rebuildId) return { changed: false, line: `${title}: the new copy is there already` };
  const name = `remove-${rebuild.rebuildId.toLowerCase()}`;
  const isBegun = (await listJobs(tools, configuration, node)).includes(name);
  const { systemIdentifier, lookedAt } = await confirmReplaceable(tools, configuration, node.id, input.primary);
  const version = await readVersion(tools, input);
  await runDirectoryJob(tools, {
    configuration,
    node,
    name,
    script: 'removeData',
    args: [
      ...[configuration.postgres.bin, rebuild.rebuildId, linksFile(configuration, node)],
      ...[savedDirectory(configuration, node), version, systemIdentifier, ...directoryArguments(rebuild)],
    ],
    what,
    lookedAt,
  });
  const paths = rebuild.directories.map((directory) => directory.current).join(', ');
  return {
    changed: !isBegun,
    line: `${title}: its data is removed, ${paths} ${isBegun ? 'was emptied before' : 'empty'}`,
  };
}

/** The primary's major version. @throws Unreachable */
async function readVersion(tools: Tools, { configuration, primary }: RemoveDataInput): Promise<string> {
  const target = sqlTarget(configuration, getNode(configuration, primary));
  const text = `select current_setting('server_version_num')::int / 10000 as version`;
  try {
    const [row] = await tools.sql.query<{ version: number }>(target, text, { timeoutMs: sqlMs });
    return String(row!.version);
  } catch (error) {
    throw failure('unreachable', `node ${primary} does not tell its version: ${messageOf(error)}`, error);
  }
}
