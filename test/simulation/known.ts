// Violations of the product that are found and not mended yet. Each is counted and told; anything else fails the search.

import type { Plot } from './schedule';
import type { Violation } from './simulation';

export interface Known {
  readonly rule: string;
  readonly title: string;
  readonly fits: (violation: Violation, plot: Plot) => boolean;
}

export const known: readonly Known[] = [
  {
    rule: 'rule-2',
    title: 'the script of a fence that was on its way for some seconds stops the node that was rebuilt meanwhile',
    fits: ({ line }) => line.includes('by an act that was late'),
  },
  {
    rule: 'rule-8',
    title: 'a follow that takes over from a cancelled one starts a node that a person has stopped meanwhile',
    fits: ({ line }) => line.includes('by a follow that took over'),
  },
  {
    rule: 'rule-10',
    title: 'E33: a cascade is flattened, and the node attached at once although a person has detached it',
    fits: (_, { topology }) => topology.isCascade,
  },
  {
    rule: 'lost-commit',
    title:
      'without the watch nobody knows a synchronous set that a person has written since, once the primary is silent',
    fits: (_, { schedule }) => schedule.some(({ what }) => what === 'setNames'),
  },
  {
    rule: 'rule-5',
    title:
      'a node that a person has promoted and the worker does not reach is overlooked: pgpool is not asked once the primary is proven dead',
    fits: ({ line }) => line.includes('which a person has promoted'),
  },
  {
    rule: 'rule-10',
    title: 'a standby that a person detaches while its follow runs is doubted, and attached at the end (row 17)',
    fits: ({ line }) => line.includes('by the last look at a doubted node'),
  },
  {
    rule: 'rule-8',
    title: 'a fence does not say that it found alive whom the look had not seen alive: the node is left stopped',
    fits: ({ line }) => line.includes('which came up while it was being stopped'),
  },
];

export function isKnown(violation: Violation, plot: Plot): boolean {
  return known.some(({ rule, fits }) => rule === violation.rule && fits(violation, plot));
}
