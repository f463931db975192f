// Finds the node that was the primary, from what is on its disk, pgpool's numbers and the standbys' WAL receivers:
// pure.

import { type ClusterConfiguration, findNode } from '../facts/cluster';
import type { OpenedTimeline } from '../facts/wal';
import { findRecord } from './record';
import {
  answeringStandbys,
  descendsFrom,
  factsOf,
  type Facts,
  type HostFacts,
  type NodeFacts,
  receivesFrom,
} from '../facts/facts';

export interface Suspicion {
  /** pgpool's %P. */
  readonly oldPrimary: number | null;
  /** The node that an earlier step of this decision took for the primary. */
  readonly suspect: number | null;
  /** Timelines that promotions of ours have opened, the last one at the end. */
  readonly opened: readonly OpenedTimeline[];
  /** pgpool's %d. */
  readonly failedNode: number | null;
  /** The node that this incident fenced as the primary, which leaves no doubt. */
  readonly fencedNode: number | null;
}

/**
 * The node that was the primary. A node with processes and without standby.signal comes first, because pgpool's numbers
 * may be older than the last promotion; then those numbers and the receivers; a node with standby.signal last.
 */
export function suspectPrimary(configuration: ClusterConfiguration, facts: Facts, request: Suspicion): number | null {
  if (request.fencedNode !== null) return request.fencedNode;
  const promoted = findLastPromoted(configuration, facts, request.opened);
  const isStandby = (node: number): boolean => answeringStandbys(facts).some((entry) => entry.node === node);
  const upstreams = answeringStandbys(facts).flatMap((entry) => upstreamOf(configuration, entry));
  const byPgpool = facts.pgpools.flatMap((pgpool) =>
    pgpool.nodes.filter((entry) => entry.role === 'primary').map((entry) => entry.node),
  );
  const silent = facts.nodes.filter((entry) => entry.sql !== 'answered');
  const isNamed = ({ node }: NodeFacts): boolean => node === request.suspect || node === request.oldPrimary;
  const runsAsPrimary = silent
    .filter(({ host }) => host?.hasStandbySignal === false && hasProcesses(host) && !isSuperseded(facts, host))
    .sort(
      (left, right) =>
        Number(isNamed(right)) - Number(isNamed(left)) ||
        (right.host?.walTimeline ?? 0) - (left.host?.walTimeline ?? 0) ||
        left.node - right.node,
    );
  // With one node missing and every other one in recovery, the missing one is the primary.
  const bySilence = [request.failedNode, silent.length === 1 ? silent[0]!.node : null];
  const hints = [
    ...runsAsPrimary.map((entry) => entry.node),
    request.suspect,
    // pgpool's numbers may be older than the last promotion.
    ...(promoted === null ? [] : [promoted]),
    request.oldPrimary,
    ...byPgpool,
    ...upstreams,
    // A host outside the cluster file that a standby follows is the primary.
    ...(findAbroad(configuration, facts) ? [] : bySilence),
  ].filter((node): node is number => node !== null && !isStandby(node) && findNode(configuration, node) !== undefined);
  const hostOf = (node: number): HostFacts | null => factsOf(facts, node)?.host ?? null;
  // A stopped standby was no primary. A node that we have fenced, or that pgpool knew as the primary, may have been
  // one, unless its own files say otherwise.
  const mayHaveBeen = (node: number): boolean => {
    const host = hostOf(node);
    return (host?.fenceMark ?? 'none') !== 'none' || (node === request.oldPrimary && !isStandbyByFiles(host));
  };
  return hints.find((node) => hostOf(node)?.hasStandbySignal !== true) ?? hints.find(mayHaveBeen) ?? null;
}

/** The primary of the newest timeline that the record or a promotion of this incident names: the record may not be written yet. */
function findLastPromoted(
  configuration: ClusterConfiguration,
  facts: Facts,
  opened: readonly OpenedTimeline[],
): number | null {
  const record = findRecord(configuration, facts);
  const last = opened.at(-1);
  const recorded = record && { node: record.primary, timeline: record.timeline };
  const found = last && last.timeline > (record?.timeline ?? 0) ? last : recorded;
  // Somebody has promoted another node since.
  const isOver = found && answeringStandbys(facts).some((entry) => descendsFrom(entry, found.timeline));
  return found && !isOver ? found.node : null;
}

/**
 * A server with standby.signal, or whose control file was last written in recovery, is a standby, even if pgpool's old
 * numbers say otherwise.
 */
function isStandbyByFiles(host: HostFacts | null): boolean {
  return (
    host?.hasStandbySignal === true &&
    (host.processes === 'running' || host.controlFile?.state.includes('recovery') === true)
  );
}

/** A standby's timeline descends from the node's newest, so the node has been replaced before. */
export function isSuperseded(facts: Facts, { walTimeline }: HostFacts): boolean {
  return walTimeline !== null && answeringStandbys(facts).some((entry) => descendsFrom(entry, walTimeline));
}

/** A standby whose upstream is no node of the cluster file. */
export function findAbroad({ nodes }: ClusterConfiguration, facts: Facts): NodeFacts | undefined {
  const isAbroad = (host: string | null, port: number | null): boolean =>
    host !== null && host !== '' && !nodes.some((node) => node.host === host && node.port === (port ?? node.port));
  return answeringStandbys(facts).find(
    ({ upstream, walReceiver }) =>
      isAbroad(upstream?.host ?? null, upstream?.port ?? null) ||
      isAbroad(walReceiver?.host ?? null, walReceiver?.port ?? null),
  );
}

function hasProcesses(host: HostFacts): boolean {
  return host.processes === 'running' || host.processes === 'orphans';
}

function upstreamOf(configuration: ClusterConfiguration, entry: NodeFacts): number[] {
  return configuration.nodes.filter((node) => receivesFrom(entry, node)).map((node) => node.id);
}
