// The incidents of a lab since its last deed: what each said, and whether one is still at work.

import { WorkflowNotFoundError } from '@temporalio/client';
import { incidentWorkflowId } from '../../../domain/facts/names';
import type { Verdict } from '../../../domain/facts/outcome';
import { judge } from '../../../domain/plans/incident';
import { listParked } from '../../../client/progress';
import { type IncidentReport, stateQuery } from '../../../workflows/messages';
import type { IncidentState } from '../../../domain/plans/incident-state';
import type { Scenario } from '../../lab/scenarios/support';
import { isAsked, verdictOf } from './end';

export interface Said {
  /** Something may still come of it. */
  readonly isAtWork: boolean;
  readonly verdict: string;
  readonly parked: readonly string[];
}

export class Incidents {
  private readonly verdicts = new Map<string, Verdict>();
  private readonly closed = new Set<string>();
  private open: string | null = null;

  constructor(
    private readonly scenario: Scenario,
    private readonly tell: (line: string) => void,
  ) {}

  /** One that is open goes on with what comes next. */
  async forgetClosed(): Promise<void> {
    await this.look();
    for (const runId of this.verdicts.keys()) if (runId !== this.open) this.verdicts.delete(runId);
  }

  async look(): Promise<Said> {
    const { lab, temporal } = this.scenario;
    const workflowId = incidentWorkflowId(lab.configuration.cluster);
    const last = await describeLast(this.scenario, workflowId);
    const said = (isAtWork: boolean, parked: readonly string[]): Said => {
      return { isAtWork, verdict: verdictOf([...this.verdicts.values()]), parked };
    };
    this.open = last?.isOpen ? last.runId : null;
    if (!last || this.closed.has(last.runId)) return said(false, []);
    const { runId, isOpen } = last;
    const handle = temporal.workflow.getHandle(workflowId, runId);
    if (!isOpen) {
      const report = (await handle.result()) as IncidentReport;
      this.closed.add(runId);
      this.note(runId, report);
      this.tell(`  incident closed: ${report.outcome} (${report.reason}): ${report.line}`);
      for (const { node, outcome, reason, line } of report.follows)
        this.tell(`    node ${node}: ${outcome} (${reason}): ${line}`);
      return said(false, []);
    }
    const state = await handle.query<IncidentState>(stateQuery);
    const parked = (await listParked(temporal, { workflowId, runId })).map(({ stepId }) => stepId);
    const verdict = judge(state);
    if (this.verdicts.get(runId)?.line !== verdict.line)
      this.tell(`  incident says: ${verdict.outcome} (${verdict.reason}): ${verdict.line}`);
    this.note(runId, verdict);
    return said(
      parked.length === 0 || state.decision !== null || state.settling !== null,
      parked.filter(isAsked).sort(),
    );
  }

  private note(runId: string, { outcome, reason, line }: Verdict): void {
    this.verdicts.set(runId, { outcome, reason, line });
  }
}

async function describeLast(
  { temporal }: Scenario,
  workflowId: string,
): Promise<{ readonly runId: string; readonly isOpen: boolean } | null> {
  try {
    const { runId, status } = await temporal.workflow.getHandle(workflowId).describe();
    return { runId, isOpen: status.name === 'RUNNING' };
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return null;
    throw error;
  }
}
