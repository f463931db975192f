// Plans how one node comes to follow the primary: pure, from facts. A rebuild needs proof from more than one look.

import { type ClusterConfiguration, findNode, findNodeAt, getNode } from '../facts/cluster';
import { describeMaintenance } from '../facts/maintenance';
import type { ReasonCode } from '../facts/reasons';
import { compareLsn, isDiverged, timelineAt, type WalPosition } from '../facts/wal';
import { factsOf, type Facts, type HostFacts, type NodeFacts, receivesFrom, writableNodes } from '../facts/facts';
import { findMaintenance } from './maintenance';

export interface FollowRequest {
  readonly node: number;
  readonly primary: number;
  /** A person asked for the node, or this incident's fence stopped it: a stopped node may be started or rebuilt. */
  readonly isStartAllowed: boolean;
  /** The node was repointed, and the primary no longer has the WAL that it needs. */
  readonly hasLostWal: boolean;
  /** A person has chosen the rebuild, because the node does not come up. */
  readonly isRebuildWanted?: boolean;
  /** Whole WAL records past the fork in the node's pg_wal; absent = not looked for. */
  readonly ownWal?: OwnWal;
}

/** `unknown` = looked for, but nothing could be read. */
export type OwnWal = 'none' | 'some' | 'unknown';

/**
 * `start` = write the replication settings, then start the node: it must come up as a standby of this primary.
 * `wait` = the node is already starting as a standby. `compare` = the plan depends on `ownWal`: look for it, then plan
 * again.
 */
export type FollowPlan =
  | { readonly rung: 'none' | 'repoint' | 'start' | 'wait' | 'rebuild'; readonly line: string }
  | { readonly rung: 'compare'; readonly line: string }
  | { readonly rung: 'refuse'; readonly reason: ReasonCode; readonly line: string };

type Positioned = NodeFacts & { readonly position: WalPosition };

/** Facts that every rule uses: the node, the primary that it must follow, and their names for sentences. */
interface Case {
  readonly configuration: ClusterConfiguration;
  readonly request: FollowRequest;
  readonly name: string;
  readonly primaryName: string;
  readonly source: Positioned;
  readonly watch: Facts['watch'];
}

/**
 * Why no node can follow the primary now. A worker that is turned away, for example by a wrong password, learns nothing
 * about the node's role.
 */
export function describeMissing(name: string, facts: NodeFacts | undefined): string {
  if (!facts) return `${name} is not in the cluster file`;
  return facts.sql === 'rejected'
    ? `${name} refuses the worker's query: ${facts.sqlSeen}`
    : `${name} does not answer as the primary: ${facts.sqlSeen}`;
}

/** The plan for `request.node` to follow `request.primary`. */
export function planFollow(configuration: ClusterConfiguration, facts: Facts, request: FollowRequest): FollowPlan {
  const { node, primary } = request;
  const name = `node ${node}`;
  const primaryName = `node ${primary}`;
  if (!findNode(configuration, node)) {
    return refuse('node-not-configured', `${name} is not in the cluster file of ${configuration.cluster}`);
  }
  if (node === primary) return refuse('node-not-standby', `${name} is the primary itself: it follows no other node`);
  const maintenance = findMaintenance(facts, node);
  if (maintenance)
    return refuse('in-maintenance', `${name} is in maintenance ${describeMaintenance(maintenance)}: it is left alone`);
  const source = writableNodes(facts).find((entry) => entry.node === primary);
  if (!source || !isPositioned(source))
    return refuse('primary-missing', describeMissing(primaryName, factsOf(facts, primary)));
  const own = factsOf(facts, node);
  const about: Case = { configuration, request, name, primaryName, source, watch: facts.watch };
  return own?.sql === 'answered' ? planAnswering(about, own) : planSilent(about, own);
}

