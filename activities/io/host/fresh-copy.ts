// The fresh copy that a rebuild makes, as it is on the node: found by its mark, its manifest and its job. Nothing is removed but what is ours.

import type { ClusterConfiguration, NodeConfiguration } from '../../../domain/facts/cluster';
import type { RebuildPlan } from '../../../domain/facts/data-directory';
import { actBoundMs, jobsDirectory, mustAct } from './act';
import type { Tools } from '../tools';

/**
 * marked: verified, here or already put in place. complete: every file was sent and synced. running: the job writes it.
 * incomplete: none of these. cleared: what was there was removed, with its jobs, and there is room for a new one.
 */
export type CopyState = 'marked' | 'complete' | 'running' | 'incomplete' | 'cleared';

export interface CopyFacts {
  readonly state: CopyState;
  /** The base backup ended without a result (a reboot, a SIGKILL). */
  readonly isLost: boolean;
}

export interface CopyInput {
  readonly configuration: ClusterConfiguration;
  readonly node: NodeConfiguration;
  readonly rebuild: RebuildPlan;
  /** look changes nothing; prepare removes what is of no use; discard removes what pg_verifybackup rejected. */
  readonly action: 'look' | 'prepare' | 'discard';
  /** The job of this rebuild has run, even if its directory is gone. */
  readonly hasWritten?: boolean;
}

/** Removing a large partial copy takes a while; what is left after this is removed by the next attempt. */
const actMs = 120_000;
/** Bounds concludeCopy(). */
export const concludeCopyBoundMs = actBoundMs(actMs);

export function baseBackupJobName({ rebuildId }: RebuildPlan): string {
  return `base-backup-${rebuildId.toLowerCase()}`;
}

export function verifyJobName({ rebuildId }: RebuildPlan): string {
  return `verify-${rebuildId.toLowerCase()}`;
}

/** @throws WorldChanged when something is there that is not ours to remove; Unproven when it could not be removed; Unreachable */
export async function concludeCopy(tools: Tools, input: CopyInput): Promise<CopyFacts> {
  const { configuration, node, rebuild, action } = input;
  const { rebuildId, mode, directories } = rebuild;
  const values = await mustAct(tools, {
    configuration,
    node,
    script: 'lookAfterCopy',
    args: [
      ...[action, jobsDirectory(configuration, node), baseBackupJobName(rebuild), verifyJobName(rebuild)],
      ...[rebuildId, mode, input.hasWritten === true ? 'yes' : 'no', directories[0]!.current],
      ...directories.map(({ fresh }) => fresh),
    ],
    timeoutMs: actMs,
    clockOffsetMs: 'measure',
    // A cancelled attempt must get as far as the job that it is to end.
    isCleanup: true,
    // The script looks itself.
    reliesOnNoLook: true,
    what: `look after the fresh copy at ${directories[0]!.fresh}`,
  });
  return { state: values.get('state') as CopyState, isLost: values.get('job') === 'lost' };
}
