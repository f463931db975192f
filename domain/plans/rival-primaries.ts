// Several nodes have a claim to be the primary: decides which one is used and which is stopped for it, or refuses.

import { type ClusterConfiguration, getNode } from '../facts/cluster';
import { assumeFenced } from './assumed';
import { type FailoverPlan, type FailoverRequest, refuse } from './failover-request';
import { planWithoutPrimary } from './lost-primary';
import { pauseInstead } from './pause';
import { judgePrimary } from './primary-state';
import { findRecord } from './record';
import { suspectPrimary } from './suspect';
import { findFork, type OpenedTimeline } from '../facts/wal';
import {
  answeringStandbys,
  descendsFrom,
  type Facts,
  isOnlySilent,
  isShownAsPrimary,
  type NodeFacts,
  receivesFrom,
} from '../facts/facts';

/**
 * Stops the older of two writable nodes only if the newer timeline descends from its own, and either a promotion of
 * ours opened the newer one, or pgpool serves the newer node, the older one has no standby and no client session, and
 * the record does not name it. These conditions exclude a standby that was promoted by mistake.
 */
export function planWithTwoPrimaries(
  configuration: ClusterConfiguration,
  facts: Facts,
  writable: readonly NodeFacts[],
  request: FailoverRequest,
): FailoverPlan {
  const uses = writable.map((entry) => describeUse(configuration, facts, entry));
  const [newest, former, ...others] = [...writable].sort(
    (left, right) => (right.position?.timeline ?? 0) - (left.position?.timeline ?? 0),
  );
  const isHeir =
    newest !== undefined &&
    former !== undefined &&
    newest.systemIdentifier === former.systemIdentifier &&
    isContinued(newest, former);
  const mayStop =
    isHeir &&
    others.length === 0 &&
    request.fenceTried !== former.node &&
    (request.rejoin === null || request.rejoin === former.node) &&
    (isOpenedByUs(request.opened, newest, former) || isUnused(configuration, facts, newest, former));
  if (mayStop) {
    const line = `node ${former.node} accepts writes on timeline ${String(former.position?.timeline)}, which node ${newest.node} has succeeded: it is stopped`;
    return { action: 'fence', node: former.node, line };
  }
  const advice = 'stop the wrong one, on its host';
  return refuse('two-primaries', `${writable.length} nodes accept writes: ${uses.join('; ')}: ${advice}`);
}

/** Another branch may have the same timeline number, so the newest node's branch must continue this very one. */
function isContinued(newest: NodeFacts, former: NodeFacts): boolean {
  const [own, before] = [newest.position, former.position];
  if (!own || !before || own.timeline <= before.timeline) return false;
  const fork = findFork(
    { timeline: own.timeline, history: newest.history },
    { timeline: before.timeline, history: former.history },
  );
  return fork?.timeline === before.timeline;
}

function isOpenedByUs(opened: readonly OpenedTimeline[], newest: NodeFacts, former: NodeFacts): boolean {
  const [own, before] = [newest.position?.timeline ?? 0, former.position?.timeline ?? 0];
  return opened.some(
    ({ node, timeline }) =>
      timeline > before &&
      (timeline === own ? node === newest.node : newest.history.some((end) => end.timeline === timeline)),
  );
}

function isUnused(
  configuration: ClusterConfiguration,
  facts: Facts,
  newest: NodeFacts,
  { node, clients, followers }: NodeFacts,
): boolean {
  // Standbys and clients of a recorded primary may be about to come back: a person says which of the two is right.
  if (findRecord(configuration, facts)?.primary === node) return false;
  const isServed = serversOf(facts, newest.node).length > 0 && serversOf(facts, node).length === 0;
  return isServed && clients === 0 && followers === 0 && followersOf(configuration, facts, node).length === 0;
}

/** The pgpools that use this node as their primary. */
function serversOf(facts: Facts, node: number): string[] {
  return facts.pgpools
    .filter(({ nodes }) => nodes.some((entry) => entry.node === node && isShownAsPrimary(entry)))
    .map(({ pgpool }) => pgpool);
}

/** The standbys that say that they stream from this node. */
function followersOf(configuration: ClusterConfiguration, facts: Facts, node: number): number[] {
  const address = getNode(configuration, node);
  return answeringStandbys(facts)
    .filter((entry) => receivesFrom(entry, address) && entry.walReceiver?.isStreaming === true)
    .map((entry) => entry.node);
}

function describeUse(configuration: ClusterConfiguration, facts: Facts, entry: NodeFacts): string {
  const servers = serversOf(facts, entry.node);
  const followers = followersOf(configuration, facts, entry.node);
  const clients = entry.clients === null ? 'clients unknown' : `${entry.clients} client sessions`;
  return [
    `node ${entry.node} (timeline ${entry.position?.timeline ?? '?'})`,
    servers.length > 0 ? `serves ${servers.join(', ')}` : 'is no pgpool’s primary',
    followers.length > 0 ? `is followed by node ${followers.join(', ')}` : 'is followed by no standby',
    `has ${clients}`,
  ].join(', ');
}

/**
 * The only writable node is refused if the standbys follow its successor or belong to another system: using it would
 * lose their WAL.
 */
