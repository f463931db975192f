// The verb `observe` on the model: the same order and the same shortcuts as activities/look/observe.ts, and how long that takes.

import type { Observation, ObserveInput } from '../../activities/look/observe';
import type { Facts, NodeFacts } from '../../domain/facts/facts';
import { planLook } from '../../domain/plans/look';
import { lookAtHost, lookAtNode, lookAtPgpool, probe } from './look';
import type { World } from './model/world';
import type { Simulation } from './simulation';

export interface Look {
  readonly observation: Observation;
  readonly ms: number;
}

const boundMs = 1000;
const promptMs = 20;

/** @param blind nodes that the worker does not get an answer from, this time only */
export function observeWorld(
  { world, watch: { beaten } }: Simulation,
  input: ObserveInput,
  blind: readonly number[],
): Look {
  const { configuration } = world;
  const { only, suspect } = input;
  const asked = configuration.nodes.filter(({ id }) => !only || only.includes(id));
  const nodes = asked.map(({ id }): NodeFacts => {
    const facts = lookAtNode(world, id, blind.includes(id));
    return facts.sql === 'answered' && id !== suspect ? facts : { ...facts, host: lookAtHost(world, id) };
  });
  const takenAt = new Date(world.now).toISOString();
  const { record, maintenance } = world;
  const direct: Facts = { takenAt, record, maintenance, watch: beaten, nodes, probes: [], pgpools: [] };
  const ms = nodes.some(({ sql }) => sql === 'silent') ? boundMs : promptMs;
  const { asksPgpools, probed } = planLook(configuration, direct, input);
  if (!asksPgpools) return { observation: { configuration, facts: explainPauses(world, direct) }, ms };
  const others = probed === null ? [] : configuration.nodes.filter(({ id }) => id !== probed);
  const probes = others.map(({ id }) => probe(world, id, probed!));
  const pgpools = configuration.pgpool.map(({ name }) => lookAtPgpool(world, name));
  const isSlow = probes.some(({ answer }) => answer === 'silent') || pgpools.some(({ isReached }) => !isReached);
  const facts = explainPauses(world, { ...direct, probes, pgpools });
  return { observation: { configuration, facts }, ms: ms + (isSlow && ms < boundMs ? boundMs : promptMs) };
}

function explainPauses(world: World, facts: Facts): Facts {
  const nodes = facts.nodes.map((entry) =>
    entry.isReplayPaused ? { ...entry, host: lookAtHost(world, entry.node) } : entry,
  );
  return { ...facts, nodes };
}
