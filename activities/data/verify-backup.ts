// Verifies the fresh copy, every file against its checksum in backup_manifest and the WAL that it needs, and marks it.
// Until the mark is there, nothing of the old data is touched.

import { type ClusterConfiguration, getNode } from '../../domain/facts/cluster';
import { rebuildMarkName, type RebuildPlan } from '../../domain/facts/data-directory';
import { requireDone } from '../io/host/answer';
import { failure } from '../io/failures';
import { concludeCopy, concludeCopyBoundMs, verifyJobName } from '../io/host/fresh-copy';
import { answerOf, jobBoundMs, runJob } from '../io/host/jobs';
import type { Tools } from '../io/tools';

export interface VerifyBackupInput {
  readonly configuration: ClusterConfiguration;
  readonly node: number;
  readonly rebuild: RebuildPlan;
}

export interface VerifyBackupResult {
  readonly changed: boolean;
  readonly line: string;
}

/** Bounds the time beside the work of the job: sums the look at the copy before it, its silence and end, the look after it, and the removal. */
export const boundMs = concludeCopyBoundMs + jobBoundMs + 2 * concludeCopyBoundMs;

/**
 * A copy that is not what the primary sent is removed with its jobs, so that the runbook, read from the top, copies anew.
 * @throws WorldChanged when the copy is wrong, or there is none; Configuration when pg_verifybackup cannot be run; Unproven
 */
export async function verifyBackup(tools: Tools, input: VerifyBackupInput): Promise<VerifyBackupResult> {
  const details = { step: 'verify backup', line: `node ${input.node}: the fresh copy is verified` };
  tools.attempt.tell(details);
  const { configuration, rebuild } = input;
  const node = getNode(configuration, input.node);
  const { bin } = configuration.postgres;
  const { fresh } = rebuild.directories[0]!;
  const name = `node ${node.id}`;
  const conclude = (action: 'look' | 'discard') => concludeCopy(tools, { configuration, node, rebuild, action });
  const found = await conclude('look');
  if (found.state === 'marked') return { changed: false, line: `${name}: the fresh copy was verified before` };
  if (found.state !== 'complete')
    throw failure(
      'worldChanged',
      `${name}: there is no complete base backup at ${fresh} to verify: it is to be made first`,
    );
  const job = {
    configuration,
    node,
    name: verifyJobName(rebuild),
    script: 'verifyBackup',
    args: [bin, fresh, rebuild.rebuildId],
  } as const;
  const end = await runJob(tools, job, () => details);
  if ((await conclude('look')).state === 'marked')
    return { changed: true, line: `${name}: the fresh copy is what its source sent, file by file (${fresh})` };
  const { state } = await conclude('discard');
  const answer = answerOf(end);
  if (state === 'cleared') {
    const words = answer.kind === 'done' ? 'it lacks its mark' : answer.sentence;
    throw failure('worldChanged', `${name}: the copy at ${fresh} is wrong and was removed: ${words}; copy anew`);
  }
  const what = `verify the fresh copy at ${fresh}`;
  requireDone({ node, what }, answer);
  throw failure('unproven', `${name}: cannot ${what}: its mark ${rebuildMarkName} is missing`);
}
