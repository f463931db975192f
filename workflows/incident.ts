// The coordinator of one cluster: one run at a time, from the first event until drained. Decides inline, converges in children.

import { allHandlersFinished, condition, setHandler, sleep, upsertSearchAttributes } from '@temporalio/workflow';
import type { ClusterConfiguration } from '../domain/facts/cluster';
import { type ClusterEvent, describeEvent } from '../domain/facts/event';
import type { FollowReport, Verdict } from '../domain/facts/outcome';
import { judgeRun, nothingHappened, refuseRejoin, weightier } from '../domain/plans/verdict';
import { answeringStandbys } from '../domain/facts/facts';
import { Convergence } from './convergence';
import { runFailover } from './decide';
import { Followers } from './followers';
import { Inbox, type ReceivedEvent } from './inbox';
import { defaultTiming, type IncidentReport, type IncidentTiming, streamsSignal } from './messages';
import { Parking } from './parking';
import { openGround } from './ground';
import type { FailoverResult } from './runbooks/decision';
import type { Ground } from './runbooks/ground';
import { emptyMemory, type FailoverMemory } from '../domain/plans/failover-memory';
import { searchAttributes } from './search-attributes';
import { Steps } from './step';

/** What the run knows; decisions are always made from fresh facts, this is for the report and for converging. */
interface RunState {
  configuration: ClusterConfiguration | null;
  primary: number | null;
  verdict: Verdict;
  /** Events whose refusal leaves the cluster without a primary: nobody else will ask again. */
  undecided: readonly ReceivedEvent[];
  looksLeft: number;
  refusal: string;
}

/** Nothing has happened yet. */
function newRunState({ looks }: IncidentTiming): RunState {
  return {
    configuration: null,
    primary: null,
    verdict: nothingHappened,
    undecided: [],
    looksLeft: looks,
    refusal: '',
  };
}

export async function incident(cluster: string, timing: IncidentTiming = defaultTiming): Promise<IncidentReport> {
  const inbox = new Inbox();
  inbox.listen();
  upsertSearchAttributes(searchAttributes({ cluster, operation: 'incident' }));
  const steps = new Steps(`Incident of cluster ${cluster}`);
  const parking = new Parking(steps);
  parking.listen();
  const ground = openGround(steps, parking);
  const followers = new Followers(steps, cluster, parking, (report) => {
    inbox.settleAsked(report.node, verdictOf(report));
  });
  setHandler(
    streamsSignal,
    () => {
      const { configuration, primary } = state;
      if (configuration && primary !== null) convergence.setSynchronous(configuration, primary);
    },
    { description: 'From a follow: its node streams, so commits may wait for it.' },
  );
  const convergence = new Convergence(ground, followers);
  const run: Run = { cluster, timing, inbox, steps, ground, memory: emptyMemory, parking, followers, convergence };
  const state = newRunState(timing);

  for (let isFinished = false; ;) {
    if (!inbox.isEmpty()) {
      await settleNext(run, state);
      isFinished = false;
    } else if (state.undecided.length > 0 && nextLookMs(run, state) !== null) await lookAgain(run, state);
    else if (convergence.isBusy) await condition(() => !inbox.isEmpty() || !convergence.isBusy);
    else if (!isFinished) {
      isFinished = true;
      if (state.configuration && state.primary !== null) convergence.finish(state.configuration, state.primary);
    } else if (!(await condition(() => !inbox.isEmpty(), timing.lingerMs, { summary: 'late events join this run' })))
      break;
  }

  inbox.settleRest();
  const verdict = judgeRun(state.verdict, followers.reports, convergence.problem);
  parking.showOutcome(verdict.outcome);
  await condition(allHandlersFinished);
  return { ...verdict, primary: state.primary, events: inbox.report(), follows: followers.reports };
}

/** The parts of one run. */
interface Run {
  readonly cluster: string;
  readonly timing: IncidentTiming;
  readonly inbox: Inbox;
  readonly steps: Steps;
  readonly ground: Ground;
  memory: FailoverMemory;
  readonly parking: Parking;
  readonly followers: Followers;
  readonly convergence: Convergence;
}

function verdictOf({ outcome, reason, line }: FollowReport): Verdict {
  return { outcome, reason, line };
}

/** Soon at first, while pgpool still searches for a primary, then every 10 s, then every 1 to 5 minutes for as long as it takes; null = not again. */
function nextLookMs({ timing }: Run, { looksLeft }: RunState): number | null {
  if (looksLeft > 0) return Math.min(timing.lookAgainMs, firstLookMs * 2 ** (timing.looks - looksLeft));
  return timing.slowLookMs === null ? null : Math.min(timing.slowLookMs * 2 ** -looksLeft, longestLookMs);
}

const firstLookMs = 1000;
const longestLookMs = 300_000;

/** While no primary is state, the refused events are decided again, whatever else is going on: clients are not served. */
async function lookAgain(run: Run, state: RunState): Promise<void> {
  const { inbox, parking } = run;
  const pauseMs = nextLookMs(run, state);
  state.looksLeft -= 1;
  const problem = state.refusal;
  const question = { stepId: 'failover', title: 'Failover', problem, choices: ['retry', 'abort'] as const };
  const choice = await parking.park(question, pauseMs, () => !inbox.isEmpty());
  if (choice === 'abort') state.undecided = [];
  else if (inbox.isEmpty()) inbox.putBack(state.undecided);
}

