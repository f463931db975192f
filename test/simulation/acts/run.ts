// The input of a verb's body on the model, and the small steps that several bodies share.

import { Failure, type FailureType, failureTypes } from '../../../activities/io/failures';
import type { InputOf, ResultOf, VerbName } from '../../../workflows/runbooks/ground';
import { type Scope, sleep } from '../clock';
import { canReach, type ModelNode, nodeOf, type World, workerHost } from '../model/world';
import { type Actor, type Simulation, tellStory, worldNow } from '../simulation';

export interface Run {
  readonly sim: Simulation;
  readonly actor: Actor;
  /** Null = nobody can cancel it. */
  readonly scope: Scope | null;
  readonly isRepeated: boolean;
  /** The worker has given up this act, which was on its way for so long. */
  readonly isLate: boolean;
  /** Nodes that this look gets no answer from. */
  readonly blind: readonly number[];
}

export type VerbBodies = {
  readonly [Name in VerbName]: (run: Run, input: InputOf<Name>) => Promise<ResultOf<Name>>;
};

export function fail(type: keyof typeof failureTypes, message: string): Failure {
  const name: FailureType = failureTypes[type];
  const isFinal = type === 'configuration' || type === 'worldChanged' || type === 'walMissing';
  return new Failure(name, message, { isFinal });
}

/** A wait that a cancellation ends, as an attempt's own sleep. */
export async function pause({ sim, scope }: Run, ms: number): Promise<World> {
  await sleep(sim.clock, ms, scope);
  return worldNow(sim);
}

/** Work that nobody can cut off. */
export async function work({ sim }: Run, ms: number): Promise<World> {
  await sleep(sim.clock, ms);
  return worldNow(sim);
}

export function hasHost(world: World, { host }: ModelNode): boolean {
  return canReach(world, workerHost, host) && !world.sshBroken.has(host);
}

/** @throws Unreachable when nobody can act on its host */
export async function reachHost(run: Run, id: number): Promise<ModelNode> {
  const world = await work(run, 50);
  const node = nodeOf(world, id);
  if (hasHost(world, node)) return node;
  await work(run, 1000);
  throw fail('unreachable', `node ${id}: its host does not answer`);
}

export function done(line: string, changed = true): { readonly changed: boolean; readonly line: string } {
  return { changed, line };
}

export function acted({ sim, actor }: Run, line: string): void {
  tellStory(sim, `${actor.name}: ${line}`);
}

/** Nothing but our own acts and ordinary traffic since the last whole look. */
export function isAsSeen({ actor, sim }: Run): boolean {
  return actor.lookedAtVersion === sim.world.version;
}
