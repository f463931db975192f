// status: what `pgpool-runbook status` would say is what the worker can see: who accepts writes, whom each pgpool serves, and from whom a standby streams.

import {
  type ClusterOverview,
  describeCluster,
  describeSamples,
  type NodeOverview,
} from '../../../domain/plans/overview';
import { answerOf } from '../look';
import { canReach, type ModelNode, type World, workerHost } from '../model/world';
import { observeWorld } from '../observe';
import { type Simulation, violate, worldNow } from '../simulation';

export function checkOverview(sim: Simulation): void {
  const world = worldNow(sim);
  const { cluster } = world.configuration;
  const { configuration, facts } = observeWorld(sim, { cluster, suspect: null, isWhole: true }, []).observation;
  const overview = describeCluster(configuration, facts);
  for (const node of world.nodes) checkNode(sim, overview.nodes[node.id]!, node);
  checkPrimaries(sim, overview);
  for (const { name, host, isRunning, status, primary } of world.pgpools) {
    const isHeard = isRunning && canReach(world, workerHost, host);
    const served = isHeard && status[primary] === 'up' ? primary : null;
    if (overview.served[name] !== served)
      violate(
        sim,
        'status',
        `${name} serves node ${String(served)}, and the status says ${String(overview.served[name])}`,
      );
  }
  const { beaten } = sim.watch;
  if (beaten && describeSamples(configuration, beaten, world.maintenance).takenAt !== beaten.takenAt)
    violate(sim, 'status', 'the status of the samples is of another time');
}

function isHeard(world: World, node: ModelNode): boolean {
  return answerOf(world, node, workerHost) === 'answered';
}

function checkPrimaries(sim: Simulation, { primaries }: ClusterOverview): void {
  const { world } = sim;
  const writable = world.nodes.filter((node) => node.isWritable && isHeard(world, node)).map(({ id }) => id);
  if (writable.join() !== primaries.join())
    violate(
      sim,
      'status',
      `node ${writable.join(', ')} accepts writes, and the status says node ${primaries.join(', ')}`,
    );
}

function checkNode(sim: Simulation, { role, from }: NodeOverview, node: ModelNode): void {
  const { receiver } = node;
  const expected = !isHeard(sim.world, node) ? 'away' : node.isWritable ? 'primary' : 'standby';
  if (role !== expected) violate(sim, 'status', `node ${node.id} is ${expected}, and the status says ${role}`);
  if (expected !== 'standby' || typeof receiver?.from !== 'number') return;
  if (from !== `node ${receiver.from}`)
    violate(sim, 'status', `node ${node.id} streams from node ${receiver.from}, and the status says ${String(from)}`);
}
