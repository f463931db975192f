// Saves the WAL that a stopped node's archive does not have yet, before its data is replaced or it comes up as a standby: a standby never
// archives what it wrote as a primary, and removes it, so point-in-time recovery would have a hole.

import { type ClusterConfiguration, getNode, type NodeConfiguration } from '../../domain/facts/cluster';
import { mustLook, savedDirectory } from '../io/host/act';
import { failure } from '../io/failures';
import { finishJob, jobBoundMs } from '../io/host/jobs';
import type { Tools } from '../io/tools';

export interface SaveUnarchivedWalInput {
  readonly configuration: ClusterConfiguration;
  readonly node: number;
}

export interface SaveUnarchivedWalResult {
  readonly changed: boolean;
  readonly line: string;
  /** Files that the archive does not have; each is saved. */
  readonly files: number;
}

const lookMs = 60_000;
const mostJobs = 2;
/** Bounds the time beside the work of the jobs: sums a look, and for each job its silence and end and one more look. */
export const boundMs = lookMs + mostJobs * (jobBoundMs + lookMs);

/**
 * Idempotent: a file that is saved already, by size and time, is not copied again. The files of all lives of a node share a directory.
 * @throws Unproven when a file was not saved; Unreachable when the node cannot be looked at
 */
export async function saveUnarchivedWal(tools: Tools, input: SaveUnarchivedWalInput): Promise<SaveUnarchivedWalResult> {
  const { configuration } = input;
  tools.attempt.tell('looking at pg_wal/archive_status');
  const node = getNode(configuration, input.node);
  const args = [node.dataDirectory, `${savedDirectory(configuration, node)}/unarchived-wal`];
  const before = await look(tools, configuration, node, args);
  if (before.missing.length === 0) return describe(node, before, false);
  const job = { configuration, node, name: 'save-unarchived-wal', script: 'saveUnarchived', args } as const;
  // One that an earlier attempt has left may have ended before these files came.
  let now = before;
  for (let jobs = 1; jobs <= mostJobs && now.missing.length > 0; jobs += 1) {
    await finishJob(tools, job, 'save the WAL that its archive lacks to paths.savedConfiguration');
    now = await look(tools, configuration, node, args);
  }
  if (now.missing.length > 0)
    throw failure('unproven', `node ${node.id}: ${now.set} lacks ${now.missing[0]}, which its archive lacks, too`);
  return describe(node, now, true);
}

/** Names; the same file is one of the same size and time. */
interface Look {
  readonly set: string;
  readonly saved: readonly string[];
  readonly missing: readonly string[];
}

async function look(
  tools: Tools,
  configuration: ClusterConfiguration,
  node: NodeConfiguration,
  args: readonly string[],
): Promise<Look> {
  const values = await mustLook(tools, {
    configuration,
    node,
    script: 'lookAtUnarchived',
    args,
    timeoutMs: lookMs,
    what: 'look at its pg_wal/archive_status',
  });
  const [ready, kept] = [values.all('ready'), new Set(values.all('saved'))];
  const namesOf = (files: readonly string[]): string[] => files.map((file) => file.split(' ')[0]!);
  return {
    set: values.get('set') ?? args[1]!,
    saved: namesOf(ready.filter((file) => kept.has(file))),
    missing: namesOf(ready.filter((file) => !kept.has(file))),
  };
}

function describe({ id }: NodeConfiguration, { set, saved }: Look, changed: boolean): SaveUnarchivedWalResult {
  const files = saved.length;
  if (files === 0) return { changed, files, line: `node ${id}: its archive lacks none of its WAL` };
  const which = files === 1 ? saved[0]! : `${saved[0]!} to ${saved.at(-1)!}`;
  const line = `node ${id} holds ${files} WAL file${files === 1 ? '' : 's'} that its archive does not have (${which}); saved in ${set}: give them to the archive, or point-in-time recovery has a hole there`;
  return { changed, files, line };
}
