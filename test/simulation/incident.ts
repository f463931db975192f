// The incident on virtual time: the real page, and its moves performed as workflows/mover.ts and workflows/children.ts perform them.

import type { ClusterEvent } from '../../domain/facts/event';
import type { FollowReport } from '../../domain/facts/outcome';
import { alarmAt, close, isAtRest, isOver, judge, reportsOf } from '../../domain/plans/incident';
import type { IncidentState, Message, Move } from '../../domain/plans/incident-state';
import { opening } from '../../domain/plans/incident-state';
import { Aborted, untilDone } from '../../workflows/runbooks/asking';
import { sentenceOf } from '../../workflows/runbooks/ground';
import { hintsOf, toSettlement } from '../../workflows/runbooks/settlement';
import { at, cancel, Cancelled, newScope, type Scope, type Timer } from './clock';
import { ask, newActor, openGround } from './ground';
import { checkDecision } from './invariants/decisions';
import { checkPage } from './invariants/page';
import { noteState } from './states';
import { type Simulation, tellStory } from './simulation';

type Said = Message extends infer One ? (One extends Message ? Omit<One, 'now'> : never) : never;

interface Incident {
  readonly sim: Simulation;
  state: IncidentState;
  readonly queue: Message[];
  /** Of decisions and of work in the background by number, of follows by `follow <node>`. */
  readonly scopes: Map<string, Scope>;
  alarm: Timer | null;
  isPumping: boolean;
  /** A late end of a follow finds the next incident, which does not know its number. */
  isClosed: boolean;
}

/** Signal with start. */
export function signal(sim: Simulation, event: ClusterEvent): void {
  sim.counts.events += 1;
  const incident = sim.incident ?? open(sim);
  incident.tell({ on: 'event', event });
}

function open(sim: Simulation): NonNullable<Simulation['incident']> {
  const state = opening(sim.world.configuration.cluster, sim.timing);
  const incident: Incident = {
    sim,
    state,
    queue: [],
    scopes: new Map(),
    alarm: null,
    isPumping: false,
    isClosed: false,
  };
  tellStory(sim, 'an incident opens');
  sim.level.isLeft = false;
  sim.incident = {
    get state() {
      return incident.state;
    },
    tell: (message) => {
      tell(incident, message as Said);
    },
  };
  return sim.incident;
}

function tell(incident: Incident, said: Said): void {
  if (incident.isClosed) return;
  incident.queue.push({ ...said, now: incident.sim.clock.now });
  if (!incident.isPumping) pump(incident);
}

function pump(incident: Incident): void {
  const { sim, queue } = incident;
  incident.isPumping = true;
  sim.clock.isStirred = true;
  for (let message = queue.shift(); message; message = queue.shift()) {
    const step = sim.subject.next(incident.state, message, sim.timing);
    incident.state = step.state;
    for (const { row, node } of step.told) {
      sim.rows.add(row);
      tellStory(sim, `  page: node ${node}: row ${row}`);
    }
    for (const move of step.moves) perform(incident, move);
    noteState(sim, incident.state);
  }
  // A long incident continues as new with the same value.
  if (incident.state.counter % 16 === 0 && isAtRest(incident.state))
    incident.state = JSON.parse(JSON.stringify(incident.state)) as IncidentState;
  incident.isPumping = false;
  checkPage(sim, incident.state);
  setAlarm(incident);
}

function setAlarm(incident: Incident): void {
  const { sim, state } = incident;
  if (incident.alarm) incident.alarm.body = null;
  if (isOver(state, sim.clock.now)) {
    incident.state = close(state, sim.clock.now, sim.timing);
    const verdict = judge(incident.state);
    tellStory(sim, `the incident is over: ${verdict.outcome} (${verdict.reason}): ${verdict.line}`);
    for (const report of reportsOf(state)) if (report.outcome !== 'completed') noteLeft(sim, report);
    sim.incident = null;
    incident.isClosed = true;
    if (verdict.outcome === 'completed') sim.level.completedAt = sim.clock.now;
    return;
  }
  const due = alarmAt(state);
  incident.alarm =
    due === null
      ? null
      : at(sim.clock, Math.max(due, sim.clock.now + 1), () => {
          tell(incident, { on: 'alarm' });
        });
}

function perform(incident: Incident, move: Move): void {
  const { sim, scopes } = incident;
  if (isWait(move)) {
    endWait(incident, move);
    return;
  }
  switch (move.do) {
    case 'note':
      tellStory(sim, `  incident: ${move.title}: ${move.seen}`);
      return;
    case 'decide':
      unwaited(incident, () => decide(incident, move));
      return;
    case 'preempt':
      cancelScope(scopes.get(String(move.id)));
      return;
    case 'cancel-work':
      for (const id of move.ids) cancelScope(scopes.get(String(id)));
      return;
    case 'ask':
      unwaited(incident, () => askAgain(incident, move));
      return;
    case 'follow':
      unwaited(incident, () => runFollow(incident, move));
      return;
    case 'cancel-follow':
      cancelScope(scopes.get(`follow ${move.node}`));
      return;
    case 'leave':
      sim.world.left = [...new Set([...sim.world.left, ...move.nodes])];
      return;
    case 'conclude':
      work(incident, move.id, 'record', async (ground) => {
        const { configuration } = sim.world;
        await ground.act.conclude({ configuration, conclusion: move.conclusion });
        return true;
      });
      return;
    case 'confirm':
    case 'confirm-attached':
    case 'set-synchronous':
      inBackground(incident, move);
  }
}

type Wait = Extract<Move, { readonly do: 'await' | 'stop-await' }>;

function isWait(move: Move): move is Wait {
  return move.do.endsWith('await');
}

