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
    // Needs a decision to keep a node that leaves its mark on the node: then an older act that is still on its way is refused there.
    rule: null,
    title:
      'a fence, or a promotion, whose worker is lost and which was on its way for some seconds, comes after a decision that has kept the node',
    fits: ({ line }) => line.endsWith('by an act that was late'),
  },
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
      line.includes('was detached on purpose') &&
      schedule.some(({ what }) => what === 'falseFailover' || what === 'falseFollow'),
  },
  {
    // Needs events that name their pgpool: one pgpool has asked for the node, and a person has detached it in another one.
    rule: 'rule-10',
    title:
      'the last look at a standby attaches it in every pgpool, also in the one where a person has detached it meanwhile',
    fits: ({ line }) => line.endsWith('by the last look at a doubted node'),
  },
  {
    // Needs a mark of ours in the WAL of a promotion: PostgreSQL's history files of both are alike.
    rule: 'rule-4',
    title:
      'a person promotes a node at the very LSN at which another one was promoted: its timeline passes for the one that ours has succeeded',
    fits: ({ line }) => line.endsWith('(its branch has a twin)'),
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
  {
    // Needs nothing from the product: two hosts fail to reach the primary, and the third one, which reaches it, cannot be asked.
    rule: 'rule-5',
    title: 'the one host that reaches the primary is one that ssh does not reach',
    fits: ({ line }, { schedule }) =>
      line.endsWith('answers somebody as the primary') && schedule.some(({ what }) => what === 'breakSsh'),
  },
  {
    // Needs nothing from the product: nobody can read that the recorded primary has become a standby.
    rule: 'rule-2',
    title: 'the primary that a person has made a standby recovers, and its files cannot be read: it is fenced',
    fits: (_, { schedule }) => ['hide', 'demote'].every((deed) => schedule.some(({ what }) => what === deed)),
  },
];

export function isKnown(violation: Violation, plot: Plot): boolean {
  return known.some(({ rule, fits }) => (rule === null || rule === violation.rule) && fits(violation, plot));
}
