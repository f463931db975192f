// Performs the moves of the page without making the loop wait: each ends as a message to the loop. Scopes, children and
// signals are Temporal's.

import { CancellationScope, getExternalWorkflowHandle, isCancellation, workflowInfo } from '@temporalio/workflow';
import type { ClusterConfiguration } from '../domain/facts/cluster';
import { clusterWorkflowId } from '../domain/facts/names';
import type { FailoverMemory } from '../domain/plans/failover-memory';
import type { IncidentState, Message, Move, ReceivedEvent } from '../domain/plans/incident-state';
import { cancelFollow, runFollow, watchCarried } from './children';
import { leftSignal } from './messages';
import type { Parking } from './parking';
import { Aborted, untilDone } from './runbooks/asking';
import { failover } from './runbooks/failover';
import { type Ground, sentenceOf } from './runbooks/ground';
import { hintsOf, toSettlement } from './runbooks/settlement';

type Said = Message extends infer One ? (One extends Message ? Omit<One, 'now'> : never) : never;

export interface MoverParts {
  readonly cluster: string;
  readonly ground: Ground;
  readonly parking: Parking;
  readonly tell: (said: Said) => void;
  readonly read: () => IncidentState;
}

export class Mover {
  /** Scopes of the decision and of the work in the background, by number. */
  private readonly scopes = new Map<number, CancellationScope>();
  /** Follows of this run, by number. */
  private readonly ownFollows = new Set<number>();

  constructor(private readonly parts: MoverParts) {}

  /** Takes over the follows of the last run, which go on and tell of their end. */
  adopt(state: IncidentState): void {
    const { cluster, tell, parking } = this.parts;
    for (const node of state.nodes)
      if (node.follow !== 'none') this.unwaited(() => watchCarried(cluster, node, parking, tell));
    if (state.look) this.ask(state.look.id, state.refusal);
  }

  /**
   * True for a follow of this run, whose result says that it is closed; its own signal comes earlier, while its id is
   * still taken.
   */
  isOwn(number: number): boolean {
    return this.ownFollows.has(number);
  }

  async cancelFollows({ nodes }: IncidentState): Promise<void> {
    const open = nodes.filter((node) => node.follow !== 'none');
    await CancellationScope.nonCancellable(async () => {
      await Promise.all(open.map(({ id }) => cancelFollow(this.parts.cluster, id)));
    });
  }

  perform(move: Move): void {
    const { cluster, ground, parking, tell, read } = this.parts;
    switch (move.do) {
      case 'note':
        ground.note(move.title, move.seen);
        return;
      case 'decide':
        this.decide(move.id, move.events, move.memory);
        return;
      case 'preempt':
        this.scopes.get(move.id)?.cancel();
        return;
      case 'cancel-work':
        for (const id of move.ids) this.scopes.get(id)?.cancel();
        return;
      case 'ask':
        this.ask(move.id, move.problem);
        return;
      case 'follow':
        this.ownFollows.add(move.number);
        this.unwaited(() => runFollow({ ...move, cluster }, parking, tell));
        return;
      case 'cancel-follow':
        this.unwaited(() => cancelFollow(cluster, move.node));
        return;
      case 'leave':
        // If the workflow `cluster` does not run, the person is asked again later.
        this.unwaited(() => getExternalWorkflowHandle(clusterWorkflowId(cluster)).signal(leftSignal, move.nodes));
        return;
      case 'conclude':
        this.work(move.id, async () => {
          await ground.act.conclude({ configuration: read().configuration!, conclusion: move.conclusion });
          return true;
        });
        return;
      case 'confirm':
      case 'confirm-attached':
      case 'set-synchronous':
        this.inBackground(move);
    }
  }

