// Tells what a failover would do if these nodes were down now: the decision, the verbs in order, and each standby's
// rung. The runbooks themselves run, on dry ground.

import type { Observation } from '../../activities/look/observe';
import { writableNodes } from '../../domain/facts/facts';
import type { Verdict } from '../../domain/facts/outcome';
import { assumeDown } from '../../domain/plans/assumed';
import { emptyMemory } from '../../domain/plans/failover-memory';
import { type DryWorld, EndOfTelling, openDryGround, type ToldVerb } from './dry-ground';
import { failover } from './failover';
import { follow } from './follow';
import { beside, removeFirst } from './rebuild';
import { sentenceOf } from './ground';
import { verbs } from './verbs';

export interface ToldFollow {
  readonly node: number;
  /** `left` = nothing is done for the node now. */
  readonly rung: 'none' | 'repoint' | 'rewind' | 'rebuild' | 'left';
  readonly line: string;
  readonly verbs: readonly ToldVerb[];
}

export interface ToldPlan extends Verdict {
  /** ISO time of the look. */
  readonly takenAt: string;
  /** The node that would accept writes; null = none. */
  readonly primary: number | null;
  readonly verbs: readonly ToldVerb[];
  readonly follows: readonly ToldFollow[];
}

/** @param now milliseconds since 1970 */
export async function tellPlan(
  { configuration, facts }: Observation,
  down: readonly number[],
  now: number,
): Promise<ToldPlan> {
  const [primary = null] = writableNodes(facts).map(({ node }) => node);
  const world: DryWorld = {
    observation: { configuration, facts: assumeDown(configuration, facts, down) },
    told: [],
    plan: '',
    now,
  };
  const failedNode = primary !== null && down.includes(primary) ? primary : (down[0] ?? null);
  const hints = {
    failedNode,
    oldPrimary: primary,
    rejoin: null,
    receivedAt: now,
    memory: { ...emptyMemory, givenUp: down, isPrimaryReported: primary === null || down.includes(primary) },
  };
  const end = await failover(openDryGround(world), { cluster: configuration.cluster, ...hints });
  const { takenAt } = facts;
  if ('error' in end) {
    const line = sentenceOf(end.error);
    return { outcome: 'refused', reason: 'step-failed', line, takenAt, primary: null, verbs: world.told, follows: [] };
  }
  const { verdict, primary: next } = end.result;
  if (next === null) return { ...verdict, takenAt, primary: null, verbs: world.told, follows: [] };
  const confirms = configuration.pgpool.map(({ name: pgpool }) =>
    tell('confirmPrimary', { configuration, pgpool, primary: next }),
  );
  const follows: ToldFollow[] = [];
  const told = [...world.told, ...confirms];
  for (const { id } of configuration.nodes) if (id !== next) follows.push(await tellFollow(world, id, next, down));
  return { ...verdict, takenAt, primary: next, verbs: told, follows };
}

function tell(verb: 'confirmPrimary', input: Parameters<(typeof verbs)['confirmPrimary']['title']>[0]): ToldVerb {
  return { verb, title: verbs[verb].title(input), why: `it shows node ${input.primary} as its primary` };
}

async function tellFollow(
  { observation, now }: DryWorld,
  node: number,
  primary: number,
  down: readonly number[],
): Promise<ToldFollow> {
  if (down.includes(node)) {
    const line = `node ${node} is down: it follows node ${primary} when it is back`;
    return { node, rung: 'left', line, verbs: [] };
  }
  const { cluster, policy } = observation.configuration;
  const world: DryWorld = { observation, told: [], plan: '', now };
  const input = { cluster, node, primary, isStartAllowed: false, attachNotBefore: 0, number: 0, isDetached: false };
  try {
    const { rung, outcome, line } = await follow(openDryGround(world), input, () => Promise.resolve());
    const isLeft = outcome !== 'completed';
    return { node, rung: isLeft ? 'left' : rung, line: isLeft ? line : world.plan, verbs: world.told };
  } catch (error) {
    if (!(error instanceof EndOfTelling)) throw error;
    const isRebuild = world.told.at(-1)?.verb === 'inspectData';
    if (!isRebuild) return { node, rung: 'left', line: error.message, verbs: world.told };
    const list = policy.replacedData === 'removeFirst' ? removeFirst : beside;
    const rest = list.map((verb) => ({ verb, title: verbs[verb].title({ node } as never), why: verbs[verb].why }));
    return { node, rung: 'rebuild', line: world.plan, verbs: [...world.told, ...rest] };
  }
}
