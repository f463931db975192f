// Looks whether a node holds WAL past the fork: at least one whole record that the primary's history does not contain.

import { type ClusterConfiguration, getNode } from '../../domain/facts/cluster';
import type { OwnWal } from '../../domain/plans/follow';
import { findFork, rangesAfter, type TimelineEnd } from '../../domain/facts/wal';
import { findRecord, lookAtWal, walLookMs } from '../io/host/own-wal';
import type { Tools } from '../io/tools';

export interface FindOwnWalInput {
  readonly configuration: ClusterConfiguration;
  readonly node: number;
  readonly primaryTimeline: number;
  readonly primaryHistory: readonly TimelineEnd[];
}

export interface FindOwnWalResult {
  readonly changed: false;
  readonly line: string;
  readonly ownWal: OwnWal;
}

/** Sums the look at pg_wal and the search for a record. */
export const boundMs = walLookMs + walLookMs;

/**
 * Reads only, with pg_waldump, and takes no lock. A record whose end is missing is none: nobody will ever replay it.
 * @throws Configuration when pg_waldump cannot be run there; Unreachable when the look fails
 */
export async function findOwnWal(tools: Tools, input: FindOwnWalInput): Promise<FindOwnWalResult> {
  const { configuration } = input;
  const node = getNode(configuration, input.node);
  const answer = (ownWal: OwnWal, what: string): FindOwnWalResult => ({
    changed: false,
    line: `node ${node.id} ${what}`,
    ownWal,
  });
  const { wal, seen } = await lookAtWal(tools, configuration, node, '');
  if (!wal) return answer('unknown', `has no WAL to look at: ${seen}`);
  const fork = findFork(wal, { timeline: input.primaryTimeline, history: input.primaryHistory });
  if (!fork) return answer('none', 'is on the same branch as its primary');
  const at = `the fork at (${fork.timeline}, ${fork.lsn})`;
  return (await findRecord(tools, configuration, node, wal.directory, rangesAfter(wal, fork)))
    ? answer('some', `holds whole records past ${at}`)
    : answer('none', `holds no whole record past ${at}`);
}
