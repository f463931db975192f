// Until a standby streams: observe → plan → repoint, start or rebuild. What fails is planned again from fresh facts, and parks if it is
// still wanted. Throws Stopped where the follow ends without it.

import { isCancellation, sleep } from '@temporalio/workflow';
import type { Observation } from '../activities/observe';
import { planFollow, type FollowPlan, type FollowRequest, type OwnWal } from '../domain/follow-plan';
import type { FollowReport, ReasonCode } from '../domain/outcome';
import { factsOf } from '../domain/witness';
import { configureStandby, findOwnWal, observe, repoint, start } from './activity-options';
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
  protected observation!: Observation;

  constructor(
    protected readonly input: FollowInput,
    protected readonly steps: Steps,
    protected readonly parking: Parking,
  ) {
    this.name = `node ${String(input.node)}`;
    this.rebuild = new Rebuild(input, steps, parking);
  }

  /** Until the node streams. After a failure it is looked at again before anybody is asked: it may be away, or well by now. */
  async bringUp(): Promise<string> {
    for (let failed: Attempted | null = null; ;) {
      const plan = await this.plan();
      if (plan.rung === 'none') return plan.line;
      if (plan.rung === 'refuse') await this.endOrWait(plan);
      else if (failed) {
        const againMs = this.rebuild.isCostly ? null : this.repetition.nextMs();
        await this.parking.parkOrAbort({ ...failed, choices: ['retry', 'abort'] }, againMs);
        failed = null;
      } else {
        const result = await this.attempt(plan);
        if (result && 'line' in result) return result.line;
        failed = result;
      }
    }
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
    const question = { stepId: `node${String(this.input.node)}.rebuild`, title: `Rebuild ${this.name}` };
    await this.parking.parkOrAbort(
      { ...question, problem: line, choices: ['retry', 'abort'] },
      this.repetition.nextMs(),
    );
  }

  private async plan(): Promise<Settled> {
    const { node, primary, isStartAllowed } = this.input;
    // What this run has stopped itself it may start.
    const isAsked = isStartAllowed || this.rebuild.hasStopped;
    const request = { node, primary, isStartAllowed: isAsked, hasLostWal: this.hasLostWal };
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
    const line = `${plan.line}; policy.rejoin is manual: pgpool-runbook rejoin ${String(node)}`;
    return { rung: 'refuse', reason: 'rejoin-manual', line };
  }

  /** Of the last look; where that leaves it open, of what lies in the node's pg_wal as well. */
  private async planNow(request: FollowRequest): Promise<Settled> {
    const { configuration, facts } = this.observation;
    const plan = planFollow(configuration, facts, request);
    if (plan.rung !== 'compare') return plan;
    const ownWal = await this.findOwnWal(plan.line);
    const settled = planFollow(configuration, facts, { ...request, ownWal });
    return settled.rung === 'compare' ? { ...settled, rung: 'refuse', reason: 'node-unreachable' } : settled;
  }

  private async findOwnWal(why: string): Promise<OwnWal> {
    const { configuration, facts } = this.observation;
    const source = factsOf(facts, this.input.primary)!;
    const input = { primaryTimeline: source.position!.timeline, primaryHistory: source.history };
    this.steps.note('Plan', why);
    try {
      const found = await this.steps.run(
        `Look past the fork, ${this.name}`,
        () =>
          findOwnWal.executeWithOptions({ summary: `${this.name}: is there a whole record past the fork?` }, [
            { ...input, configuration, node: this.input.node },
          ]),
        ({ line }) => line,
      );
      return found.ownWal;
    } catch (error) {
      if (isCancellation(error)) throw error;
      // The look has failed, which the table of steps shows.
      return 'unknown';
    }
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
      if (plan.rung === 'start') {
        await this.start();
        return null;
      }
      this.rung = 'rebuild';
      this.reason = 'rebuilt';
      const proven = await this.rebuild.run(this.observation, this.hasLostWal, (name) => {
        step = name;
      });
      if (proven) this.hasLostWal = false;
      return proven;
    } catch (error) {
      if (isCancellation(error) || error instanceof Aborted) throw error;
      // A copy that cannot stream either is nothing to be repeated unasked.
      if (failureTypeOf(error) === 'WalMissing' && plan.rung === 'repoint') {
        this.hasLostWal = true;
        return null;
      }
      return {
        stepId: `node${String(node)}.${step}`,
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
        repoint.executeWithOptions({ summary: `${this.name} streams from node ${String(primary)}, by reload` }, [
          { configuration, node, primary, timeline },
        ]),
      (done) => done.line,
    );
  }

  /** A standby that was stopped: its settings first, because it must never look for a primary of the past. */
  private async start(): Promise<void> {
    const { node, primary } = this.input;
    const { configuration } = this.observation;
    this.reason = 'restarted';
    await this.steps.run(
      `Configure ${this.name}`,
      () =>
        configureStandby.executeWithOptions({ summary: `${this.name} is to stream from node ${String(primary)}` }, [
          { configuration, node, primary },
        ]),
      (done) => done.line,
    );
    await this.steps.run(
      `Start ${this.name}`,
      () => start.executeWithOptions({ summary: `${this.name} comes up as a standby` }, [{ configuration, node }]),
      (done) => done.line,
    );
  }
}
