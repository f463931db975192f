// A mutation: a fault that the product could have, made around it. Each says which rule it breaks, and which deeds and topology bring that out.

import type { next } from '../../../domain/plans/incident';
import type { Step } from '../../../domain/plans/incident-state';
import type { InputOf, ResultOf, VerbName } from '../../../workflows/runbooks/ground';
import type { DeedName } from '../deeds';
import { newRandom } from '../random';
import { drawCourse, drawSchedule, drawTopology, type Plot, type Topology } from '../schedule';
import { product, type Simulation, type Subject } from '../simulation';
import type { Seams } from './seams';

export interface Mutation {
  readonly rule: string;
  readonly title: string;
  readonly seams?: () => Seams;
  readonly subject?: Partial<Subject>;
  /** Drawn more often than the others. */
  readonly deeds: readonly DeedName[];
  /** These deeds alone, one after the other, within seconds: the mutation shows in a single course of events. */
  readonly isInOrder?: boolean;
  readonly topology?: (topology: Topology) => Topology;
}

export function subjectOf({ subject }: Mutation): Subject {
  return { ...product, ...subject };
}

const judgedAtEnd = ['rule-8', 'rule-9', 'liveness', 'level'];

/** Short, and mostly of the mutation's own deeds. */
export function steer({ rule, deeds, isInOrder = false, topology = (one) => one }: Mutation): (seed: number) => Plot {
  return (seed) => {
    const random = newRandom(seed);
    const drawn = topology(drawTopology(random));
    return {
      topology: drawn,
      isShort: !judgedAtEnd.includes(rule),
      isPatient: rule === 'level',
      schedule: isInOrder ? drawCourse(random, deeds) : drawSchedule(random, { deeds, count: 3 + random.below(5) }),
    };
  };
}

export type Policy = Topology['configuration']['policy'];

export const withPolicy =
  (policy: Partial<Policy>, more: Partial<Omit<Topology, 'configuration'>> = {}) =>
  (topology: Topology): Topology => ({
    ...{ ...topology, isCascade: false, odd: null, ...more },
    configuration: { ...topology.configuration, policy: { ...topology.configuration.policy, ...policy } },
  });

/** Changes one verb; `body` is what it really does. */
export function changeVerb<Name extends VerbName>(
  name: Name,
  change: (body: () => Promise<ResultOf<Name>>, input: InputOf<Name>, sim: Simulation) => Promise<unknown>,
): Partial<Subject> {
  return {
    verb: (verb, input, body, sim) =>
      verb === name ? change(body as () => Promise<ResultOf<Name>>, input as InputOf<Name>, sim) : body(),
  };
}

/** Changes what the page answers. */
export function changePage(change: (step: Step) => Step): Partial<Subject> {
  const spoiled: typeof next = (...args) => change(product.next(...args));
  return { next: spoiled };
}