  /**
   * Does work that may park: it waits for a person, and is also repeated without one, with the cluster file as it is
   * then.
   */
  private inBackground(move: Extract<Move, { do: 'confirm' | 'confirm-attached' | 'set-synchronous' }>): void {
    const { cluster, ground, read } = this.parts;
    const { primary } = move;
    const question = questionOf(move);
    this.work(move.id, async () => {
      const done = await untilDone(ground, { ...question, choices: ['retry', 'skip'] }, async (isRepeated) => {
        const look = () => ground.act.observe({ cluster, suspect: primary });
        const configuration = isRepeated ? (await look()).configuration : read().configuration!;
        return await act(ground, configuration, move);
      });
      return done !== null;
    });
  }

  private decide(id: number, events: readonly ReceivedEvent[], memory: FailoverMemory): void {
    const { cluster, ground, tell } = this.parts;
    const scope = new CancellationScope();
    this.scopes.set(id, scope);
    this.unwaited(async () => {
      const end = await scope.run(() => failover(ground, hintsOf(cluster, events, memory)));
      this.scopes.delete(id);
      if ('result' in end) {
        const { workflowId, runId } = workflowInfo();
        const settlement = toSettlement(end.result, end.memory, `${workflowId}/${runId}`);
        tell({ on: 'decided', id, memory: end.memory, settlement });
        return;
      }
      const isPreempted = isCancellation(end.error) && scope.consideredCancelled;
      const line = isPreempted ? 'a newer failover event took over: its decision counts' : sentenceOf(end.error);
      const reason = isPreempted ? 'preempted' : 'step-failed';
      tell({ on: 'undecided', id, memory: end.memory, verdict: { outcome: 'refused', reason, line } });
    });
  }

  /** Asks about the undecided events; the question also ends when another look replaces this one. */
  private ask(id: number, problem: string): void {
    const { parking, tell, read } = this.parts;
    this.unwaited(async () => {
      const question = { stepId: 'failover', title: 'Failover', problem, choices: ['retry', 'abort'] as const };
      const choice = await parking.park(question, null, () => read().look?.id !== id);
      tell({ on: 'choice', id, choice: choice === 'abort' ? 'abort' : 'retry' });
    });
  }

  private work(id: number, body: () => Promise<boolean>): void {
    const scope = new CancellationScope();
    this.scopes.set(id, scope);
    this.unwaited(async () => {
      const isDone = await scope.run(body).catch((error: unknown) => {
        if (!isCancellation(error) && !(error instanceof Aborted))
          this.parts.ground.note('In the background', sentenceOf(error));
        return null;
      });
      this.scopes.delete(id);
      this.parts.tell({ on: 'done', id, isDone });
    });
  }

  /** Runs work that no code awaits: a rejection would fail the workflow's task for ever, so it is noted. */
  private unwaited(body: () => Promise<void>): void {
    void body().catch((error: unknown) => {
      if (!isCancellation(error)) this.parts.ground.note('In the background', sentenceOf(error));
    });
  }
}

type Work = Extract<Move, { do: 'confirm' | 'confirm-attached' | 'set-synchronous' }>;

function questionOf(move: Work): { stepId: string; title: string } {
  if (move.do === 'confirm') return { stepId: `confirm.${move.pgpool}`, title: `Confirm ${move.pgpool}` };
  if (move.do === 'set-synchronous') return { stepId: 'synchronous-standbys', title: 'Set the synchronous standbys' };
  const { node, pgpool } = move;
  return { stepId: `node${node}.confirm.${pgpool}`, title: `Confirm node ${node} in ${pgpool}` };
}

async function act(ground: Ground, configuration: ClusterConfiguration, move: Work): Promise<{ line: string }> {
  const { primary } = move;
  if (move.do === 'set-synchronous') return await ground.act.setSynchronousStandbys({ configuration, primary });
  const { pgpool } = move;
  if (move.do === 'confirm')
    return await ground.act.confirmPrimary(
      { configuration, pgpool, primary },
      `it shows node ${primary} as its primary`,
    );
  return await ground.act.attach({ configuration, pgpool, node: move.node, primary }, 'pgpool still uses it');
}
