// Until a standby streams: observe → plan → repoint, start or rebuild. What fails is planned again from fresh facts, and parks if it is
// still wanted. Throws Stopped where the follow ends without it.

import { CancellationScope, isCancellation, sleep } from '@temporalio/workflow';
import type { Observation } from '../activities/look/observe';
import { planFollow, type FollowPlan, type FollowRequest } from '../domain/plans/follow';
import type { FollowReport } from '../domain/facts/outcome';
import type { ReasonCode } from '../domain/facts/reasons';
import { factsOf } from '../domain/facts/facts';
import { configureStandby, observe, releaseSlots, repoint, start } from './activity-options';
import { lookPastFork } from './look-past-fork';
import type { FollowInput } from './messages';
import { Aborted, type Parking, Repetition } from './parking';
import { Rebuild } from './rebuild';
import { failureTypeOf, messageOf, type Steps } from './step';

/** What ends a follow early, incomplete. */
export class Stopped extends Error {
  constructor(
    readonly reason: ReasonCode,
    message: string,
  ) {
    super(message);
  }
}

type Refusal = Extract<FollowPlan, { rung: 'refuse' }>;
type Settled = Exclude<FollowPlan, { rung: 'compare' }>;

/** A primary may be slow to answer just after its promotion; a new one cancels this follow. 1 minute in all. */
const mostLooksForPrimary = 5;

/** Streaming on the primary's timeline, seen at both ends. */
interface Proven {
  readonly line: string;
}

interface Attempted {
  readonly stepId: string;
  readonly title: string;
  readonly problem: string;
}

export class BringUp {
  rung: FollowReport['rung'] = 'none';
  reason: ReasonCode = 'already-following';
  protected readonly name: string;
  protected readonly rebuild: Rebuild;
  private readonly repetition = new Repetition();
  private looksForPrimary = 0;
  private hasLostWal = false;
  private isRebuildWanted = false;
  protected hasStarted = false;
  protected observation!: Observation;

  constructor(
    protected readonly input: FollowInput,
    protected readonly steps: Steps,
    protected readonly parking: Parking,
  ) {
    this.name = `node ${input.node}`;
    this.rebuild = new Rebuild(input, steps, parking);
  }

  /** Until the node streams. After a failure it is looked at again before anybody is asked: it may be away, or well by now. */
  async bringUp(): Promise<string> {
    for (let failed: Attempted | null = null; ;) {
      const plan = await this.plan();
      if (plan.rung === 'none') return plan.line;
      if (failed && (plan.rung !== 'refuse' || isStart(failed))) {
        await this.ask(failed);
        failed = null;
      } else if (plan.rung === 'refuse') await this.endOrWait(plan);
      else {
        const result = await this.attempt(plan);
        if (result && 'line' in result) return result.line;
        failed = result;
      }
    }
  }

  /** One that does not come up may be rebuilt, by decision. */
  private async ask(failed: Attempted): Promise<void> {
    // Nobody knows for how long: a slot would fill up the primary's disk.
    await this.giveUp();
    const againMs = this.rebuild.isCostly ? null : this.repetition.nextMs();
    const choices = isStart(failed) ? (['retry', 'rebuild', 'abort'] as const) : (['retry', 'abort'] as const);
    const advice = isStart(failed)
      ? '. retry: wait again; rebuild: replace its data by a copy; abort: leave it as it is'
      : '';
    const choice = await this.parking.parkOrAbort(
      { ...failed, choices, problem: `${failed.problem}${advice}` },
      againMs,
      failed.problem,
    );
    this.isRebuildWanted = choice === 'rebuild';
  }

  /** A rebuild that is not under way any more, also when this workflow is cancelled, keeps no WAL on the primary. */
  async giveUp(): Promise<void> {
    if (this.rebuild.isCostly) await CancellationScope.nonCancellable(() => this.releaseSlots());
  }

  /** What the copies of this node, of this run or of one that was cut off, have kept. */
  protected async releaseSlots(): Promise<void> {
    const { node, primary } = this.input;
    const { configuration } = this.observation;
    const act = () =>
      releaseSlots.executeWithOptions({ summary: 'WAL is no longer kept for a copy' }, [
        { configuration, node, primary },
      ]);
    await this.steps.run(`Release the slots of ${this.name}`, act, ({ line }) => line);
  }

  /** Returns when it is to be looked at again: a primary that missed one look, or a node that this run has stopped and must not leave so. */
  private async endOrWait({ reason, line }: Refusal): Promise<void> {
    if (reason === 'primary-missing' && this.looksForPrimary < mostLooksForPrimary) {
      this.looksForPrimary += 1;
      await sleep(1000 * 2 ** this.looksForPrimary, { summary: `${line}: look again` });
      return;
    }
    const isOurs = this.rebuild.hasStopped && (reason === 'node-unreachable' || reason === 'primary-missing');
    if (!isOurs) throw new Stopped(reason, line);
    const question = { stepId: `node${this.input.node}.rebuild`, title: `Rebuild ${this.name}` };
    await this.parking.parkOrAbort(
      { ...question, problem: line, choices: ['retry', 'abort'] },
      this.repetition.nextMs(),
    );
  }

