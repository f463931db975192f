// How a node's server stops, starts, crashes and is promoted, as PostgreSQL does it.

import { append, stream } from './physics';
import { newBranch } from './wal';
import { isUp, type ModelNode, type World } from './world';

/** All processes are gone at once. The control file knows the last checkpoint only. */
export function crash(node: ModelNode, by: ModelNode['downBy']): void {
  node.process = 'none';
  endProcesses(node, by);
}

/** The postmaster is gone; its backends go on committing. */
export function orphan(node: ModelNode): void {
  node.process = 'orphans';
}

function endProcesses(node: ModelNode, by: ModelNode['downBy']): void {
  node.isHung = false;
  node.isWritable = false;
  node.receiver = null;
  node.upAt = 0;
  node.closedUntil = 0;
  node.clients = 0;
  node.isReplayPaused = false;
  node.hasStreamed = false;
  // Nobody can see that a person's restart has made it forget what it was told.
  if (node.toldAt !== null && node.toldBy === 'us' && by === 'person') node.mayBeTold = true;
  node.toldAt = null;
  node.downBy = by;
  node.isAsked = false;
}

/** A clean stop: a primary writes a checkpoint, which its standbys still get. */
export function shutDown(world: World, node: ModelNode, by: ModelNode['downBy']): void {
  const wasWritable = node.isWritable;
  if (wasWritable && isUp(world, node)) {
    append(node, 120);
    stream(world);
    node.checkpoint = { branch: node.branch, lsn: node.flushed - 120 };
    node.controlState = 'shut down';
  } else if (!wasWritable) {
    node.checkpoint = { branch: node.branch, lsn: Math.max(0, node.replayed - 4096) };
    node.controlState = 'shut down in recovery';
  }
  node.process = 'none';
  endProcesses(node, by);
}

/** As standby.signal says: a standby, or a primary after its crash recovery. */
export function start(world: World, node: ModelNode, recoveryMs: number): void {
  node.process = 'running';
  node.downBy = null;
  node.isHung = false;
  node.upAt = world.now + recoveryMs;
  node.hasStreamed = false;
  node.flushed = node.whole;
  node.replayed = node.whole;
  node.isWritable = !node.hasStandbySignal;
  node.controlState = node.hasStandbySignal ? 'in archive recovery' : 'in production';
  if (node.hasStandbySignal && node.isUnfit) node.isReplayPaused = true;
  if (node.isSpoilt) crash(node, 'crash');
}

/** pg_promote was sent. It ends recovery once it has replayed what it holds, and nothing is in the way. */
export function tellToPromote(world: World, node: ModelNode, by: 'us' | 'person'): void {
  if (node.toldAt !== null || node.isWritable) return;
  // PostgreSQL ends a server whose replay waits for larger settings.
  if (node.isUnfit && node.isReplayPaused) {
    crash(node, by === 'us' ? 'us' : 'person');
    return;
  }
  node.toldAt = world.now;
  node.toldBy = by;
  const { toldAt } = node;
  world.later(node.trouble.ms, () => {
    if (node.toldAt === toldAt && node.process === 'running') waitOrEnd(world, node, by);
  });
}

function waitOrEnd(world: World, node: ModelNode, by: 'us' | 'person'): void {
  // A frozen server goes on where it was.
  if (node.isHung || node.upAt > world.now) {
    world.later(500, () => {
      if (node.toldAt !== null && node.process === 'running') waitOrEnd(world, node, by);
    });
    return;
  }
  endRecovery(world, node, by);
}

function endRecovery(world: World, node: ModelNode, by: 'us' | 'person'): void {
  node.replayed = node.whole;
  node.flushed = node.whole;
  const known = new Set<number>(node.reserved);
  let timeline = node.branch.timeline + 1;
  while (known.has(timeline)) timeline += 1;
  const branch = newBranch({ branch: node.branch, lsn: node.whole }, timeline, by);
  world.branches.push(branch);
  Object.assign(node, {
    branch,
    isWritable: true,
    hasStandbySignal: false,
    mark: 'none',
    receiver: null,
    toldAt: null,
  });
  Object.assign(node, { historyAt: world.now, isReplayPaused: false, controlState: 'in production' });
  node.checkpoint = { branch, lsn: node.whole };
  append(node, 100);
}

/** The obstacle to the promotion is gone. */
export function endTrouble(world: World, node: ModelNode, by: 'us' | 'person'): void {
  if (node.toldAt !== null && isUp(world, node)) endRecovery(world, node, by);
}
