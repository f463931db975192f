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
import type { FollowReport, Verdict } from '../domain/outcome';
import { judgeRun, nothingHappened, refuseRejoin, weightier } from '../domain/verdict';
import { answeringStandbys } from '../domain/witness';
import { Convergence } from './convergence';
import { failover } from './failover';
import { Followers } from './followers';
import { Inbox, type ReceivedEvent } from './inbox';
import { defaultTiming, type IncidentReport, type IncidentTiming } from './messages';
import { Parking } from './parking';
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
  refusal: string;
  readonly memory: Memory;
}

export async function incident(cluster: string, timing: IncidentTiming = defaultTiming): Promise<IncidentReport> {
  const inbox = new Inbox();
  inbox.listen();
  upsertSearchAttributes(searchAttributes({ cluster, operation: 'incident' }));
  const steps = new Steps(`Incident of cluster ${cluster}`);
  const parking = new Parking(steps);
  parking.listen();
  const followers = new Followers(steps, cluster, parking, (report) => {
    inbox.settleAsked(report.node, verdictOf(report));
    const { configuration, primary } = known;
    if (report.outcome === 'completed' && configuration && primary !== null)
      convergence.setSynchronous(configuration, primary);
  });
  const convergence = new Convergence(steps, parking, followers);
  const run: Run = { cluster, timing, inbox, steps, parking, followers, convergence };
  const known: Known = {
    configuration: null,
    primary: null,
    verdict: nothingHappened,
    undecided: [],
    looksLeft: timing.looks,
    refusal: '',
    memory: { doubtful: new Set(), known: [], stopped: new Set() },
  };

  for (let isFinished = false; ;) {
    if (!inbox.isEmpty()) {
      await settleNext(run, known);
      isFinished = false;
    } else if (known.undecided.length > 0 && known.looksLeft > 0) await lookAgain(run, known);
    else if (convergence.isBusy) await condition(() => !inbox.isEmpty() || !convergence.isBusy);
    else if (!isFinished) {
      isFinished = true;
      if (known.configuration && known.primary !== null) convergence.finish(known.configuration, known.primary);
    } else if (!(await condition(() => !inbox.isEmpty(), timing.lingerMs, { summary: 'late events join this run' })))
      break;
  }

  inbox.settleRest();
  const verdict = judgeRun(known.verdict, followers.reports, convergence.problem);
  parking.showOutcome(verdict.outcome);
  await condition(allHandlersFinished);
  return { ...verdict, primary: known.primary, events: inbox.report(), follows: followers.reports };
}

/** The parts of one run. */
interface Run {
  readonly cluster: string;
  readonly timing: IncidentTiming;
  readonly inbox: Inbox;
  readonly steps: Steps;
  readonly parking: Parking;
  readonly followers: Followers;
  readonly convergence: Convergence;
}

function verdictOf({ outcome, reason, line }: FollowReport): Verdict {
  return { outcome, reason, line };
}

/** While no primary is known, the refused events are decided again, whatever else is going on: clients are not served. */
async function lookAgain({ inbox, parking, timing }: Run, known: Known): Promise<void> {
  known.looksLeft -= 1;
  const problem = known.refusal;
  const question = { stepId: 'failover', title: 'Failover', problem, choices: ['retry', 'abort'] as const };
  const choice = await parking.park(question, timing.lookAgainMs, () => !inbox.isEmpty());
  if (choice === 'abort') known.looksLeft = 0;
  else if (inbox.isEmpty()) inbox.putBack(known.undecided);
}

