// The verb `observe` on the model: the same order and the same shortcuts as activities/look/observe.ts, and how long that takes.

import type { Observation, ObserveInput } from '../../activities/look/observe';
import { type ClusterConfiguration, findNode } from '../../domain/facts/cluster';
import { answeringStandbys, factsOf, type Facts, type NodeFacts, writableNodes } from '../../domain/facts/facts';
import { findRecord } from '../../domain/plans/record';
import { findHeir, findSuccessors } from '../../domain/plans/rival-primaries';
import { suspectPrimary } from '../../domain/plans/suspect';
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
  const about = findSuspect(configuration, direct, suspect);
  const isDead = about !== null && isProvenDead(direct, about);
  const isSettled = writableNodes(direct).length > 0 || isDead;
  const hasSilent = nodes.some(({ node, sql: answer }) => answer === 'silent' && node !== about);
  const isLost =
    writableNodes(direct).length === 0 &&
    (input.isUnreported === true || hasSilent || (record !== null && record.primary !== suspect));
  if (isSettled && input.isWhole !== true && !isLost && !isClaimed(configuration, direct))
    return { observation: { configuration, facts: explainPauses(world, direct) }, ms };
  const sql = about === null ? undefined : factsOf(direct, about)?.sql;
  const needsProbes = !isSettled && about !== null && sql !== 'answered' && sql !== 'recovering';
  const others = configuration.nodes.filter(({ id }) => id !== about);
  const probes = needsProbes ? others.map(({ id }) => probe(world, id, about)) : [];
  const pgpools = configuration.pgpool.map(({ name }) => lookAtPgpool(world, name));
  const isSlow = probes.some(({ answer }) => answer === 'silent') || pgpools.some(({ isReached }) => !isReached);
  const facts = explainPauses(world, { ...direct, probes, pgpools });
  return { observation: { configuration, facts }, ms: ms + (isSlow && ms < boundMs ? boundMs : promptMs) };
}

function findSuspect(configuration: ClusterConfiguration, direct: Facts, suspect: number | null): number | null {
  const suspicion = { suspect: null, oldPrimary: suspect, failedNode: suspect, fencedNode: null, opened: [] };
  return findNode(configuration, suspectPrimary(configuration, direct, suspicion))?.id ?? null;
}

function isProvenDead(facts: Facts, node: number): boolean {
  const own = factsOf(facts, node);
  return own?.sql !== 'answered' && (own?.host?.processes === 'none' || own?.host?.processes === 'orphans');
}

function isClaimed(configuration: ClusterConfiguration, facts: Facts): boolean {
  const writable = writableNodes(facts);
  const standbys = answeringStandbys(facts);
  const record = findRecord(configuration, facts);
  return (
    writable.length > 1 ||
    (record !== null && writable.some(({ node }) => node !== record.primary)) ||
    writable.some((entry) => findHeir(entry, standbys) !== undefined || findSuccessors(facts, entry).length > 0)
  );
}

function explainPauses(world: World, facts: Facts): Facts {
  const nodes = facts.nodes.map((entry) =>
    entry.isReplayPaused ? { ...entry, host: lookAtHost(world, entry.node) } : entry,
  );
  return { ...facts, nodes };
}
