// The coordinator of one cluster: one run at a time, from the first event until drained. Decides inline, converges in children.

import {
  allHandlersFinished,
  CancellationScope,
  condition,
  isCancellation,
  upsertSearchAttributes,
} from '@temporalio/workflow';
import type { ClusterConfiguration } from '../domain/cluster';
import type { ClusterEvent } from '../domain/event';
import type { Verdict } from '../domain/outcome';
import { answeringStandbys } from '../domain/witness';
import { Convergence } from './convergence';
import { failover, type FailoverResult } from './failover';
import { Inbox } from './inbox';
import { defaultTiming, type IncidentReport, type IncidentTiming } from './messages';
import { searchAttributes } from './search-attributes';
import { messageOf, Steps } from './step';

/** What the run knows; decisions are always made from fresh facts, this is for the report and for converging. */
interface Known {
  configuration: ClusterConfiguration | null;
  primary: number | null;
  verdict: Verdict;
}

export async function incident(cluster: string, timing: IncidentTiming = defaultTiming): Promise<IncidentReport> {
  const inbox = new Inbox();
  inbox.listen();
  upsertSearchAttributes(searchAttributes({ cluster, operation: 'incident' }));
  const steps = new Steps(`Incident of cluster ${cluster}`);
  const convergence = new Convergence(steps, cluster);
  const known: Known = { configuration: null, primary: null, verdict: nothingHappened };

  do {
    while (!inbox.isEmpty) await settleNext(cluster, inbox, steps, convergence, known, timing);
    await condition(() => !inbox.isEmpty || !convergence.isBusy);
    if (inbox.isEmpty && known.configuration && known.primary !== null)
      await finish(convergence, known, known.configuration, known.primary);
  } while (!inbox.isEmpty || (await condition(() => !inbox.isEmpty, timing.lingerMs)));

  // A node that is away is awaited by its own workflow: its absence is not the failover's incompleteness.
  const isIncomplete = convergence.follows.some(
    (report) => report.outcome !== 'completed' && report.reason !== 'node-unreachable',
  );
  const verdict: Verdict =
    isIncomplete && known.verdict.outcome === 'completed' ? { ...known.verdict, outcome: 'incomplete' } : known.verdict;
  upsertSearchAttributes(searchAttributes({ outcome: verdict.outcome }));
  await condition(allHandlersFinished);
  return { ...verdict, primary: known.primary, events: inbox.report(), follows: convergence.follows };
}

const nothingHappened: Verdict = { outcome: 'completed', reason: 'primary-working', line: 'no event needed anything' };

async function settleNext(
  cluster: string,
  inbox: Inbox,
  steps: Steps,
  convergence: Convergence,
  known: Known,
  timing: IncidentTiming,
): Promise<void> {
  const events = inbox.take();
  const [event] = events;
  if (!event) return;
  steps.note('Event', events.map(describeEvent).join('; '));
  // pgpool calls follow for every node that it marked down by itself; the children of this run are about the same.
  if (event.kind === 'follow' && known.primary !== null && event.node !== null && event.node !== known.primary) {
    convergence.startFollow(event.node, known.primary);
    inbox.settle(events, {
      outcome: 'completed',
      reason: 'primary-working',
      line: `node ${String(event.node)} is made to follow node ${String(known.primary)}`,
    });
    return;
  }
  if (event.kind === 'returned' && event.node !== null) convergence.stopAwaiting(event.node);
  const result = await decide(cluster, inbox, steps, events, timing);
  inbox.settle(events, 'verdict' in result ? result.verdict : result);
  known.verdict = 'verdict' in result ? result.verdict : result;
  upsertSearchAttributes(searchAttributes({ operation: event.kind, outcome: known.verdict.outcome }));
  if ('verdict' in result) await converge(convergence, known, result, events);
}

/** The failover runbook; a newer failover event cancels a step that has gone on for too long, and the events decide together. */
async function decide(
  cluster: string,
  inbox: Inbox,
  steps: Steps,
  events: readonly ClusterEvent[],
  timing: IncidentTiming,
): Promise<FailoverResult | Verdict> {
  const scope = new CancellationScope();
  let isDone = false;
  const running = scope.run(() => failover(steps, hintsOf(cluster, events)));
  void preempt(scope, inbox, timing, () => isDone);
  try {
    return await running;
  } catch (error) {
    if (isCancellation(error) && scope.consideredCancelled) {
      return { outcome: 'refused', reason: 'preempted', line: 'a newer failover event took over: its decision counts' };
    }
    return { outcome: 'refused', reason: 'step-failed', line: messageOf(error) };
  } finally {
    isDone = true;
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

async function converge(
  convergence: Convergence,
  known: Known,
  result: FailoverResult,
  events: readonly ClusterEvent[],
): Promise<void> {
  const { configuration, facts } = result.observation;
  const { reason } = result.verdict;
  known.configuration = configuration;
  if (result.primary === null) {
    // Nothing can be promoted now: whoever comes back may change that.
    for (const entry of facts.nodes) if (entry.sql !== 'answered') await convergence.awaitReturn(entry.node, 'answers');
    return;
  }
  const primary = result.primary;
  if (known.primary !== primary) convergence.cancelFollows();
  known.primary = primary;
  const isNews = reason === 'promoted' || reason === 'primary-kept';
  if (isNews) convergence.confirmPgpools(configuration, primary);
  const named = events.map((event) => event.node).filter((node): node is number => node !== null);
  const standbys = answeringStandbys(facts).map((entry) => entry.node);
  const followers = isNews ? configuration.nodes.map((node) => node.id) : named;
  for (const node of new Set(followers)) {
    if (node === primary) continue;
    if (node === result.formerPrimary && !standbys.includes(node)) await convergence.awaitReturn(node, 'answers');
    else convergence.startFollow(node, primary);
  }
}

async function finish(
  convergence: Convergence,
  known: Known,
  configuration: ClusterConfiguration,
  primary: number,
): Promise<void> {
  const isConfirmed = await convergence.finish(configuration, primary);
  if (!isConfirmed && known.verdict.outcome === 'completed') {
    known.verdict = { ...known.verdict, outcome: 'incomplete', reason: 'pgpool-unconfirmed' };
  }
}

/** One look answers them all: the failed node that a pgpool took for the primary matters most. */
function hintsOf(cluster: string, events: readonly ClusterEvent[]): Parameters<typeof failover>[1] {
  const main = events.find((event) => event.node === event.oldPrimary) ?? events[0]!;
  const eventAt = events.map((event) => event.at).sort()[0]!;
  return { cluster, failedNode: main.kind === 'failover' ? main.node : null, oldPrimary: main.oldPrimary, eventAt };
}

function describeEvent(event: ClusterEvent): string {
  const old = event.oldPrimary === null ? 'none' : String(event.oldPrimary);
  const node = event.node === null ? 'none' : String(event.node);
  return event.kind === 'returned'
    ? `node ${node} answers again`
    : `pgpool says ${event.kind} (node ${node}, old primary ${old})`;
}