function planAnswering(about: Case, own: NodeFacts): FollowPlan {
  const { configuration, request, name, primaryName, source } = about;
  if (!isPositioned(own)) return refuse('node-unreachable', `${name} answers, but cannot say where its WAL ends`);
  if (own.isInRecovery !== true) {
    return refuse('node-not-standby', `${name} accepts writes itself: stop it before anything else`);
  }
  const stranger = findStranger(about, own.systemIdentifier, own.position.timeline);
  if (stranger) return stranger;
  const stream = describeStream(about, own);
  if (stream === 'right') {
    return {
      rung: 'none',
      line: `${name} already streams from ${primaryName} on timeline ${source.position.timeline}`,
    };
  }
  const isRepointAllowed = configuration.policy.follow.includes('repoint');
  if (stream === 'cascade') {
    return {
      rung: 'none',
      line: `${name} streams ${primaryName}'s timeline through another standby: a cascade is left so`,
    };
  }
  if (stream === 'elsewhere' || stream === 'unfed') {
    const from = `${name} streams the primary's timeline ${source.position.timeline} from ${own.walReceiver?.host ?? 'another host'}`;
    if (isRepointAllowed) return { rung: 'repoint', line: `${from}: repoint to ${primaryName} by reload` };
    return stream === 'unfed'
      ? refuse('not-streaming', `${from}, which receives nothing: policy.follow has no repoint`)
      : { rung: 'none', line: `${from}: left so, because policy.follow has no repoint` };
  }
  if (hasDiverged(own, source)) {
    const holds = `${name} has replayed WAL that the primary, ${primaryName}, does not have: it is at ${describe(replayedBy(own))}`;
    return rebuild(about, 'diverged', holds);
  }
  if (request.hasLostWal)
    return rebuild(about, 'not-streaming', `${primaryName} no longer has the WAL that ${name} needs`);
  if (!isRepointAllowed)
    return rebuild(about, 'not-streaming', `${name} does not stream, policy.follow has no repoint`);
  if (hasReceivedMore(own, source)) return planReceived(about, own);
  return { rung: 'repoint', line: `${name} has nothing that ${primaryName} is known to lack: repoint by reload` };
}

/**
 * A node that has received more than the primary has, and not replayed it. PostgreSQL replays what the receiver wrote
 * before it asks for more (WaitForWALToBecomeAvailable). A whole extra record will be replayed, and then the node can
 * no longer follow the primary (rescanLatestTimeLine). Part of a record, as a primary that dies under load leaves it,
 * is fetched again from the primary.
 */
function planReceived({ request, ...about }: Case, own: Positioned): FollowPlan {
  const { name, primaryName } = about;
  const seen = `${name} has received WAL past the fork, up to ${describe(own.position)}, and replayed it up to ${describe(replayedBy(own))}`;
  if (request.ownWal === undefined) return { rung: 'compare', line: `${seen}: is there a whole record in it?` };
  if (request.ownWal === 'some')
    return rebuild({ request, ...about }, 'diverged', `${seen}: it holds records that ${primaryName} does not have`);
  return { rung: 'repoint', line: `${seen}: no whole record of that is known: repoint by reload` };
}

/** A node that does not answer SQL: the facts of its host decide. */
function planSilent(about: Case, own: NodeFacts | undefined): FollowPlan {
  const { request, name } = about;
  const host = own?.host;
  const sqlSeen = own?.sqlSeen ?? 'not asked';
  const away = (what: string): FollowPlan =>
    refuse('node-unreachable', `${name} does not answer (${sqlSeen}): ${what}`);
  if (host?.ssh !== 'answered')
    return away(
      `its host does not answer either (${host?.seen ?? 'not asked'}); the follow goes on when the node is back`,
    );
  if (request.isRebuildWanted === true)
    return rebuild(about, 'node-unreachable', `${name} does not come up (${sqlSeen})`);
  const isStarting = own?.sql === 'recovering' && host.processes === 'running' && host.hasStandbySignal === true;
  if (isStarting && request.isStartAllowed)
    return { rung: 'wait', line: `${name} is starting as a standby (${sqlSeen}): wait until it answers` };
  if (host.processes === 'running') return away('PostgreSQL runs there: it may still be starting; its log says more');
  if (host.processes === 'orphans') return away('backends without their postmaster are left there: end them');
  const isStopped = host.processes === 'none' || host.hasDataDirectory === false;
  // A firewall may drop what nobody answers.
  if ((own?.sql !== 'refused' && own?.sql !== 'silent') || !isStopped)
    return away(`its host does, and says: ${host.seen}, processes: ${host.processes}`);
  if (!request.isStartAllowed) {
    return away(`it is stopped. Start it, or give the order: pgpool-runbook rejoin ${request.node}`);
  }
  return planStopped(about, host);
}

