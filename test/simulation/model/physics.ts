// Processes that go on by themselves: clients write, standbys receive and replay, commits are acknowledged. Called before anything else looks or acts.

import { applicationNameOf } from '../../../domain/facts/application-name';
import { parseSynchronousStandbyNames } from '../../../domain/plans/synchronous';
import { leaveBehind, leaves } from './wal';
import { canReach, isUp, isWriting, type ModelNode, nodeOf, serversOf, type World } from './world';

export function advance(world: World, now: number): void {
  const ms = now - world.advancedAt;
  world.now = now;
  world.advancedAt = now;
  if (ms > 0) for (const node of world.nodes) write(world, node, ms);
  stream(world);
  for (const node of world.nodes) acknowledge(world, node);
}

/** Clients commit there. */
function isUsed(world: World, node: ModelNode): boolean {
  if (serversOf(world, node).length === 0) return node.clients > 0;
  // A person's promotion that pgpool serves was meant.
  if (!node.branch.wasServed && node.branch.openedBy === 'person') leaveBehind(node.branch, world.branches);
  node.branch.wasServed = true;
  return true;
}

function write(world: World, node: ModelNode, ms: number): void {
  if (!isWriting(world, node) || !isUsed(world, node)) return;
  append(node, Math.round(ms * world.writeRate));
}

/** Whole records of a node that accepts writes. */
export function append(node: ModelNode, bytes: number): void {
  node.flushed += bytes;
  node.whole = node.flushed;
  node.replayed = node.flushed;
}

/** Every standby, those nearer to the primary first. */
export function stream(world: World): void {
  const standbys = world.nodes.filter((node) => !node.isWritable);
  for (let round = 0; round < Math.min(2, standbys.length); round += 1)
    for (const node of standbys) receive(world, node);
}

/** A receiver whose sender is silent waits for it so long, and a sender for its receiver (wal_receiver_timeout and wal_sender_timeout; PostgreSQL's default is a minute). */
const receiverTimeoutMs = 10_000;

/** The primary lists the standby as streaming: a sender does not notice at once that the other host, or its server, is silent. */
export function isListed(world: World, { receiver }: ModelNode, primary: number): boolean {
  return receiver?.isStreaming === true && receiver.from === primary && world.now - receiver.lastAt < receiverTimeoutMs;
}

function receive(world: World, node: ModelNode): void {
  if (node.process !== 'running' || node.isHung || node.upAt > world.now || node.isWritable) {
    if (node.process !== 'running') node.receiver = null;
    return;
  }
  replay(world, node);
  if (node.upstream === 'abroad') {
    node.receiver = { from: 'abroad', timeline: node.branch.timeline, isStreaming: true, lastAt: world.now };
    return;
  }
  const source = node.upstream === null ? null : nodeOf(world, node.upstream);
  if (!source || !canConnect(world, node, source)) {
    const isSilent = source && (source.isHung || !canReach(world, node.host, source.host));
    if (node.receiver && !(isSilent && world.now - node.receiver.lastAt < receiverTimeoutMs)) node.receiver = null;
    return;
  }
  if (!isServable(node, source)) {
    node.receiver = null;
    return;
  }
  take(world, node, source);
}

function canConnect(world: World, node: ModelNode, source: ModelNode): boolean {
  return (
    source !== node &&
    canReach(world, node.host, source.host) &&
    canReach(world, source.host, node.host) &&
    isUp(world, source) &&
    source.systemId === node.systemId &&
    (source.isWritable || source.receiver !== null || source.branch === node.branch)
  );
}

/** The source has the WAL that comes next, on a branch that continues this one. */
export function isServable(node: ModelNode, source: ModelNode): boolean {
  const end = leaves(source.branch, node.branch);
  if (end === null) return false;
  if (end === Infinity) return node.whole <= source.flushed && node.flushed >= source.oldestWal;
  // Whole records past the fork would be replayed before anybody is asked for more.
  return node.whole <= end && node.replayed <= end && Math.min(node.flushed, end) >= source.oldestWal;
}

function take(world: World, node: ModelNode, source: ModelNode): void {
  const isFirst = node.receiver?.from !== source.id || !node.receiver.isStreaming;
  node.branch = source.branch;
  node.flushed = source.flushed;
  node.whole = source.whole;
  node.hasStreamed = true;
  node.receiver = { from: source.id, timeline: source.branch.timeline, isStreaming: true, lastAt: world.now };
  if (isFirst) node.historyAt = Math.max(node.historyAt, source.branch.parent ? world.now : -Infinity);
  replay(world, node);
}

function replay(world: World, node: ModelNode): void {
  if (node.isReplayPaused) return;
  const behind = node.delayMs > 0 ? node.delayMs * world.writeRate : 0;
  node.replayed = Math.max(node.replayed, node.whole - behind);
}

/** Commits are told safe once the set in force has them. */
export function acknowledge(world: World, node: ModelNode): void {
  if (!isWriting(world, node) || !isUsed(world, node)) return;
  const { branch } = node;
  const set = parseSynchronousStandbyNames(node.syncNames) ?? { required: 1, names: ['*'] };
  if (set.required === 0) {
    branch.acked = Math.max(branch.acked, node.flushed);
    // A set that lets commits wait for no standby gives the promise up: from here on policy.maximumLagBytes decides.
    branch.ackedBySet = branch.fork;
    return;
  }
  const confirmed = world.nodes
    .filter((other) => isConfirming(world, other, node) && isNamed(world, other, set.names))
    .map(({ flushed }) => flushed)
    .sort((left, right) => right - left);
  const lsn = confirmed[set.required - 1];
  if (lsn === undefined) return;
  branch.acked = Math.max(branch.acked, Math.min(lsn, node.flushed));
  branch.ackedBySet = branch.acked;
}

/** A message of the standby, with all that the primary has, has just come. */
export function isConfirming(world: World, standby: ModelNode, primary: ModelNode): boolean {
  const { receiver } = standby;
  return (
    receiver?.isStreaming === true &&
    receiver.from === primary.id &&
    receiver.lastAt === world.now &&
    standby.branch === primary.branch
  );
}

function isNamed(world: World, { id }: ModelNode, names: readonly string[]): boolean {
  return names.includes('*') || names.includes(applicationNameOf(world.configuration.nodes[id]!).toLowerCase());
}
