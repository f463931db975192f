// A stand-in for the incident: speaks its messages and does nothing to any cluster. What it does depends on the node:
// 0 copies in a follow of its own, 1 is refused at once, 2 parks until a decision, 3 ends without answering.

import {
  ApplicationFailure,
  condition,
  executeChild,
  proxyActivities,
  setHandler,
  upsertSearchAttributes,
} from '@temporalio/workflow';
import { type Decision, findDecisionProblem, type ParkedStep } from '../../domain/facts/decision';
import type { ClusterEvent } from '../../domain/facts/event';
import { followWorkflowId } from '../../domain/facts/names';
import type { Outcome, Verdict } from '../../domain/facts/outcome';
import type { Recorded } from '../../domain/facts/record';
import type { ReasonCode } from '../../domain/facts/reasons';
import {
  acceptUpdate,
  decideUpdate,
  eventSignal,
  maintainUpdate,
  parkedQuery,
  settledUpdate,
} from '../../workflows/messages';
import type { ClusterOverview } from '../../domain/plans/overview';
import type { PlanInput } from '../../workflows/plan';
import type { ToldPlan } from '../../workflows/runbooks/telling';
import { searchAttributes } from '../../workflows/search-attributes';

export interface StandInActivities {
  baseBackup(input: { readonly cluster: string; readonly node: number }): Promise<string>;
  /** Says what it sees, and never ends. */
  watch(): Promise<void>;
}

const { baseBackup, watch } = proxyActivities<StandInActivities>({
  startToCloseTimeout: '2m',
  heartbeatTimeout: '10s',
  // So long that a look sees the failure before the next attempt, on any machine.
  retry: { initialInterval: '5s' },
});

export async function incident(cluster: string): Promise<{ events: (Verdict & { eventId: string })[] }> {
  let event: ClusterEvent | null = null;
  let verdict: Verdict | null = null;
  let decision: Decision | null = null;
  let isAsked = false;
  const parked: ParkedStep[] = [];
  setHandler(eventSignal, (value) => {
    event ??= value as ClusterEvent;
  });
  setHandler(settledUpdate, async (eventId) => {
    isAsked = true;
    await condition(() => verdict !== null && event?.eventId === eventId && event.node !== 3);
    return verdict!;
  });
  setHandler(parkedQuery, () => parked);
  setHandler(decideUpdate, (value) => `${(decision = value).stepId}: ${value.choice} by ${value.operator}`, {
    validator: (value) => {
      const problem = findDecisionProblem(value, parked);
      if (problem !== null) throw ApplicationFailure.nonRetryable(problem, 'DecisionRejected');
    },
  });
  upsertSearchAttributes(searchAttributes({ cluster, operation: 'incident' }));
  await condition(() => event !== null);
  const { node, eventId } = event as unknown as ClusterEvent;
  const say = (outcome: Outcome, reason: ReasonCode, line: string): Verdict => ({ outcome, reason, line });
  if (node === 0) {
    const line = await executeChild(follow, {
      workflowId: followWorkflowId(cluster, node),
      args: [cluster, node],
    });
    verdict = say('completed', 'rebuilt', line);
  } else if (node === 1) {
    verdict = say('refused', 'node-unreachable', 'node 1 does not answer');
  } else if (node === 2) {
    const since = new Date(Date.now()).toISOString();
    const problem = 'node 2: no space\nleft';
    parked.push({ stepId: 'node2.base-backup', title: 'Base backup', problem, choices: ['retry', 'abort'], since });
    await condition(() => decision !== null);
    parked.pop();
    verdict = say('incomplete', 'decided-by-person', `node 2 is left as it is: ${decision!.reason}`);
  } else {
    await condition(() => isAsked);
    verdict = say('completed', 'repointed', 'node 3 streams from node 1');
  }
  // Waits for the question, except for node 3: like an incident that closes between a signal and its question.
  if (node !== 3) await condition(() => isAsked);
  return { events: [{ ...verdict, eventId }] };
}

export async function follow(cluster: string, node: number): Promise<string> {
  upsertSearchAttributes(searchAttributes({ cluster, operation: 'follow' }));
  return await baseBackup({ cluster, node });
}

/** Tells what it was asked; node 1 alone gets a refusal, node 2 no answer. */
export async function plan({ down }: PlanInput): Promise<ToldPlan> {
  await condition(() => !down.includes(2));
  const verbs = [{ verb: 'promote' as const, title: 'Promote node 1', why: 'the plan chose it' }];
  const follow = { node: 2, rung: 'repoint' as const, line: 'node 2 has nothing more: repoint by reload', verbs };
  const told = { takenAt: '2026-01-01T00:00:00.000Z', verbs, follows: [follow] };
  return down.includes(1)
    ? { ...told, outcome: 'refused', reason: 'no-candidate', line: 'nobody is left', primary: null, follows: [] }
    : { ...told, outcome: 'completed', reason: 'promoted', line: 'promoted node 1', primary: 1 };
}

/** Keeps what it was started with, and watches; accepts node 0, and says of any other that it accepts no writes; repeats what it is told of maintenance. */
export async function cluster(_name: string, { record, maintenance }: Recorded): Promise<void> {
  setHandler(acceptUpdate, ({ node, operator }) => {
    if (node !== 0) throw ApplicationFailure.nonRetryable(`node ${node} does not accept writes`, 'NotAccepted');
    return { ...record!, primary: node, timeline: 1, openedBy: 'others', former: null, by: operator };
  });
  setHandler(maintainUpdate, (said) => {
    if (said.action === 'stop') return maintenance;
    const { node, operator, reason, forMs } = said;
    const until = forMs === null ? null : new Date(forMs).toISOString();
    return [...maintenance, { node, operator, reason, since: '2026-01-01T00:00:00.000Z', until }];
  });
  await watch();
}

/** Two nodes and a pgpool; the first cluster of a bench has a node away. */
export async function look(cluster: string): Promise<ClusterOverview> {
  const isFirst = cluster.endsWith('-1');
  const own = { host: '10.0.0.10', isInMaintenance: false, pgpools: { pgpool0: 'up' }, seen: 'answers' };
  const standby = isFirst
    ? {
        ...own,
        role: 'away' as const,
        timeline: null,
        lsn: null,
        lagBytes: null,
        from: null,
        seen: 'no answer in 1000 ms',
      }
    : { ...own, role: 'standby' as const, timeline: 2, lsn: '0/4FFFF00', lagBytes: 256, from: 'node 0' };
  return Promise.resolve({
    cluster,
    takenAt: '2026-01-01T00:00:00.000Z',
    primaries: [0],
    served: { pgpool0: isFirst ? null : 0 },
    nodes: [
      { ...own, node: 0, role: 'primary', timeline: 2, lsn: '0/5000000', lagBytes: null, from: null },
      { ...standby, node: 1 },
    ],
  });
}
