// Facts that the product can see of the world, as activities/look/observe.ts and its readers measure them.

import type {
  Address,
  FenceMark,
  HostFacts,
  NodeFacts,
  PgpoolFacts,
  ProbeFacts,
  SqlAnswer,
} from '../../domain/facts/facts';
import { liveRoleOf, liveStatusOf } from './model/pgpool';
import { isListed } from './model/physics';
import { historyOf, positionOf, textOf } from './model/wal';
import { canReach, isUp, type ModelNode, nodeOf, type World, workerHost } from './model/world';

const settingName = 'max_connections';

/** How a server answers somebody on this host. */
export function answerOf(world: World, node: ModelNode, from: string): SqlAnswer {
  if (!canReach(world, from, node.host)) return 'silent';
  if (node.process !== 'running' || node.closedUntil > world.now) return 'refused';
  if (node.isHung) return 'silent';
  if (node.upAt > world.now) return 'recovering';
  return node.isRejecting ? 'rejected' : 'answered';
}

const seen: Readonly<Record<SqlAnswer, string>> = {
  answered: 'answers',
  recovering: 'the database system is starting up (57P03)',
  refused: 'connection refused',
  rejected: 'sorry, too many clients already',
  silent: 'no answer in 1000 ms',
};

const nothingOverSql = {
  ...{ isInRecovery: null, systemIdentifier: null, position: null, replayedLsn: null, receivedLsn: null, history: [] },
  ...{ timelineAgeMs: null, isReplayPaused: null, applyDelayMs: null, ownSettings: null, fenceMark: null },
  ...{ synchronousStandbyNames: null, upstream: null, clients: null, followers: null, applicationName: null },
  ...{ walReceiver: null, host: null },
} as const;

/** @param isBlind the worker's own way fails for this look */
export function lookAtNode(world: World, id: number, isBlind = false): NodeFacts {
  const node = nodeOf(world, id);
  const sql = isBlind ? 'silent' : answerOf(world, node, workerHost);
  if (sql !== 'answered') return { node: id, sql, sqlSeen: seen[sql], ...nothingOverSql };
  const common = {
    node: id,
    sql,
    sqlSeen: node.isWritable ? 'answers, accepts writes' : 'answers, in recovery',
    isInRecovery: !node.isWritable,
    systemIdentifier: node.systemId,
    position: positionOf({ branch: node.branch, lsn: node.flushed }),
    history: historyOf(node.branch),
    timelineAgeMs: node.branch.parent ? Math.min(world.now - node.historyAt, 1e12) : null,
    synchronousStandbyNames: node.syncNames,
    applicationName: `node${id}`,
    host: null,
  };
  return node.isWritable ? { ...common, ...primaryFacts(world, node) } : { ...common, ...standbyFacts(world, node) };
}

function primaryFacts(world: World, node: ModelNode) {
  const followers = world.nodes.filter((other) => isListed(world, other, node.id));
  const sessions = world.pgpools.filter(
    (pgpool) => pgpool.isRunning && pgpool.primary === node.id && pgpool.status[node.id] === 'up',
  );
  return {
    ...{ replayedLsn: null, receivedLsn: null, isReplayPaused: null, applyDelayMs: null, ownSettings: null },
    ...{ fenceMark: null, upstream: null, walReceiver: null },
    clients: node.clients + 3 * sessions.filter(({ host }) => canReach(world, host, node.host)).length,
    followers: followers.length,
  };
}

export function addressOf(world: World, of: number | 'abroad'): Address {
  return of === 'abroad' ? { host: '192.0.2.1', port: 5432 } : { host: nodeOf(world, of).host, port: 5432 };
}

