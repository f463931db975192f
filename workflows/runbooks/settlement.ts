// Between an incident and its decisions: what the events that wait make a decision ask, and what the incident keeps of its result. Pure.

import { answeringStandbys } from '../../domain/facts/facts';
import type { FailoverMemory } from '../../domain/plans/failover-memory';
import type { ReceivedEvent, Settlement } from '../../domain/plans/incident-state';
import { concludeFacts } from '../../domain/plans/record';
import type { FailoverResult } from './decision';
import type { FailoverInput } from './failover';

/** One look answers them all: the failed node that a pgpool took for the primary matters most. */
export function hintsOf(cluster: string, events: readonly ReceivedEvent[], memory: FailoverMemory): FailoverInput {
  const main = events.find((event) => event.node === event.oldPrimary) ?? events[0]!;
  return {
    cluster,
    failedNode: main.kind === 'failover' ? main.node : null,
    // An event that names nobody is about the primary that we made.
    oldPrimary: main.oldPrimary ?? memory.opened.at(-1)?.node ?? null,
    rejoin: main.kind === 'rejoin' ? main.node : null,
    receivedAt: Math.min(...events.map((event) => event.receivedAt)),
    memory,
  };
}

/**
 * What the incident needs of a decision: not the facts themselves, which are many.
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
  // The facts are of before the promotion.
  const opened = memory.opened.findLast(({ node }) => node === primary)?.timeline;
  const conclusion = found && isPromoted && opened !== undefined ? { ...found, timeline: opened } : found;
  const isFormerAway = former !== null && !isStandby;
  return { verdict, configuration, primary, former, isFormerAway, silent, conclusion };
}
