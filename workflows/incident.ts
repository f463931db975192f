// The coordinator of one cluster: one run at a time, from the first event until drained. Decides inline, converges in children.

import {
  allHandlersFinished,
  CancellationScope,
  condition,
  isCancellation,
  sleep,
  upsertSearchAttributes,
} from '@temporalio/workflow';
import type { ClusterConfiguration } from '../domain/cluster';
import type { ClusterEvent } from '../domain/event';
import type { ReasonCode, Verdict } from '../domain/outcome';
import { answeringStandbys } from '../domain/witness';
import { Convergence } from './convergence';
import { failover } from './failover';
import { Inbox, type ReceivedEvent } from './inbox';
import { defaultTiming, type IncidentReport, type IncidentTiming } from './messages';
import type { FailoverResult, Memory } from './promotion';
import { searchAttributes } from './search-attributes';
import { messageOf, Steps } from './step';

/** What the run knows; decisions are always made from fresh facts, this is for the report and for converging. */
interface Known {
  configuration: ClusterConfiguration | null;
  primary: number | null;
  verdict: Verdict;
  /** Events whose refusal leaves the cluster without a primary: nobody else will ask again. */
  undecided: readonly ReceivedEvent[];
  looksLeft: number;
  readonly memory: Memory;
}

export async function incident(cluster: string, timing: IncidentTiming = defaultTiming): Promise<IncidentReport> {
  const inbox = new Inbox();
  inbox.listen();
  upsertSearchAttributes(searchAttributes({ cluster, operation: 'incident' }));
  const steps = new Steps(`Incident of cluster ${cluster}`);
  const convergence = new Convergence(steps, cluster);
  const known: Known = {
    configuration: null,
    primary: null,
    verdict: nothingHappened,
    undecided: [],
    looksLeft: timing.looks,
    memory: { doubtful: new Set(), known: [] },
  };

  do {
    while (!inbox.isEmpty()) await settleNext(cluster, inbox, steps, convergence, known, timing);
    await condition(() => !inbox.isEmpty() || !convergence.isBusy);
    if (inbox.isEmpty() && known.configuration && known.primary !== null) {
      convergence.finish(known.configuration, known.primary);
      await condition(() => !inbox.isEmpty() || !convergence.isBusy);
    }
  } while (!inbox.isEmpty() || (await hasMore(inbox, known, timing)));

  const verdict = judgeRun(known.verdict, convergence);
  upsertSearchAttributes(searchAttributes({ outcome: verdict.outcome }));
  await condition(allHandlersFinished);
  return { ...verdict, primary: known.primary, events: inbox.report(), follows: convergence.follows };
}

/** Late events join the run that they belong to. While no primary is known, the refused events are decided again. */
async function hasMore(inbox: Inbox, known: Known, timing: IncidentTiming): Promise<boolean> {
  if (known.undecided.length === 0 || known.looksLeft === 0)
    return await condition(() => !inbox.isEmpty(), timing.lingerMs, { summary: 'late events join this run' });
  known.looksLeft -= 1;
  if (!(await condition(() => !inbox.isEmpty(), timing.lookAgainMs, { summary: 'no primary is known: look again' })))
    inbox.putBack(known.undecided);
  return true;
}

function judgeRun(verdict: Verdict, { follows, problem }: Convergence): Verdict {
  if (verdict.outcome !== 'completed') return verdict;
  if (problem) return { ...verdict, outcome: 'incomplete', reason: problem };
  // A node that is away is awaited by its own workflow: its absence is not the failover's incompleteness.
  const isIncomplete = follows.some((report) => report.outcome !== 'completed' && report.reason !== 'node-unreachable');
  return isIncomplete ? { ...verdict, outcome: 'incomplete' } : verdict;
}

/** The verdict that the run is remembered by: a later look that found less to do does not hide what was done. */
function weightier(earlier: Verdict, later: Verdict): Verdict {
  if (later.reason === 'preempted') return earlier;
  const isBoth = earlier.outcome === 'completed' && later.outcome === 'completed';
  return isBoth && weightOf(later) < weightOf(earlier) ? earlier : later;
}

