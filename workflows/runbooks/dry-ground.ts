// A ground on which nothing is done: each verb is recorded and taken as successful, and the runbook goes on from the
// facts that would follow.

import type { Observation } from '../../activities/look/observe';
import { factsOf } from '../../domain/facts/facts';
import { assumeFenced, assumeFollowing, assumePromoted } from '../../domain/plans/assumed';
import type { Acts, Ground, InputOf, VerbName } from './ground';
import { verbs } from './verbs';

/** One verb that a real run would do. */
export interface ToldVerb {
  readonly verb: VerbName;
  readonly title: string;
  readonly why: string;
}

/** The end of what can be told: the rest depends on a person, or on a look at changes that were not made. */
export class EndOfTelling extends Error {
  override readonly name = 'EndOfTelling';
}

export interface DryWorld {
  observation: Observation;
  readonly told: ToldVerb[];
  /** The runbook's last plan, in words. */
  plan: string;
  readonly now: number;
}

/** @param world changes as its verbs are told */
export function openDryGround(world: DryWorld): Ground {
  const act = Object.fromEntries(
    (Object.keys(verbs) as VerbName[]).map((name) => [
      name,
      async (input: never, why = verbs[name].why) => {
        world.told.push({ verb: name, title: verbs[name].title(input), why });
        // A verb resolves later on every ground.
        await Promise.resolve();
        const assume = assumptions[name];
        if (!assume) throw new EndOfTelling(`the result of ${name} is not known beforehand`);
        return assume(world, input);
      },
    ]),
  ) as unknown as Acts;
  return {
    act,
    note: (title, seen) => {
      if (title === 'Plan') world.plan = seen;
    },
    ask: (question) => Promise.reject(new EndOfTelling(`a person would be asked: ${question.problem}`)),
    now: () => world.now,
    sleep: () => Promise.resolve(),
    shielded: (body) => body(),
  };
}

type Assume<Name extends VerbName> = (world: DryWorld, input: InputOf<Name>) => unknown;

const done = { changed: true, line: 'would be done' };

/** Verbs whose success can be assumed; any other one ends the telling. */
const assumptions: { readonly [Name in VerbName]?: Assume<never> } = {
  observe: ({ observation }) => observation,
  findOwnWal: () => ({ changed: false, line: 'not looked', ownWal: 'unknown' }),
  fence: (world, { node }: InputOf<'fence'>) => {
    const { configuration, facts } = world.observation;
    const synchronousStandbyNames = factsOf(facts, node)?.host?.synchronousStandbyNames ?? null;
    world.observation = { configuration, facts: assumeFenced(facts, node) };
    const nodes = world.observation.facts.nodes;
    return { outcome: 'confirmed', seen: 'no process is left', nodes, synchronousStandbyNames };
  },
  promote: (world, { candidate, position }: InputOf<'promote'>) => {
    const { configuration, facts } = world.observation;
    world.observation = { configuration, facts: assumePromoted(facts, candidate, position) };
    return { ...done, timeline: position.timeline + 1 };
  },
  repoint: (world, { node, primary }: InputOf<'repoint'>) => {
    const { configuration, facts } = world.observation;
    world.observation = { configuration, facts: assumeFollowing(configuration, facts, node, primary) };
    return done;
  },
  attach: () => done,
  releaseSlots: () => done,
  saveConfiguration: () => ({ ...done, set: null, mark: null }),
};
