// pgpool in the model: health checks, failover with its hooks, the search for a primary, and what PCP asks of it.

import { canReach, isUp, type ModelPgpool, nodeOf, type World } from './world';

const searchMs = 5000;
/** So many health checks fail before a node is given up. */
const retries = 2;

function sees(world: World, pgpool: ModelPgpool, id: number): boolean {
  const node = nodeOf(world, id);
  return canReach(world, pgpool.host, node.host) && isUp(world, node) && !node.isRejecting;
}

export function liveStatusOf(world: World, pgpool: ModelPgpool, id: number): 'up' | 'down' {
  return sees(world, pgpool, id) ? 'up' : 'down';
}

export function liveRoleOf(world: World, pgpool: ModelPgpool, id: number): 'primary' | 'standby' | 'unknown' {
  if (!sees(world, pgpool, id)) return 'unknown';
  return nodeOf(world, id).isWritable ? 'primary' : 'standby';
}

/** Once a second. */
export function tick(world: World, pgpool: ModelPgpool): void {
  if (!pgpool.isRunning) return;
  if (world.now < pgpool.searchUntil) search(world, pgpool);
  for (const { id } of world.nodes) {
    if (pgpool.status[id] !== 'up') continue;
    pgpool.failures[id] = sees(world, pgpool, id) ? 0 : pgpool.failures[id]! + 1;
    if (pgpool.failures[id] >= retries) degenerate(world, pgpool, id);
  }
}

function lowestUp(pgpool: ModelPgpool): number | null {
  const id = pgpool.status.indexOf('up');
  return id < 0 ? null : id;
}

/** Marks a node down and calls failover_command; of a primary it then looks for another one. */
export function degenerate(world: World, pgpool: ModelPgpool, id: number): void {
  if (pgpool.status[id] === 'down') return;
  pgpool.status[id] = 'down';
  pgpool.failures[id] = 0;
  const oldPrimary = pgpool.primary < 0 ? null : pgpool.primary;
  world.hook(pgpool, { kind: 'failover', node: id, mainNode: lowestUp(pgpool), oldPrimary });
  if (id !== pgpool.primary) return;
  pgpool.primary = -1;
  pgpool.searchFor = id;
  pgpool.searchUntil = world.now + searchMs;
  search(world, pgpool);
}

function search(world: World, pgpool: ModelPgpool): void {
  const found = world.nodes.find(
    (node) => pgpool.status[node.id] === 'up' && node.isWritable && sees(world, pgpool, node.id),
  );
  if (!found) return;
  pgpool.searchUntil = 0;
  show(world, pgpool, found.id, pgpool.searchFor);
}

/** Another primary: every other node is marked down and follow_primary_command is called for it. */
function show(world: World, pgpool: ModelPgpool, primary: number, old: number): void {
  pgpool.primary = primary;
  if (old < 0 || old === primary) return;
  for (const { id } of world.nodes) {
    if (id === primary) continue;
    pgpool.status[id] = 'down';
    pgpool.detachedAt[id] = null;
    world.hook(pgpool, { kind: 'follow', node: id, mainNode: lowestUp(pgpool), oldPrimary: old });
  }
}

/** pcp_attach_node. */
export function attach(world: World, pgpool: ModelPgpool, id: number): void {
  if (!pgpool.isRunning) return;
  pgpool.status[id] = 'up';
  pgpool.failures[id] = 0;
  pgpool.detachedAt[id] = null;
  if (pgpool.primary >= 0 && pgpool.status[pgpool.primary] === 'up') return;
  pgpool.searchFor = -1;
  pgpool.searchUntil = Math.max(pgpool.searchUntil, world.now + searchMs);
  search(world, pgpool);
}

/** pcp_promote_node: it changes pgpool's own view only. */
export function promoteView(world: World, pgpool: ModelPgpool, id: number): void {
  if (!pgpool.isRunning || pgpool.primary === id || pgpool.status[id] !== 'up') return;
  show(world, pgpool, id, pgpool.primary);
  pgpool.primary = id;
}

/** pgpool comes back with what its status file says, and looks for a primary. */
export function restart(world: World, pgpool: ModelPgpool): void {
  pgpool.isRunning = true;
  pgpool.searchFor = -1;
  pgpool.searchUntil = world.now + searchMs;
  pgpool.failures.fill(0);
  pgpool.primary = -1;
  search(world, pgpool);
}
