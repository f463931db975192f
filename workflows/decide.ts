// One decision about the primary, from the events that wait: the failover runbook, until it has an answer or a newer event takes over.

import { ActivityFailure, TimeoutFailure } from '@temporalio/common';
import { CancellationScope, condition, isCancellation } from '@temporalio/workflow';
import type { Verdict } from '../domain/facts/outcome';
import { failover, type FailoverInput } from './failover';
import type { Inbox, ReceivedEvent } from './inbox';
import type { IncidentTiming } from './messages';
import type { FailoverResult, Memory } from './decision-steps';
import { messageOf, type Steps } from './step';

export interface DecisionParts {
  readonly cluster: string;
  readonly timing: IncidentTiming;
  readonly inbox: Inbox;
  readonly steps: Steps;
}

/** The failover runbook; a newer failover event cancels a step that has gone on for too long, and the events decide together. */
export async function runFailover(
  { cluster, inbox, steps, timing }: DecisionParts,
  events: readonly ReceivedEvent[],
  memory: Memory,
): Promise<FailoverResult | Verdict> {
  const scope = new CancellationScope();
  let isDone = false;
  const running = scope.run(() => untilAnswered(steps, { ...hintsOf(cluster, events, memory), memory }));
  // Nobody awaits this one: a cancelled incident must not fail its task over it.
  void CancellationScope.nonCancellable(() => preempt(scope, inbox, timing, () => isDone));
  try {
    return await running;
  } catch (error) {
    if (CancellationScope.current().consideredCancelled) throw error;
    if (isCancellation(error) && scope.consideredCancelled) {
      return { outcome: 'refused', reason: 'preempted', line: 'a newer failover event took over: its decision counts' };
    }
    return { outcome: 'refused', reason: 'step-failed', line: messageOf(error) };
  } finally {
    isDone = true;
  }
}

/** Every attempt of a step may time out for want of a worker, or because it stood still for some seconds. */
const mostTimeouts = 3;

/** A step that has timed out says nothing about the nodes: the decision is made again from fresh facts. */
async function untilAnswered(steps: Steps, input: FailoverInput): Promise<FailoverResult> {
  for (let timeouts = 1; ; timeouts += 1) {
    try {
      return await failover(steps, input);
    } catch (error) {
      const isTimeout = error instanceof ActivityFailure && error.cause instanceof TimeoutFailure;
      if (!isTimeout || timeouts > mostTimeouts) throw error;
      steps.note('Decide again', `${error.activityType} gave no answer (${messageOf(error)}): from fresh facts`);
    }
  }
}

async function preempt(
  scope: CancellationScope,
  inbox: Inbox,
  timing: IncidentTiming,
  isDone: () => boolean,
): Promise<void> {
  await condition(() => inbox.hasFailover || isDone());
  if (isDone()) return;
  await condition(isDone, timing.preemptMs);
  if (!isDone()) scope.cancel();
}

/** One look answers them all: the failed node that a pgpool took for the primary matters most. */
function hintsOf(
  cluster: string,
  events: readonly ReceivedEvent[],
  { opened }: Memory,
): Omit<Parameters<typeof failover>[1], 'memory'> {
  const main = events.find((event) => event.node === event.oldPrimary) ?? events[0]!;
  const receivedAt = Math.min(...events.map((event) => event.receivedAt));
  return {
    cluster,
    failedNode: main.kind === 'failover' ? main.node : null,
    // An event that names nobody is about the primary that we made.
    oldPrimary: main.oldPrimary ?? opened.at(-1)?.node ?? null,
    rejoin: main.kind === 'rejoin' ? main.node : null,
    receivedAt,
  };
}
