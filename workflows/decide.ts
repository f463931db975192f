// One decision about the primary, from the events that wait: the failover runbook, until it has an answer or a newer event takes over.

import { CancellationScope, condition, isCancellation } from '@temporalio/workflow';
import type { Verdict } from '../domain/facts/outcome';
import { failover, type FailoverInput } from './runbooks/failover';
import type { Inbox, ReceivedEvent } from './inbox';
import type { IncidentTiming } from './messages';
import type { FailoverMemory } from '../domain/plans/failover-memory';
import type { FailoverResult } from './runbooks/decision';
import type { Ground } from './runbooks/ground';
import { messageOf } from './step';

export interface DecisionParts {
  readonly cluster: string;
  readonly timing: IncidentTiming;
  readonly inbox: Inbox;
  readonly ground: Ground;
  memory: FailoverMemory;
}

/** The failover runbook; a newer failover event cancels a step that has gone on for too long, and the events decide together. */
export async function runFailover(
  parts: DecisionParts,
  events: readonly ReceivedEvent[],
): Promise<FailoverResult | Verdict> {
  const { inbox, ground, timing } = parts;
  const scope = new CancellationScope();
  let isDone = false;
  const running = scope.run(() => failover(ground, hintsOf(parts, events)));
  // Nobody awaits this one: a cancelled incident must not fail its task over it.
  void CancellationScope.nonCancellable(() => preempt(scope, inbox, timing, () => isDone));
  const end = await running;
  isDone = true;
  parts.memory = end.memory;
  if ('result' in end) return end.result;
  if (CancellationScope.current().consideredCancelled) throw end.error;
  if (isCancellation(end.error) && scope.consideredCancelled) {
    return { outcome: 'refused', reason: 'preempted', line: 'a newer failover event took over: its decision counts' };
  }
  return { outcome: 'refused', reason: 'step-failed', line: messageOf(end.error) };
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
function hintsOf({ cluster, memory }: DecisionParts, events: readonly ReceivedEvent[]): FailoverInput {
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
