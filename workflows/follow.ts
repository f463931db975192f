// The follow runbook for one standby: observe → plan → repoint, start or rebuild → attach → save its configuration. A child of the
// incident; one per node, in parallel. What fails is planned again from fresh facts, and parks if it is still wanted.

import { isCancellation, upsertSearchAttributes, workflowInfo } from '@temporalio/workflow';
import type { Observation } from '../activities/observe';
import { planFollow, type FollowPlan } from '../domain/follow-plan';
import type { FollowReport, Outcome, ReasonCode } from '../domain/outcome';
import { factsOf } from '../domain/witness';
import { attach, configureStandby, observe, repoint, saveConfiguration, start } from './activity-options';
import type { FollowInput } from './messages';
import { Aborted, Parking } from './parking';
import { Rebuild } from './rebuild';
import { searchAttributes } from './search-attributes';
import { failureTypeOf, messageOf, Steps } from './step';

/** What ends a follow early. */
export class Stopped extends Error {
  constructor(
    readonly outcome: Outcome,
    readonly reason: ReasonCode,
    message: string,
  ) {
    super(message);
  }
}

/** Streaming on the primary's timeline, seen at both ends. */
interface Proven {
  readonly line: string;
}

interface Attempted {
  readonly stepId: string;
  readonly title: string;
  readonly problem: string;
}

export async function follow(input: FollowInput): Promise<FollowReport> {
  const { cluster, node, primary } = input;
  const startedAt = workflowInfo().startTime.getTime();
  upsertSearchAttributes(searchAttributes({ cluster, operation: 'follow' }));
  const steps = new Steps(`${cluster}: node ${String(node)} follows node ${String(primary)}`);
  const parking = new Parking(steps);
  parking.listen();
  const run = new FollowRun(input, steps, parking);
  const finish = (outcome: Outcome, reason: ReasonCode, line: string): FollowReport => {
    steps.note(outcome, line);
    upsertSearchAttributes(searchAttributes({ outcome }));
    return { node, rung: run.rung, outcome, reason, line, ms: Date.now() - startedAt };
  };
  try {
    const line = await run.bringUp();
    await run.attachEverywhere();
    await run.saveConfiguration();
    return finish('completed', run.reason, line);
  } catch (error) {
    if (error instanceof Stopped) return finish(error.outcome, error.reason, error.message);
    if (error instanceof Aborted)
      return finish('incomplete', 'decided-by-person', `${error.message}; left by decision`);
    throw error;
  }
}

class FollowRun {
  rung: FollowReport['rung'] = 'none';
  reason: ReasonCode = 'already-following';
  private readonly name: string;
  private readonly rebuild: Rebuild;
  private hasLostWal = false;
  private observation!: Observation;

  constructor(
    private readonly input: FollowInput,
    private readonly steps: Steps,
    private readonly parking: Parking,
  ) {
    this.name = `node ${String(input.node)}`;
    this.rebuild = new Rebuild(input, steps, parking);
  }

  /** Until the node streams. After a failure it is looked at again before anybody is asked: it may be away, or well by now. */
  async bringUp(): Promise<string> {
    for (let failed: Attempted | null = null; ;) {
      const plan = await this.plan();
      if (plan.rung === 'refuse') throw new Stopped('incomplete', plan.reason, plan.line);
      if (failed && plan.rung !== 'none') {
        const choice = await this.parking.park({ ...failed, choices: ['retry', 'abort'] }, this.rebuild.pauseMs);
        if (choice === 'abort') throw new Aborted(failed.problem);
        failed = null;
        continue;
      }
      const result: Proven | Attempted | null = plan.rung === 'none' ? { line: plan.line } : await this.attempt(plan);
      if (result && 'line' in result) {
        await this.rebuild.clear(this.observation.configuration);
        return result.line;
      }
      failed = result;
    }
  }

  private async plan(): Promise<FollowPlan> {
    const { cluster, node, primary, isStartAllowed } = this.input;
    this.observation = await this.steps.run(
      'Observe every node',
      () =>
        observe.executeWithOptions({ summary: `measure ${this.name} and its primary` }, [
          { cluster, suspect: primary },
        ]),
      (seen) => factsOf(seen.facts, node)?.sqlSeen ?? 'not configured',
    );
    const { configuration, facts } = this.observation;
    // What this run has stopped itself it may start.
    const request = {
      node,
      primary,
      isStartAllowed: isStartAllowed || this.rebuild.hasStopped,
      hasLostWal: this.hasLostWal,
    };
    const plan = planFollow(configuration, facts, request);
    this.steps.note('Plan', plan.line);
    return plan;
  }

  /** Null when it is to be planned again: it was started, cannot be repointed, or a person let it be retried. */
  private async attempt(plan: Exclude<FollowPlan, { rung: 'refuse' }>): Promise<Proven | Attempted | null> {
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
      if (isCancellation(error) || error instanceof Stopped || error instanceof Aborted) throw error;
      if (failureTypeOf(error) === 'WalMissing') {
        this.hasLostWal = true;
        return null;
      }
      return { stepId: `node${String(node)}.${step}`, title: `${step} of ${this.name}`, problem: messageOf(error) };
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

  async attachEverywhere(): Promise<void> {
    const { node, primary } = this.input;
    const { configuration } = this.observation;
    for (const { name } of configuration.pgpool) {
      const title = `Attach ${this.name} to ${name}`;
      const question = {
        stepId: `node${String(node)}.attach.${name}`,
        title,
        choices: ['retry', 'skip', 'abort'] as const,
      };
      const attached = await this.parking.runOrPark(question, () =>
        this.steps.run(
          title,
          () =>
            attach.executeWithOptions({ summary: `${name} uses ${this.name}` }, [
              { configuration, pgpool: name, node, primary },
            ]),
          (done) => done.line,
        ),
      );
      if (!attached)
        throw new Stopped('incomplete', 'attach-unconfirmed', `${name} does not use ${this.name}: skipped by decision`);
    }
  }

  async saveConfiguration(): Promise<void> {
    const { node } = this.input;
    const { configuration } = this.observation;
    const title = `Save the configuration of ${this.name}`;
    const question = { stepId: `node${String(node)}.save-configuration`, title, choices: ['retry', 'skip'] as const };
    await this.parking.runOrPark(question, () =>
      this.steps.run(
        title,
        () =>
          saveConfiguration.executeWithOptions({ summary: 'for the day on which its data directory is replaced' }, [
            { configuration, node, rebuildId: null },
          ]),
        (done) => done.line,
      ),
    );
  }
}