function weightOf({ reason }: Verdict): number {
  const order: readonly ReasonCode[] = ['already-failed-over', 'standby-failed', 'primary-kept', 'promoted'];
  return order.indexOf(reason);
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
  const result = await decide(cluster, inbox, steps, events, timing, known.memory);
  const verdict = 'verdict' in result ? result.verdict : result;
  inbox.settle(events, verdict);
  known.verdict = weightier(known.verdict, verdict);
  upsertSearchAttributes(searchAttributes({ operation: event.kind, outcome: known.verdict.outcome }));
  if ('verdict' in result) await converge(convergence, known, result, events, timing);
  const isRefused = verdict.outcome === 'refused' && verdict.reason !== 'node-not-configured';
  // Together with those before: a node that returned knows less of the primary than pgpool's own event.
  known.undecided = isRefused ? [...new Set([...known.undecided, ...events])] : [];
}

/** The failover runbook; a newer failover event cancels a step that has gone on for too long, and the events decide together. */
async function decide(
  cluster: string,
  inbox: Inbox,
  steps: Steps,
  events: readonly ReceivedEvent[],
  timing: IncidentTiming,
  memory: Memory,
): Promise<FailoverResult | Verdict> {
  const scope = new CancellationScope();
  let isDone = false;
  const running = scope.run(() => failover(steps, { ...hintsOf(cluster, events), memory }));
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
  timing: IncidentTiming,
): Promise<void> {
  const { configuration, facts } = result.observation;
  const { reason } = result.verdict;
  known.configuration = configuration;
  if (result.primary === null) {
    // A hint that names nobody says nothing about the primary; every other refusal means that none is known to work.
    if (reason !== 'node-not-configured') known.primary = null;
    // Nothing can be promoted now: whoever comes back may change that.
    for (const entry of facts.nodes) if (entry.sql !== 'answered') await convergence.awaitReturn(entry.node, 'answers');
    return;
  }
  const primary = result.primary;
  // The answer leaves in a task of its own, and pgpool restarts its children now: nothing else is as urgent.
  if (reason === 'promoted') await sleep(timing.settleMs, { summary: 'pgpool goes first' });
  convergence.servePrimary(primary);
  known.primary = primary;
  const isNews = reason === 'promoted' || reason === 'primary-kept';
  if (isNews) convergence.confirmPgpools(configuration, primary);
  const named = events.map((event) => event.node).filter((node): node is number => node !== null);
  const standbys = answeringStandbys(facts).map((entry) => entry.node);
  const followers = isNews ? configuration.nodes.map((node) => node.id) : named;
  const former = result.formerPrimary;
  const isAway = former !== null && !standbys.includes(former);
  for (const node of new Set(followers)) {
    if (node !== primary && !(isAway && node === former)) convergence.startFollow(node, primary);
  }
  // It was looked at a moment ago.
  if (isAway) await convergence.awaitReturn(former, 'answers', timing.awaitDelayMs);
}

/** One look answers them all: the failed node that a pgpool took for the primary matters most. */
function hintsOf(cluster: string, events: readonly ReceivedEvent[]): Omit<Parameters<typeof failover>[1], 'memory'> {
  const main = events.find((event) => event.node === event.oldPrimary) ?? events[0]!;
  const receivedAt = Math.min(...events.map((event) => event.receivedAt));
  return { cluster, failedNode: main.kind === 'failover' ? main.node : null, oldPrimary: main.oldPrimary, receivedAt };
}

function describeEvent(event: ClusterEvent): string {
  const old = event.oldPrimary === null ? 'none' : String(event.oldPrimary);
  const node = event.node === null ? 'none' : String(event.node);
  return event.kind === 'returned'
    ? `node ${node} answers again`
    : `pgpool says ${event.kind} (node ${node}, old primary ${old})`;
}