  private async plan(): Promise<Settled> {
    const { node, primary, isStartAllowed } = this.input;
    // What this run has stopped itself it may start.
    const isAsked = isStartAllowed || this.rebuild.hasStopped;
    const request = {
      node,
      primary,
      isStartAllowed: isAsked,
      hasLostWal: this.hasLostWal,
      isRebuildWanted: this.isRebuildWanted,
    };
    await this.look();
    let plan = await this.planNow(request);
    if (plan.rung === 'rebuild') {
      // Data is replaced only while nobody but the primary accepts writes.
      await this.look(null);
      plan = await this.planNow(request);
    }
    const { configuration } = this.observation;
    this.steps.note('Plan', plan.line);
    if (plan.rung !== 'rebuild' || isAsked || configuration.policy.rejoin === 'automatic') return plan;
    const line = `${plan.line}; policy.rejoin is manual: pgpool-runbook rejoin ${node}`;
    return { rung: 'refuse', reason: 'rejoin-manual', line };
  }

  /** Of the last look; where that leaves it open, of what lies in the node's pg_wal as well. */
  private async planNow(request: FollowRequest): Promise<Settled> {
    const { configuration, facts } = this.observation;
    const plan = planFollow(configuration, facts, request);
    if (plan.rung !== 'compare') return plan;
    this.steps.note('Plan', plan.line);
    const ownWal = await lookPastFork(this.steps, this.observation, this.input);
    const settled = planFollow(configuration, facts, { ...request, ownWal });
    return settled.rung === 'compare' ? { ...settled, rung: 'refuse', reason: 'node-unreachable' } : settled;
  }

  /** Nobody is suspected: a host is looked at only where PostgreSQL does not answer. @param only null: every node */
  protected async look(only: readonly number[] | null = [this.input.node, this.input.primary]): Promise<void> {
    const { cluster, node } = this.input;
    const who = only ? `${this.name} and its primary` : 'every node';
    this.observation = await this.steps.run(
      `Observe ${who}`,
      () =>
        observe.executeWithOptions({ summary: `measure ${who}` }, [{ cluster, suspect: null, ...(only && { only }) }]),
      (seen) => factsOf(seen.facts, node)?.sqlSeen ?? 'not configured',
    );
  }

  /** Null when it is to be planned again: it was started, cannot be repointed, or a person let it be retried. */
  private async attempt(plan: Exclude<Settled, Refusal>): Promise<Proven | Attempted | null> {
    const { node } = this.input;
    let step: string = plan.rung;
    try {
      if (plan.rung === 'repoint') return await this.repoint();
      if (plan.rung === 'start' || plan.rung === 'wait') {
        step = 'start';
        await this.start(plan.rung === 'start');
        return null;
      }
      this.rung = 'rebuild';
      this.reason = 'rebuilt';
      const proven = await this.rebuild.run(this.observation, this.hasLostWal, (name) => {
        step = name;
      });
      if (proven) [this.hasLostWal, this.isRebuildWanted] = [false, false];
      return proven;
    } catch (error) {
      if (isCancellation(error) || error instanceof Aborted) throw error;
      // A copy that cannot stream either is nothing to be repeated unasked.
      if (failureTypeOf(error) === 'WalMissing' && plan.rung === 'repoint') {
        this.hasLostWal = true;
        return null;
      }
      return {
        stepId: `node${node}.${step}`,
        title: `${step.charAt(0).toUpperCase()}${step.slice(1).replaceAll('-', ' ')}, ${this.name}`,
        problem: messageOf(error),
      };
    }
  }

  private async repoint(): Promise<Proven> {
    const { node, primary } = this.input;
    const { configuration, facts } = this.observation;
    const timeline = factsOf(facts, primary)!.position!.timeline;
    if (this.rung === 'none') [this.rung, this.reason] = ['repoint', 'repointed'];
    return await this.steps.run(
      `Repoint ${this.name}`,
      () =>
        repoint.executeWithOptions({ summary: `${this.name} streams from node ${primary}, by reload` }, [
          { configuration, node, primary, timeline },
        ]),
      (done) => done.line,
    );
  }

  /** A standby that was stopped: its settings first, because it must never look for a primary of the past. */
  private async start(isStopped: boolean): Promise<void> {
    const { node, primary } = this.input;
    const { configuration } = this.observation;
    [this.reason, this.hasStarted] = ['restarted', true];
    const configure = () =>
      configureStandby.executeWithOptions({ summary: `${this.name} is to stream from node ${primary}` }, [
        { configuration, node, primary },
      ]);
    if (isStopped) {
      await this.rebuild.saveUnarchivedWal(configuration);
      await this.steps.run(`Configure ${this.name}`, configure, (done) => done.line);
    }
    await this.steps.run(
      `Start ${this.name}`,
      () => start.executeWithOptions({ summary: `${this.name} comes up as a standby` }, [{ configuration, node }]),
      (done) => done.line,
    );
  }
}

function isStart({ stepId }: Attempted): boolean {
  return stepId.endsWith('.start');
}
