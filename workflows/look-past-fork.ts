// The second look of a follow: does a node hold whole WAL records past the fork? Where that cannot be told, the plan must do without.

import { isCancellation } from '@temporalio/workflow';
import type { Observation } from '../activities/look/observe';
import type { OwnWal } from '../domain/plans/follow';
import { factsOf } from '../domain/facts/facts';
import { findOwnWal } from './activity-options';
import type { FollowInput } from './messages';
import type { Steps } from './step';

/** Rejects only with a cancellation. */
export async function lookPastFork(
  steps: Steps,
  { configuration, facts }: Observation,
  { node, primary }: FollowInput,
): Promise<OwnWal> {
  const source = factsOf(facts, primary)!;
  const name = `node ${node}`;
  const input = { configuration, node, primaryTimeline: source.position!.timeline, primaryHistory: source.history };
  const act = () =>
    findOwnWal.executeWithOptions({ summary: `${name}: is there a whole record past the fork?` }, [input]);
  try {
    return (await steps.run(`Look past the fork, ${name}`, act, ({ line }) => line)).ownWal;
  } catch (error) {
    if (isCancellation(error)) throw error;
    // The table of steps shows why.
    return 'unknown';
  }
}
