// Verifies the fresh copy, every file against its checksum in backup_manifest and the WAL that it needs, and marks it.
// Until the mark is there, nothing of the old data is touched.

import { type ClusterConfiguration, getNode } from '../../domain/facts/cluster';
import { rebuildMarkName, type RebuildPlan } from '../../domain/facts/data-directory';
import { failure } from '../io/failures';
import { concludeCopy, verifyJobName } from '../io/host/fresh-copy';
import { scripts } from '../io/host/scripts';
import { runJob } from '../io/host/jobs';
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
    script: scripts.verifyBackup,
    args: [bin, fresh, rebuild.rebuildId],
  };
  const end = await runJob(tools, job, () => details);
  if ((await conclude('look')).state === 'marked')
    return { changed: true, line: `${name}: the fresh copy is what its source sent, file by file (${fresh})` };
  const { state } = await conclude('discard');
  const words = end.log.trim().slice(-800) || 'without a word';
  if (state === 'cleared')
    throw failure('worldChanged', `${name}: the copy at ${fresh} is wrong and was removed: ${words}; copy anew`);
  if (end.state === 'done' && end.exitCode === 5) throw failure('configuration', `${name}: ${words}`);
  const how = end.state === 'lost' ? 'was lost half-way' : `ended with ${end.exitCode}`;
  throw failure('unproven', `${name}: pg_verifybackup ${how}, and ${fresh}/${rebuildMarkName} is missing: ${words}`);
}
