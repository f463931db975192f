// Distinct states: what is known of the world and of the incident, without times and positions.

import type { IncidentState } from '../../domain/plans/incident-state';
import { type ModelNode, type World } from './model/world';
import { hashOf } from './random';
import type { Simulation } from './simulation';

function nodeText(world: World, node: ModelNode): string {
  const running = node.process === 'running' ? (node.isHung ? 'h' : node.upAt > world.now ? 'r' : 'u') : node.process;
  const role = node.isWritable ? 'P' : node.toldAt !== null ? 'T' : 'S';
  const disk = `${node.branch.timeline}${node.hasStandbySignal ? 's' : ''}${node.mark[0]!}${node.hasData ? '' : '!'}`;
  const from = node.receiver ? node.receiver.from : '-';
  return `${running}${role}${disk}${from}${world.awayHosts.has(node.host) ? 'a' : ''}${node.isReplayPaused ? 'z' : ''}`;
}

export function noteState(sim: Simulation, state: IncidentState): void {
  const { world } = sim;
  const nodes = world.nodes.map((node) => nodeText(world, node)).join();
  const pgpools = world.pgpools.map((one) => `${one.primary}${one.status.map((is) => is[0]).join('')}`).join();
  const page = state.nodes.map((node) => `${node.is}${node.follow}${node.until ?? ''}`).join();
  const rest = `${state.decision ? 'D' : ''}${state.undecided.length}${state.primary ?? '-'}${state.memory.told.length}`;
  const text = `${nodes}|${pgpools}|${page}|${rest}|${world.record?.primary ?? '-'}|${world.cuts.size}`;
  sim.states.add(hashOf(text));
}