function standbyFacts(world: World, node: ModelNode) {
  const { receiver, upstream } = node;
  return {
    replayedLsn: textOf(node.replayed),
    receivedLsn: node.hasStreamed ? textOf(node.flushed) : null,
    isReplayPaused: node.isReplayPaused,
    applyDelayMs: node.delayMs,
    ownSettings: node.isReplayPaused ? { [settingName]: node.isUnfit ? 100 : 200 } : null,
    fenceMark: node.mark,
    upstream: upstream === null ? null : addressOf(world, upstream),
    clients: null,
    followers: null,
    walReceiver: receiver && {
      isStreaming: receiver.isStreaming,
      ...addressOf(world, receiver.from),
      timeline: receiver.timeline,
      lastMessageAgeMs: world.now - receiver.lastAt + 100,
    },
  };
}

export function lookAtHost(world: World, id: number): HostFacts {
  const node = nodeOf(world, id);
  const nothing: Omit<HostFacts, 'ssh' | 'seen'> = {
    ...{
      processes: 'unknown' as const,
      clockOffsetMs: null,
      hasDataDirectory: null,
      hasStandbySignal: null,
      fenceMark: null,
    },
    ...{ walTimeline: null, synchronousStandbyNames: null, neededSettings: null, controlFile: null },
  };
  if (!canReach(world, workerHost, node.host)) return { ssh: 'silent', seen: 'no answer', ...nothing };
  if (world.sshBroken.has(node.host)) return { ssh: 'rejected', seen: 'host key has changed', ...nothing };
  const { hasData, process } = node;
  const isStandby = process === 'running' && node.hasStandbySignal;
  return {
    ssh: 'answered',
    seen: 'host answers',
    processes: node.hidden === 'processes' ? 'unknown' : process,
    clockOffsetMs: node.clockOffsetMs,
    hasDataDirectory: hasData,
    hasStandbySignal: hasData ? node.hasStandbySignal : null,
    fenceMark: !hasData ? null : node.hasStandbySignal ? node.mark : ('none' satisfies FenceMark),
    walTimeline: hasData ? node.branch.timeline : null,
    synchronousStandbyNames: process === 'none' ? null : node.syncNames,
    neededSettings: isStandby ? { [settingName]: 200 } : null,
    controlFile:
      hasData && process === 'none' && (node.hidden === null || node.hidden === 'wal')
        ? { state: node.controlState, systemIdentifier: node.systemId, checkpoint: positionOf(node.checkpoint) }
        : null,
  };
}

/** A standby's host asks the suspect. */
export function probe(world: World, from: number, about: number): ProbeFacts {
  const [asker, asked] = [nodeOf(world, from), nodeOf(world, about)];
  if (!canReach(world, workerHost, asker.host) || world.sshBroken.has(asker.host))
    return { from, about, answer: 'unknown', isInRecovery: null, seen: 'no probe: its host does not answer' };
  const answer = answerOf(world, asked, asker.host);
  return { from, about, answer, isInRecovery: answer === 'answered' ? !asked.isWritable : null, seen: seen[answer] };
}

export function lookAtPgpool(world: World, name: string): PgpoolFacts {
  const pgpool = world.pgpools.find((one) => one.name === name)!;
  const isThere = canReach(world, workerHost, pgpool.host);
  if (!isThere || !pgpool.isRunning)
    return { pgpool: name, nodes: [], isReached: isThere, seen: isThere ? 'connection refused' : 'no answer' };
  const nodes = world.nodes.map(({ id }) => ({
    node: id,
    status: pgpool.status[id]!,
    role: pgpool.primary === id ? 'primary' : 'standby',
    liveStatus: liveStatusOf(world, pgpool, id),
    liveRole: liveRoleOf(world, pgpool, id),
  }));
  return { pgpool: name, nodes, isReached: true, seen: '' };
}

/** Anybody at all who could tell that this node accepts writes: the worker, or another node's host. */
export function isHeardAsPrimary(world: World, node: ModelNode): boolean {
  if (!node.isWritable || !isUp(world, node) || node.isRejecting) return false;
  const hosts = world.nodes.filter(({ id, host }) => id !== node.id && canReach(world, workerHost, host));
  return [workerHost, ...hosts.map(({ host }) => host)].some((host) => canReach(world, host, node.host));
}