/**
 * A node without any process. Only two kinds may be started: a standby, which is looked at again once it answers, and a
 * former primary that holds nothing past the fork. Any other node counts as diverged: starting it would risk the only
 * copy of its data.
 */
function planStopped(about: Case, host: HostFacts): FollowPlan {
  const { name, primaryName, source } = about;
  if (host.hasDataDirectory === false) return rebuild(about, 'node-unreachable', `${name} has no data directory`);
  const control = host.controlFile;
  if (!control) {
    const seen = `${name} is stopped, and its control file cannot be read (${host.seen})`;
    return refuse('node-unreachable', `${seen}: correct that, or move its data directory away to have it rebuilt`);
  }
  const { state, checkpoint } = control;
  const stranger = findStranger(about, control.systemIdentifier, checkpoint.timeline);
  if (stranger) return stranger;
  if ((state === 'shut down in recovery' || state === 'in archive recovery') && host.hasStandbySignal === true) {
    return { rung: 'start', line: `${name} is a stopped standby (${state}): start it and look again` };
  }
  const seen = `${name} was the primary (${state}, last checkpoint ${describe(checkpoint)})`;
  const end = source.history.find((entry) => entry.timeline === checkpoint.timeline);
  // The checkpoint record, the node's last, must lie wholly before the fork; forks are at the end of a record.
  const isBeforeFork = end !== undefined && compareLsn(checkpoint.lsn, end.endLsn) < 0;
  if (state !== 'shut down') return planCrashed(about, `${seen} and did not stop cleanly`, isBeforeFork);
  if (isBeforeFork) {
    return { rung: 'start', line: `${seen}, and ${primaryName} has all of it: start it as a standby` };
  }
  return rebuild(about, 'diverged', `${seen}, which ${primaryName} does not have`);
}

/**
 * A former primary that crashed or was fenced. As a standby it first replays all of its own WAL; it can follow only if
 * no record lies past the fork, and its control file knows no more than the last checkpoint. Where policy.follow has no
 * repoint, the node is rebuilt.
 */
function planCrashed(about: Case, seen: string, isBeforeFork: boolean): FollowPlan {
  const { ownWal } = about.request;
  const isStartOpen = isBeforeFork && about.configuration.policy.follow.includes('repoint');
  if (isStartOpen && ownWal === undefined) return { rung: 'compare', line: `${seen}: does it hold WAL past the fork?` };
  if (isStartOpen && ownWal === 'none')
    return { rung: 'start', line: `${seen}, and holds nothing past the fork: start it as a standby` };
  return rebuild(about, 'diverged', `${seen}: it has diverged${ownWal === 'unknown' ? ', as far as can be told' : ''}`);
}

/** A node of another cluster, or on a branch newer than the primary's: never overwritten without a person. */
function findStranger(about: Case, systemIdentifier: string | null, timeline: number): FollowPlan | null {
  const { name, primaryName, source } = about;
  if (systemIdentifier !== source.systemIdentifier) {
    const identifier = systemIdentifier ?? 'unknown';
    return refuse('other-system', `${name} belongs to another cluster (system identifier ${identifier})`);
  }
  if (timeline <= source.position.timeline) return null;
  return refuse(
    'diverged-branches',
    `${name} is on timeline ${timeline}, newer than timeline ${source.position.timeline} of ${primaryName}: decide which branch is right and stop the other`,
  );
}

