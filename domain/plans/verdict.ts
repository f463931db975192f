// The verdict of an incident, and the answer to a person whose rejoin is impossible: pure.

import { type ClusterConfiguration, findNode } from '../facts/cluster';
import type { ClusterEvent } from '../facts/event';
import type { FollowReport, Verdict } from '../facts/outcome';
import type { ReasonCode } from '../facts/reasons';

const awaited: readonly ReasonCode[] = ['node-unreachable', 'rejoin-manual', 'in-maintenance'];

/** The run's final verdict, after its follows and last looks. */
export function judgeRun(verdict: Verdict, follows: readonly FollowReport[], problem: ReasonCode | null): Verdict {
  if (verdict.outcome !== 'completed') return verdict;
  if (problem) return { ...verdict, outcome: 'incomplete', reason: problem };
  // A failover is complete even if a node is away or in maintenance.
  const isIncomplete = follows.some((report) => report.outcome !== 'completed' && !awaited.includes(report.reason));
  return isIncomplete ? { ...verdict, outcome: 'incomplete' } : verdict;
}

/** The weightier verdict of two: a later look that found less to do does not hide what was done. */
export function weightier(earlier: Verdict, later: Verdict): Verdict {
  if (later.reason === 'preempted') return earlier;
  const isBoth = earlier.outcome === 'completed' && later.outcome === 'completed';
  return isBoth && weightOf(later) < weightOf(earlier) ? earlier : later;
}

function weightOf({ reason }: Verdict): number {
  const order: readonly ReasonCode[] = ['already-failed-over', 'standby-failed', 'primary-kept', 'promoted'];
  return order.indexOf(reason);
}

export const nothingHappened: Verdict = {
  outcome: 'completed',
  reason: 'primary-working',
  line: 'nothing had to be done',
};

/** Null when the event asks for nothing, or for a node whose follow can be started. */
export function refuseRejoin(
  { kind, node }: ClusterEvent,
  configuration: ClusterConfiguration,
  { primary, verdict }: { readonly primary: number | null; readonly verdict: Verdict },
): Verdict | null {
  if (kind !== 'rejoin') return null;
  if (primary === null) return { ...verdict, outcome: 'refused' };
  if (node === primary) {
    const line = `node ${node} is the primary: it follows no other node`;
    return { outcome: 'refused', reason: 'node-not-standby', line };
  }
  if (findNode(configuration, node)) return null;
  const line = `node ${String(node)} is not in the cluster file of ${configuration.cluster}`;
  return { outcome: 'refused', reason: 'node-not-configured', line };
}
