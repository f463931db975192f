// Translates between an incident and its decisions: from waiting events to a decision's input, and from its result to
// what the incident keeps. Pure.

import { answeringStandbys } from '../../domain/facts/facts';
import { type FailoverMemory, noteGivenUp } from '../../domain/plans/failover-memory';
import type { ReceivedEvent, Settlement } from '../../domain/plans/incident-state';
import { concludeFacts } from '../../domain/plans/record';
import type { FailoverResult } from './decision';
import type { FailoverInput } from './failover';

/** One decision for all events: the failed node that a pgpool took for the primary matters most. */
export function hintsOf(cluster: string, events: readonly ReceivedEvent[], memory: FailoverMemory): FailoverInput {
  const main = events.find((event) => event.node !== null && event.node === event.oldPrimary) ?? events[0]!;
  return {
    cluster,
    failedNode: main.kind === 'failover' ? main.node : null,
    // An event without a former primary is about the one that we promoted last.
    oldPrimary: main.oldPrimary ?? memory.opened.at(-1)?.node ?? null,
    rejoin: main.kind === 'rejoin' ? main.node : null,
    receivedAt: Math.min(...events.map((event) => event.receivedAt)),
    memory: noteGivenUp(memory, events),
  };
}

/**
 * The part of a decision that the incident needs; the facts themselves are too large.
 * @param by `<workflow id>/<run id>`
 */
export function toSettlement(
  { verdict, observation, primary, formerPrimary: former, isFenceConfirmed }: FailoverResult,
  memory: FailoverMemory,
  by: string,
): Settlement {
  const { configuration, facts } = observation;
  const isStandby = answeringStandbys(facts).some(({ node }) => node === former);
  const silent = facts.nodes.filter(({ sql }) => sql !== 'answered').map(({ node }) => node);
  const isPromoted = verdict.reason === 'promoted';
  const more = {
    openedBy: isPromoted ? ('us' as const) : ('others' as const),
    former: former === null ? null : { node: former, isFenceConfirmed },
    by,
  };
  const found = primary === null ? null : concludeFacts(configuration, facts, primary, more);
  // The facts are older than the promotion.
  const opened = memory.opened.findLast(({ node }) => node === primary)?.timeline;
  const conclusion = found && isPromoted && opened !== undefined ? { ...found, timeline: opened } : found;
  const isFormerAway = former !== null && !isStandby;
  return { verdict, configuration, primary, former, isFormerAway, silent, conclusion };
}