/** A rebuild also stands in for the rewind, which is not built yet. */
function rebuild({ configuration }: Case, otherwise: ReasonCode, why: string): FollowPlan {
  const line = `${why}: it must be rebuilt`;
  if (configuration.policy.follow.includes('rebuild')) return { rung: 'rebuild', line };
  return refuse(otherwise, `${line}, which policy.follow does not allow`);
}

/**
 * right: streams from the primary. cascade: streams the primary's own timeline from another standby that is well.
 * elsewhere: streams that timeline by another name of the primary's host. unfed: from a standby that receives nothing.
 */
function describeStream(
  { configuration, request, source, watch }: Case,
  own: Positioned,
): 'right' | 'cascade' | 'elsewhere' | 'unfed' | 'no' {
  const receiver = own.walReceiver;
  if (!receiver?.isStreaming || receiver.timeline !== source.position.timeline) return 'no';
  if (receivesFrom(own, getNode(configuration, request.primary))) return 'right';
  if (hasDiverged(own, source)) return 'no';
  const upstream = configuration.nodes.find((node) => receivesFrom(own, node));
  const isFed = upstream && isFedByPrimary(configuration, watch, upstream.id, [own.node]);
  return isFed ? 'cascade' : upstream ? 'unfed' : 'elsewhere';
}

/** By the watch's last look the standby receives WAL, in the end from the primary. A standby that is not watched is believed; a circle receives nothing. */
function isFedByPrimary(
  configuration: ClusterConfiguration,
  watch: Facts['watch'],
  node: number,
  passed: readonly number[],
): boolean {
  const sample = watch?.nodes.find((entry) => entry.node === node);
  if (passed.includes(node)) return false;
  if (!sample) return true;
  const { receiver = null, isInRecovery } = sample.said ?? {};
  if (sample.misses === 0 && isInRecovery === false) return true;
  if (sample.misses > 0 || receiver === null) return false;
  const upstream = findNodeAt(configuration, receiver);
  return !upstream || isFedByPrimary(configuration, watch, upstream.id, [...passed, node]);
}

/** The node's replay position; if unknown, the end of its WAL. */
function replayedBy({ position, history, replayedLsn }: Positioned): WalPosition {
  if (replayedLsn === null) return position;
  return { timeline: timelineAt({ timeline: position.timeline, history }, replayedLsn), lsn: replayedLsn };
}

/**
 * The node has provably replayed WAL that the primary does not have. One look proves it for an older timeline, whose
 * end no longer moves. On the primary's own timeline only a different history proves it: both positions are measured at
 * nearly the same moment, and the primary goes on writing. A node that really is ahead there cannot stream, and says
 * so. Without a history nothing is proven.
 */
function hasDiverged(own: Positioned, source: Positioned): boolean {
  return isKnown(own) && isKnown(source) && isDiverged({ ...own, position: replayedBy(own) }, source);
}

/** The node has provably received WAL that the primary does not have. */
function hasReceivedMore(own: Positioned, source: Positioned): boolean {
  return isKnown(own) && isKnown(source) && isDiverged(own, source);
}

/** The history is known. Every timeline but the first has one; a missing or malformed file reads as empty. */
function isKnown({ position, history }: Positioned): boolean {
  return position.timeline === 1 || history.length > 0;
}

function isPositioned(facts: NodeFacts): facts is Positioned {
  return facts.position !== null;
}

function describe({ timeline, lsn }: WalPosition): string {
  return `(${timeline}, ${lsn})`;
}

function refuse(reason: ReasonCode, line: string): FollowPlan {
  return { rung: 'refuse', reason, line };
}