async function settleNext(run: Run, state: RunState): Promise<void> {
  const { inbox, steps, followers } = run;
  const events = inbox.take();
  const [event] = events;
  if (!event) return;
  steps.note('Event', events.map(describeEvent).join('; '));
  // pgpool calls follow for every node that it marked down by itself; the children of this run are about the same.
  if (event.kind === 'follow' && state.primary !== null && event.node !== null && event.node !== state.primary) {
    followers.startFollow(event.node, state.primary);
    // Then that pgpool takes another node for the primary, and has marked this one's standbys down.
    if (event.mainNode !== state.primary && state.configuration)
      run.convergence.confirmPgpools(state.configuration, state.primary);
    inbox.settle(events, {
      outcome: 'completed',
      reason: 'primary-working',
      line: `node ${event.node} is made to follow node ${state.primary}`,
    });
    return;
  }
  if (event.kind === 'returned' && event.node !== null) followers.stopAwaiting(event.node);
  run.memory = { ...run.memory, opened: [...run.memory.opened, ...events.flatMap((one) => one.opened ?? [])] };
  const result = await runFailover(run, events);
  followers.opened = run.memory.opened;
  const verdict = 'verdict' in result ? result.verdict : result;
  const isRefused = verdict.outcome === 'refused' && verdict.reason !== 'node-not-configured';
  // Who asked for a node is answered when that node has followed, or cannot.
  const isAsked = event.kind === 'rejoin' && 'verdict' in result;
  const answer = isAsked ? refuseRejoin(event, result.observation.configuration, result) : verdict;
  if (answer) inbox.settle(events, answer);
  else inbox.keepAsked(event);
  state.verdict = weightier(state.verdict, verdict);
  upsertSearchAttributes(searchAttributes({ operation: event.kind }));
  run.parking.showOutcome(state.verdict.outcome);
  if ('verdict' in result) await converge(run, state, result, events);
  // The newer event says nothing of this node: it is looked at again after it.
  else if (verdict.reason === 'preempted' && event.kind !== 'failover') inbox.putBack(events);
  if (event.kind === 'rejoin' || verdict.reason === 'preempted') return;
  if (events.some((one) => !state.undecided.includes(one))) state.looksLeft = run.timing.looks;
  // Together with those before: a node that returned knows less of the primary than pgpool's own event.
  state.undecided = isRefused ? [...new Set([...state.undecided, ...events])] : [];
  state.refusal = verdict.line;
}

async function converge(
  run: Run,
  state: RunState,
  result: FailoverResult,
  events: readonly ClusterEvent[],
): Promise<void> {
  const { timing, followers, convergence } = run;
  const { configuration, facts } = result.observation;
  const { reason } = result.verdict;
  state.configuration = configuration;
  if (result.primary === null) {
    // A hint that names nobody says nothing about the primary; every other refusal means that none is known to work.
    if (reason !== 'node-not-configured') state.primary = null;
    // Nothing can be promoted now: whoever comes back may change that.
    for (const entry of facts.nodes) if (entry.sql !== 'answered') await followers.awaitReturn(entry.node, 'answers');
    return;
  }
  const primary = result.primary;
  const attachNotBefore = reason === 'promoted' ? Date.now() + timing.attachMs : 0;
  // The answer leaves in a task of its own, and pgpool restarts its children now: nothing else is as urgent.
  if (reason === 'promoted') await sleep(timing.settleMs, { summary: 'pgpool goes first' });
  const hasChanged = convergence.servePrimary(primary, attachNotBefore);
  state.primary = primary;
  // Commits may be waiting for a standby that has just failed.
  convergence.setSynchronous(configuration, primary);
  // pgpool may have given it up, or may show another one, whatever this event was about.
  convergence.confirmPgpools(configuration, primary);
  const isBack = state.undecided.length > 0;
  const isNews = hasChanged || isBack || reason === 'promoted' || reason === 'primary-kept';
  const former = result.formerPrimary;
  const isAway = former !== null && !answeringStandbys(facts).some((entry) => entry.node === former);
  const isManual = configuration.policy.rejoin === 'manual';
  const configured = isNews ? configuration.nodes.map(({ id }) => id) : [];
  // A node that the cluster file does not name gets a follow, too, which says so.
  for (const node of new Set([...events.map((event) => event.node), ...run.memory.fencedOnReturn, ...configured])) {
    if (node === null || node === primary) continue;
    const named = events.filter((event) => event.node === node);
    if (named.some((event) => refuseRejoin(event, configuration, result))) continue;
    const wasStopped = takeFenced(run, node);
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

/** True once: the node was fenced on its return, and is for us to start again. */
function takeFenced(run: Run, node: number): boolean {
  const { fencedOnReturn } = run.memory;
  run.memory = { ...run.memory, fencedOnReturn: fencedOnReturn.filter((one) => one !== node) };
  return fencedOnReturn.includes(node);
}

/** pgpool detached this standby, and says nothing else of it: the node failed for a moment, or somebody detached it. */
function isReportedAlone(events: readonly ClusterEvent[], primary: number): boolean {
  return events.length > 0 && events.every((event) => event.kind === 'failover' && event.oldPrimary === primary);
}
