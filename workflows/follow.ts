// The follow runbook for one standby: observe → plan → repoint, start or rebuild → attach → save its configuration. A child of the
// incident; one per node, in parallel.

import { sleep, upsertSearchAttributes, workflowInfo } from '@temporalio/workflow';
import type { FollowReport, Outcome } from '../domain/facts/outcome';
import type { ReasonCode } from '../domain/facts/reasons';
import { attach, saveConfiguration } from './activity-options';
import { BringUp, Stopped } from './bring-up';
import { type FollowInput, streamsSignal } from './messages';
import { Aborted, Parking, tellParent } from './parking';
import { searchAttributes } from './search-attributes';
import { Steps } from './step';

const mostEarlyMs = 10_000;

export async function follow(input: FollowInput): Promise<FollowReport> {
  const { cluster, node, primary } = input;
  const startedAt = workflowInfo().startTime.getTime();
  upsertSearchAttributes(searchAttributes({ cluster, operation: 'follow' }));
  const steps = new Steps(`${cluster}: node ${node} follows node ${primary}`);
  const parking = new Parking(steps);
  parking.listen();
  const run = new FollowRun(input, steps, parking);
  const finish = (outcome: Outcome, reason: ReasonCode, line: string): FollowReport => {
    steps.note(outcome, line);
    parking.showOutcome(outcome);
    return { node, rung: run.rung, outcome, reason, line, ms: Date.now() - startedAt };
  };
  try {
    let line = await run.bringUp();
    await run.tellStreaming();
    if (await run.leaveDetached()) line = await run.bringUp();
    // Workflow time comes from the server, and several servers' clocks may differ.
    const earlyMs = Math.min(input.attachNotBefore - Date.now(), mostEarlyMs);
    if (earlyMs > 0) await sleep(earlyMs, { summary: 'pgpool ends its own failover first' });
    const missing = await run.attachEverywhere();
    await run.clearUp();
    return missing === null
      ? finish('completed', run.reason, `${line}${run.discarded}`)
      : finish('incomplete', 'attach-unconfirmed', `${missing}${run.discarded}`);
  } catch (error) {
    await run.giveUp();
    if (error instanceof Stopped) return finish('incomplete', error.reason, error.message);
    if (error instanceof Aborted)
      return finish('incomplete', 'decided-by-person', `${error.message}; left by decision`);
    throw error;
  }
}

class FollowRun extends BringUp {
  /** Commits may wait for the node from now on; whether pgpool uses it is another matter. */
  async tellStreaming(): Promise<void> {
    if (this.observation.configuration.policy.synchronous.standbys === 0) return;
    await tellParent((parent) => parent.signal(streamsSignal, this.input.node));
  }

  /** What a rebuild has replaced, for the report. */
  get discarded(): string {
    return this.rebuild.report;
  }

  /** A standby that worked all along may have been detached on purpose. True after the pause: it is to be looked at again. */
  async leaveDetached(): Promise<boolean> {
    const { reattachMs } = this.observation.configuration.policy;
    if (!this.input.isDetached || this.reason !== 'already-following' || reattachMs === 0) return false;
    const pause = `${reattachMs / 1000} s`;
    this.steps.note('Pause', `${this.name} works, and is attached after ${pause}: somebody may have detached it`);
    await sleep(reattachMs, { summary: `${this.name} works: attached after ${pause}, or at once by rejoin` });
    return true;
  }

  /** All at once: one that is dead must not keep the node from the others. Null, or who does not use the node by a person's decision. */
  async attachEverywhere(): Promise<string | null> {
    const { pgpool } = this.observation.configuration;
    const isAttached = await Promise.all(pgpool.map(({ name }) => this.attachTo(name)));
    const skipped = pgpool.filter((_, index) => !isAttached[index]).map(({ name }) => name);
    return skipped.length === 0 ? null : `${skipped.join(', ')} does not use ${this.name}: skipped by decision`;
  }

  private async attachTo(pgpool: string): Promise<boolean> {
    const { node, primary } = this.input;
    const title = `Attach ${this.name} to ${pgpool}`;
    const question = {
      stepId: `node${node}.attach.${pgpool}`,
      title,
      choices: ['retry', 'skip', 'abort'] as const,
    };
    const attached = await this.parking.runOrPark(question, async (isRepeated) => {
      // The cluster file may have been corrected meanwhile.
      if (isRepeated) await this.look();
      const input = { configuration: this.observation.configuration, pgpool, node, primary };
      const act = () => attach.executeWithOptions({ summary: `${pgpool} uses ${this.name}` }, [input]);
      return await this.steps.run(title, act, (done) => done.line);
    });
    return attached !== null;
  }

  /** What the rebuild has left, then the node's own files, for the day on which its data directory is replaced. */
  async clearUp(): Promise<void> {
    const { node } = this.input;
    await this.rebuild.clear(this.observation.configuration);
    if (this.rung === 'rebuild' || this.hasStarted) await this.releaseSlots();
    const title = `Save the configuration of ${this.name}`;
    const question = { stepId: `node${node}.save-configuration`, title, choices: ['retry', 'skip'] as const };
    const save = () =>
      this.parking.runOrPark(question, () => {
        const { configuration } = this.observation;
        const summary = 'for the day on which its data directory is replaced';
        const act = () => saveConfiguration.executeWithOptions({ summary }, [{ configuration, node, rebuildId: null }]);
        return this.steps.run(title, act, (done) => done.line);
      });
    const saved = await save();
    // The node streams, so a mark is only what a rebuild that was cut off has left.
    if (!saved?.mark) return;
    await this.rebuild.clear(this.observation.configuration, saved.mark);
    await this.releaseSlots();
    await save();
  }
}
