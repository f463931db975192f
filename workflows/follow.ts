// The follow runbook for one standby: observe → plan → repoint → attach. A child of the incident; one per node, in parallel.

import { upsertSearchAttributes, workflowInfo } from '@temporalio/workflow';
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
    try {
      await steps.run(
        `Repoint ${name}`,
        () =>
          repoint.executeWithOptions({ summary: `${name} streams from node ${String(primary)}, by reload` }, [
            { configuration, node, primary, timeline },
          ]),
        (done) => done.line,
      );
    } catch (error) {
      return finish('repoint', 'incomplete', 'not-streaming', messageOf(error));
    }
  }
  for (const pgpool of configuration.pgpool) {
    try {
      await steps.run(
        `Attach ${name} to ${pgpool.name}`,
        () =>
          attach.executeWithOptions({ summary: `${pgpool.name} uses ${name}` }, [
            { configuration, pgpool: pgpool.name, node, primary },
          ]),
        (done) => done.line,
      );
    } catch (error) {
      return finish(plan.rung, 'incomplete', 'attach-unconfirmed', messageOf(error));
    }
  }
  return finish(plan.rung, 'completed', plan.rung === 'repoint' ? 'repointed' : 'already-following', plan.line);
}