async function settleNext(run: Run, known: Known): Promise<void> {
  const { inbox, steps, followers } = run;
  const events = inbox.take();
  const [event] = events;
  if (!event) return;
  steps.note('Event', events.map(describeEvent).join('; '));
  // pgpool calls follow for every node that it marked down by itself; the children of this run are about the same.
  if (event.kind === 'follow' && known.primary !== null && event.node !== null && event.node !== known.primary) {
    followers.startFollow(event.node, known.primary);
    inbox.settle(events, {
      outcome: 'completed',
      reason: 'primary-working',
      line: `node ${String(event.node)} is made to follow node ${String(known.primary)}`,
    });
    return;
  }
  if (event.kind === 'returned' && event.node !== null) followers.stopAwaiting(event.node);
  const result = await decide(run, events, known.memory);
  const verdict = 'verdict' in result ? result.verdict : result;
  const isRefused = verdict.outcome === 'refused' && verdict.reason !== 'node-not-configured';
  // Who asked for a node is answered when that node has followed, or cannot.
  const isAsked = event.kind === 'rejoin' && 'verdict' in result;
  const answer = isAsked ? refuseRejoin(event, result.observation.configuration, result) : verdict;
  if (answer) inbox.settle(events, answer);
  else inbox.keepAsked(event);
  known.verdict = weightier(known.verdict, verdict);
  upsertSearchAttributes(searchAttributes({ operation: event.kind }));
  run.parking.showOutcome(known.verdict.outcome);
  if ('verdict' in result) await converge(run, known, result, events);
  // The newer event says nothing of this node: it is looked at again after it.
  else if (verdict.reason === 'preempted' && event.kind !== 'failover') inbox.putBack(events);
  if (event.kind === 'rejoin' || verdict.reason === 'preempted') return;
  if (events.some((one) => !known.undecided.includes(one))) known.looksLeft = run.timing.looks;
  // Together with those before: a node that returned knows less of the primary than pgpool's own event.
  known.undecided = isRefused ? [...new Set([...known.undecided, ...events])] : [];
  known.refusal = verdict.line;
}

/** The failover runbook; a newer failover event cancels a step that has gone on for too long, and the events decide together. */
async function decide(
  { cluster, inbox, steps, timing }: Run,
  events: readonly ReceivedEvent[],
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
  { timing, followers, convergence }: Run,
  known: Known,
  result: FailoverResult,
  events: readonly ClusterEvent[],
): Promise<void> {
  const { configuration, facts } = result.observation;
  const { reason } = result.verdict;
  known.configuration = configuration;
  if (result.primary === null) {
    // A hint that names nobody says nothing about the primary; every other refusal means that none is known to work.
    if (reason !== 'node-not-configured') known.primary = null;
    // Nothing can be promoted now: whoever comes back may change that.
    for (const entry of facts.nodes) if (entry.sql !== 'answered') await followers.awaitReturn(entry.node, 'answers');
    return;
  }
  const primary = result.primary;
  const attachNotBefore = reason === 'promoted' ? Date.now() + timing.attachMs : 0;
  // The answer leaves in a task of its own, and pgpool restarts its children now: nothing else is as urgent.
  if (reason === 'promoted') await sleep(timing.settleMs, { summary: 'pgpool goes first' });
  const hasChanged = convergence.servePrimary(primary, attachNotBefore);
  known.primary = primary;
  const isNews = hasChanged || reason === 'promoted' || reason === 'primary-kept';
  if (isNews) convergence.confirmPgpools(configuration, primary);
  const former = result.formerPrimary;
  const isAway = former !== null && !answeringStandbys(facts).some((entry) => entry.node === former);
  const isManual = configuration.policy.rejoin === 'manual';
  // A node that the cluster file does not name gets a follow, too, which says so.
  const nodes = [
    ...events.map((event) => event.node),
    ...known.memory.stopped,
    ...(isNews ? configuration.nodes.map(({ id }) => id) : []),
  ];
  for (const node of new Set(nodes)) {
    if (node === null || node === primary) continue;
    const named = events.filter((event) => event.node === node);
    if (named.some((event) => refuseRejoin(event, configuration, result))) continue;
    const wasStopped = known.memory.stopped.delete(node);
    // Who was fenced on its return comes back as any other does: by itself, unless a person is to say so.
    const isAsked = named.some((event) => event.kind === 'rejoin') || (wasStopped && !isManual);
    if (isAway && node === former && !isAsked) continue;
    const isLeft = !isNews && isManual && !isAsked && named.every((event) => event.kind === 'returned');
    if (isLeft) followers.leaveToPerson(node);
    else followers.startFollow(node, primary, isAsked, !isNews && isReportedAlone(named, primary));
  }
  // It was looked at a moment ago.
  if (isAway) await followers.awaitReturn(former, 'answers', timing.awaitDelayMs);
}

/** pgpool detached this standby, and says nothing else of it: the node failed for a moment, or somebody detached it. */
function isReportedAlone(events: readonly ClusterEvent[], primary: number): boolean {
  return events.length > 0 && events.every((event) => event.kind === 'failover' && event.oldPrimary === primary);
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
  if (event.kind === 'returned') return `node ${node} answers again`;
  if (event.kind === 'rejoin') return `a person wants node ${node} back`;
  return `pgpool says ${event.kind} (node ${node}, old primary ${old})`;
}
