// The follow runbook for one standby: observe → plan → repoint → attach. A child of the incident; one per node, in parallel.

import { isCancellation, upsertSearchAttributes, workflowInfo } from '@temporalio/workflow';
import { planFollow } from '../domain/follow-plan';
import type { FollowReport, Outcome, ReasonCode } from '../domain/outcome';
import { factsOf } from '../domain/witness';
import { attach, observe, repoint } from './activity-options';
import type { FollowInput } from './messages';
import { searchAttributes } from './search-attributes';
import { messageOf, Steps } from './step';

type Rung = FollowReport['rung'];

export async function follow(input: FollowInput): Promise<FollowReport> {
  const { cluster, node, primary } = input;
  const name = `node ${String(node)}`;
  const startedAt = workflowInfo().startTime.getTime();
  upsertSearchAttributes(searchAttributes({ cluster, operation: 'follow' }));
  const steps = new Steps(`${cluster}: ${name} follows node ${String(primary)}`);
  const finish = (rung: Rung, outcome: Outcome, reason: ReasonCode, line: string): FollowReport => {
    steps.note(outcome, line);
    upsertSearchAttributes(searchAttributes({ outcome }));
    return { node, rung, outcome, reason, line, ms: Date.now() - startedAt };
  };

  const { configuration, facts } = await steps.run(
    'Observe every node',
    () => observe.executeWithOptions({ summary: `measure ${name} and its primary` }, [{ cluster, suspect: primary }]),
    (seen) => factsOf(seen.facts, node)?.sqlSeen ?? 'not configured',
  );
  const plan = planFollow(configuration, facts, node, primary);
  steps.note('Plan', plan.line);
  if (plan.rung === 'refuse') return finish('none', 'incomplete', plan.reason, plan.line);

  const timeline = factsOf(facts, primary)!.position!.timeline;
  if (plan.rung === 'repoint') {
    const repointed = steps.run(
      `Repoint ${name}`,
      () =>
        repoint.executeWithOptions({ summary: `${name} streams from node ${String(primary)}, by reload` }, [
          { configuration, node, primary, timeline },
        ]),
      (done) => done.line,
    );
    const problem = await problemOf(repointed);
    if (problem !== null) return finish('repoint', 'incomplete', 'not-streaming', problem);
  }
  for (const pgpool of configuration.pgpool) {
    const attached = steps.run(
      `Attach ${name} to ${pgpool.name}`,
      () =>
        attach.executeWithOptions({ summary: `${pgpool.name} uses ${name}` }, [
          { configuration, pgpool: pgpool.name, node, primary },
        ]),
      (done) => done.line,
    );
    const problem = await problemOf(attached);
    if (problem !== null) return finish(plan.rung, 'incomplete', 'attach-unconfirmed', problem);
  }
  return finish(plan.rung, 'completed', plan.rung === 'repoint' ? 'repointed' : 'already-following', plan.line);
}

/** Null when the step is done, else why it failed; a cancelled follow is no failed one. */
async function problemOf(step: Promise<unknown>): Promise<string | null> {
  try {
    await step;
    return null;
  } catch (error) {
    if (isCancellation(error)) throw error;
    return messageOf(error);
  }
}