export function refuseStalePrimary(
  configuration: ClusterConfiguration,
  facts: Facts,
  living: NodeFacts,
  request: FailoverRequest,
): FailoverPlan | null {
  // pgpool used this node until now, so clients' writes are here.
  if (request.oldPrimary === living.node) return null;
  const standbys = answeringStandbys(facts).filter((entry) => entry.systemIdentifier !== null);
  const name = `node ${living.node}`;
  if (standbys.length > 0 && standbys.every((entry) => entry.systemIdentifier !== living.systemIdentifier)) {
    return refuse(
      'other-system',
      `${name} accepts writes but belongs to another system than every standby: stop it, or correct the cluster file`,
    );
  }
  if (serversOf(facts, living.node).length > 0 || followersOf(configuration, facts, living.node).length > 0)
    return null;
  const heir = findHeir(living, standbys);
  if (!heir) return refuseSucceeded(facts, living, request) ?? refuseUnused(configuration, facts, living);
  const stop = stopSucceeded(configuration, facts, living, heir, request);
  if (stop) return stop;
  return refuse(
    'diverged-branches',
    `${name} accepts writes on timeline ${String(living.position?.timeline)} but serves no pgpool and is followed by no standby, and standby node ${heir.node} is on its successor ${String(heir.position?.timeline)}: if ${name} is a former primary, stop it and start the newer primary; if node ${heir.node} was promoted by mistake, stop node ${heir.node}`,
  );
}

/**
 * A former primary came back writable after its successor was lost too. It is stopped if no client uses it, a standby
 * is on the timeline that a promotion of ours opened, and that standby can then be promoted.
 */
function stopSucceeded(
  configuration: ClusterConfiguration,
  facts: Facts,
  living: NodeFacts,
  heir: NodeFacts,
  request: FailoverRequest,
): FailoverPlan | null {
  const successor = request.opened.find(({ timeline }) => timeline === heir.position?.timeline);
  if (!successor || living.clients !== 0 || request.fenceTried === living.node) return null;
  const without = assumeFenced(facts, living.node);
  // The decision after the stop must take the same node for the primary.
  if (suspectPrimary(configuration, without, request) !== successor.node) return null;
  const after = planAfterStop(configuration, without, request, successor.node);
  if (pauseInstead(without, after)) return null;
  // A successor that answers as a standby is no primary to keep.
  if (after.action === 'refuse' || after.action === 'keep') return null;
  if (after.action !== 'promote') return after;
  const line = `node ${living.node} accepts writes on timeline ${String(living.position?.timeline)}, which a promotion of ours has succeeded, and no client uses it: it is stopped; then ${after.line}`;
  return { action: 'fence', node: living.node, line };
}

/**
 * The plan for the time after the stale node is stopped. Silence of its successor counts as unreachable, because no other
 * host reports it alive.
 */
function planAfterStop(
  configuration: ClusterConfiguration,
  facts: Facts,
  request: FailoverRequest,
  successor: number,
): FailoverPlan {
  const { host, port } = getNode(configuration, successor);
  const judged = judgePrimary(facts, successor, { host, port }, request.sinceEventMs);
  const isUnheard = judged.state === 'unknown' && judged.witnesses.every(({ answer }) => answer !== 'alive');
  const judgement = isUnheard ? { ...judged, state: 'unreachable' as const } : judged;
  return planWithoutPrimary(configuration, facts, { ...request, failedNode: successor }, successor, judgement);
}

/**
 * Refuses a writable node that no pgpool shows and no standby follows while another node, which does not answer and is
 * not proven dead, has both or either: the worker's own path to that one may be what broke.
 */
function refuseUnused(configuration: ClusterConfiguration, facts: Facts, living: NodeFacts): FailoverPlan | null {
  const used = configuration.nodes.find(
    ({ id }) =>
      id !== living.node &&
      isOnlySilent(facts, id) &&
      (serversOf(facts, id).length > 0 || followersOf(configuration, facts, id).length > 0),
  );
  // pgpool is not asked about a primary that the record names.
  if (!used || findRecord(configuration, facts)?.primary === living.node) return null;
  const uses = [...serversOf(facts, used.id), ...followersOf(configuration, facts, used.id).map((id) => `node ${id}`)];
  return refuse(
    'primary-unreachable',
    `node ${living.node} accepts writes but serves no pgpool and is followed by nobody, and node ${used.id}, which does not answer, is used by ${uses.join(', ')}: stop node ${living.node} if it was promoted by mistake, or stop node ${used.id} on its host`,
  );
}

/** Nodes of this system whose files name a timeline newer than this node's. */
export function findSuccessors(facts: Facts, living: NodeFacts): number[] {
  const own = living.position?.timeline;
  const isNewer = (timeline: number | null | undefined): boolean =>
    own !== undefined && typeof timeline === 'number' && timeline > own;
  return facts.nodes.flatMap(({ node, host }) => {
    if (node === living.node || host?.controlFile?.systemIdentifier !== living.systemIdentifier) return [];
    return isNewer(host.controlFile.checkpoint.timeline) || isNewer(host.walTimeline) ? [node] : [];
  });
}

/**
 * Refuses a writable node without standbys of its successor, if a promotion of ours or the successor's files show a
 * newer timeline.
 */
function refuseSucceeded(facts: Facts, living: NodeFacts, { opened }: FailoverRequest): FailoverPlan | null {
  const own = living.position?.timeline;
  if (own === undefined) return null;
  const [successor] = [
    ...opened.filter(({ node, timeline }) => node !== living.node && timeline > own).map(({ node }) => node),
    ...findSuccessors(facts, living),
  ];
  if (successor === undefined) return null;
  return refuse(
    'diverged-branches',
    `node ${living.node} accepts writes on timeline ${own}, but node ${successor} has succeeded it on a newer one and does not answer: start node ${successor}; if node ${living.node} is to be the primary, stop node ${successor} for good and call failover ${living.node} -1 ${living.node}`,
  );
}

/** A standby on a timeline that descends from this node's. */
export function findHeir(living: NodeFacts, standbys: readonly NodeFacts[]): NodeFacts | undefined {
  const timeline = living.position?.timeline;
  return standbys.find(
    (entry) =>
      entry.systemIdentifier === living.systemIdentifier && timeline !== undefined && descendsFrom(entry, timeline),
  );
}