/** The watch tells of every return: a page that asks for a wait is answered at once. */
function endWait(incident: Incident, { id }: { readonly do: string; readonly id?: number }): void {
  if (id !== undefined) tell(incident, { on: 'done', id, isDone: true });
}

function cancelScope(scope: Scope | undefined): void {
  if (scope && !scope.isCancelled) cancel(scope);
}

function unwaited({ sim }: Incident, body: () => Promise<void>): void {
  void body().catch((error: unknown) => {
    if (error instanceof Cancelled) return;
    // A mistake of the simulation, or of a runbook, is no outcome.
    sim.violations.push({
      rule: 'error',
      at: sim.clock.now,
      line: `${sentenceOf(error)} ${(error as Error).stack ?? ''}`,
    });
  });
}

async function decide(incident: Incident, { id, events, memory }: Extract<Move, { do: 'decide' }>): Promise<void> {
  const { sim, scopes } = incident;
  const scope = newScope();
  scopes.set(String(id), scope);
  const actor = newActor(sim, `decision ${id}`, 'decision');
  const { cluster } = sim.world.configuration;
  const end = await sim.subject.failover(openGround(sim, scope, actor), hintsOf(cluster, events, memory));
  scopes.delete(String(id));
  if ('result' in end) {
    checkDecision(sim, actor, end.result);
    const settlement = toSettlement(end.result, end.memory, `incident/${actor.name}`);
    tell(incident, { on: 'decided', id, memory: end.memory, settlement });
    return;
  }
  const isPreempted = end.error instanceof Cancelled && scope.isCancelled;
  const line = isPreempted ? 'a newer failover event took over: its decision counts' : sentenceOf(end.error);
  tellStory(sim, `  decision ${id}: ${line}`);
  const reason = isPreempted ? 'preempted' : 'step-failed';
  if (!isPreempted && (end.error as Error).name !== 'StepFailed') throw end.error;
  tell(incident, { on: 'undecided', id, memory: end.memory, verdict: { outcome: 'refused', reason, line } });
}

async function askAgain(incident: Incident, { id, problem }: Extract<Move, { do: 'ask' }>): Promise<void> {
  const question = { stepId: 'failover', title: 'Failover', problem, choices: ['retry', 'abort'] as const };
  const choice = await ask(incident.sim, newScope(), question, null);
  tell(incident, { on: 'choice', id, choice: choice === 'abort' ? 'abort' : 'retry' });
}

async function runFollow(incident: Incident, move: Extract<Move, { do: 'follow' }>): Promise<void> {
  const { sim, scopes } = incident;
  const { node, number, primary, isStartAllowed, attachNotBefore, isDetached } = move;
  const scope = newScope();
  scopes.set(`follow ${node}`, scope);
  const actor = newActor(sim, `follow ${node}`, 'follow', node, isStartAllowed);
  const input = { cluster: sim.world.configuration.cluster, node, number, primary };
  const startedAt = sim.clock.now;
  let report: FollowReport | null = null;
  try {
    const told = await sim.subject.follow(
      openGround(sim, scope, actor),
      { ...input, isStartAllowed, attachNotBefore, isDetached },
      () => {
        tell(incident, { on: 'streams' });
        return Promise.resolve();
      },
    );
    report = { ...told, ms: sim.clock.now - startedAt };
  } catch (error) {
    if (!(error instanceof Cancelled)) {
      if ((error as Error).name !== 'StepFailed') throw error;
      report = { node, rung: 'none', outcome: 'incomplete', reason: 'step-failed', line: sentenceOf(error), ms: 0 };
    }
  }
  if (scopes.get(`follow ${node}`) === scope) scopes.delete(`follow ${node}`);
  if (report?.outcome === 'completed') sim.left.delete(node);
  else if (report) noteLeft(sim, report);
  tell(incident, { on: 'followed', node, number, report });
}

/** An earlier report about a stopped node stands. */
function noteLeft({ left }: Simulation, { node, reason }: FollowReport): void {
  if (reason !== 'node-unreachable' || !left.has(node)) left.set(node, reason);
}

type Work = Extract<Move, { do: 'confirm' | 'confirm-attached' | 'set-synchronous' }>;

function inBackground(incident: Incident, move: Work): void {
  const { sim } = incident;
  const { configuration } = sim.world;
  const { primary } = move;
  const what = move.do === 'set-synchronous' ? 'synchronous' : `confirm.${move.pgpool}`;
  const stepId = move.do === 'confirm-attached' ? `node${move.node}.${what}` : what;
  work(incident, move.id, what, async (ground) => {
    const question = { stepId, title: stepId, choices: ['retry', 'skip'] as const };
    const done = await untilDone(ground, question, async () => {
      if (move.do === 'set-synchronous') return await ground.act.setSynchronousStandbys({ configuration, primary });
      const { pgpool } = move;
      if (move.do === 'confirm') return await ground.act.confirmPrimary({ configuration, pgpool, primary });
      return await ground.act.attach({ configuration, pgpool, node: move.node, primary });
    });
    return done !== null;
  });
}

function work(
  incident: Incident,
  id: number,
  name: string,
  body: (ground: ReturnType<typeof openGround>) => Promise<boolean>,
): void {
  const { sim, scopes } = incident;
  const scope = newScope();
  scopes.set(String(id), scope);
  unwaited(incident, async () => {
    const actor = newActor(sim, name, 'work');
    const isDone = await body(openGround(sim, scope, actor)).catch((error: unknown) => {
      if (error instanceof Cancelled || error instanceof Aborted || (error as Error).name === 'StepFailed') return null;
      throw error;
    });
    scopes.delete(String(id));
    tell(incident, { on: 'done', id, isDone });
  });
}
