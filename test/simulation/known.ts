// Violations of the product that are found and not mended yet, each with what its mending needs. Each is counted and told; anything else fails the search.

import type { Plot } from './schedule';
import type { Violation } from './simulation';

export interface Known {
  /** Null = whichever. */
  readonly rule: string | null;
  readonly title: string;
  readonly fits: (violation: Violation, plot: Plot) => boolean;
}

export const known: readonly Known[] = [
  {
    // Needs workflows/follow.ts: a cancelled follow that says whether it has stopped its node.
    rule: 'rule-8',
    title: 'a follow that takes over from a cancelled one starts a node that a person has stopped meanwhile',
    fits: ({ line }) => line.includes('by a follow that took over'),
  },
  {
    // Needs activities: a set in force that is read where the primary can no longer be asked.
    rule: 'lost-commit',
    title:
      'nobody knows a set that a person has written a moment before the primary fell silent, or while no watch ran',
    fits: (_, { schedule }) => schedule.some(({ what }) => what === 'setNames'),
  },
  {
    // Needs activities/primary/fence.ts: a fence that says whether it has found processes.
    rule: 'rule-8',
    title: 'a fence does not say that it found alive whom the look had not seen alive: the node is left stopped',
    fits: ({ line }) => line.includes('which came up while it was being stopped'),
  },
  {
    // Needs the watch: by SQL alone it cannot see that a host is back on which the server is down.
    rule: 'rule-8',
    title: 'a node that was stopped alive, and whose host vanished then, is left stopped when that host is back',
    fits: ({ line }, { schedule }) =>
      line.endsWith('was alive when it was stopped, and is left so') &&
      schedule.some(({ what }) => ['vanish', 'cut', 'divide', 'flap', 'breakSsh'].includes(what)),
  },
  {
    // Needs nothing from the product: nobody can tell such an event from that of a pgpool which has just given up a former primary.
    rule: 'rule-10',
    title: 'an event with wrong numbers comes while a person detaches its node, which is attached at once',
    fits: ({ line }, { schedule }) =>
      line.includes('was detached on purpose') && schedule.some(({ what }) => what === 'falseFailover'),
  },
  {
    // Needs domain/plans/follow.ts: a cascade that is traced to the primary, as domain/plans/differences.ts traces it.
    rule: 'liveness',
    title:
      'standbys that follow each other, or one that receives nothing, are taken for a cascade, or for want of repoint, and left so',
    fits: ({ line }) => line.includes('behind standbys that receive nothing'),
  },
  {
    // Needs domain/plans/rival-primaries.ts: stopSucceeded, which asks before the stop whether a pgpool has given the successor up.
    rule: 'rule-7',
    title:
      'a former primary is stopped for a promotion, which is refused then because no pgpool has given its successor up',
    fits: ({ line }) => line.startsWith('refused (primary-unreachable), and node'),
  },
  {
    // Needs activities/primary/fence.ts: a fence that is refused, too, where the node has come up since it was issued.
    rule: 'rule-4',
    title: 'a fence whose worker has died stops, within ten seconds, a primary that has come back meanwhile',
    fits: ({ line }) => line.endsWith('which is used, is stopped by an act that was late'),
  },
  {
    // Needs domain/plans/unserved.ts: a warning where all nodes answer as standbys and neither a record nor a last word names the primary.
    rule: 'liveness',
    title:
      'a person makes the primary a standby while the record is void or lost: nobody warns that no node accepts writes',
    fits: ({ line }) => line.startsWith('every node is a standby'),
  },
  {
    // Needs domain/plans/candidate.ts: the system identifier by the watch's last samples of the lost primary, too, where its host is silent.
    rule: 'lost-commit',
    title:
      'a node that a person has filled with another cluster’s data is promoted where no node of this cluster answers',
    fits: ({ line }) => line.includes('which holds data of another cluster, is promoted'),
  },
  {
    // Needs domain/plans/rival-primaries.ts: the older of two primaries is stopped, and only then the systems of the standbys are compared.
    rule: null,
    title: 'a former primary is stopped for its successor, beside which every standby is of another cluster',
    fits: ({ line }, { schedule }) =>
      (line.includes('belongs to another system than every standby') ||
        line.startsWith('refused (other-system), and node')) &&
      schedule.some(({ what }) => what === 'adopt'),
  },
  {
    // Needs activities/io/host: the system identifier of a node that runs and does not answer.
    rule: null,
    title: 'a promoted node of another cluster, which hangs, is stopped as the former primary of this one',
    fits: ({ line }, { schedule }) =>
      (line.includes('another system identifier') || line.startsWith('refused (no-candidate), and node')) &&
      schedule.some(({ what }) => what === 'adopt'),
  },
];

export function isKnown(violation: Violation, plot: Plot): boolean {
  return known.some(({ rule, fits }) => (rule === null || rule === violation.rule) && fits(violation, plot));
}
