// Steps that wait for a person. An incident knows its own and its children's, and passes a decision about a child's
// step on to that child.

import {
  ApplicationFailure,
  condition,
  getExternalWorkflowHandle,
  isCancellation,
  log,
  setHandler,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import { type Choice, type Decision, findDecisionProblem, type ParkedStep } from '../domain/facts/decision';
import { decidedSignal, decideUpdate, parkedQuery, stepParkedSignal, stepResumedSignal } from './messages';
import { searchAttributes } from './search-attributes';
import type { Question } from './runbooks/ground';
import type { Steps } from './step';

/** A step of a child that waits for a person. */
export interface ChildStep {
  readonly step: ParkedStep;
  readonly child: string;
}

interface Waiting {
  readonly step: ParkedStep;
  /** The child that owns the step; null = this workflow owns it. */
  readonly child: string | null;
  decision: Decision | null;
}

export class Parking {
  private readonly steps = new Map<string, Waiting>();
  private readonly noted = new Map<string, string>();

  /** The value of PgOutcome while nothing is parked. */
  private outcome = 'running';

  /** @param carried the children's parked steps that the last run knew */
  constructor(
    private readonly shown: Steps,
    carried: readonly ChildStep[] = [],
  ) {
    for (const { step, child } of carried) this.steps.set(step.stepId, { step, child, decision: null });
  }

  get childSteps(): ChildStep[] {
    return [...this.steps.values()].flatMap(({ step, child, decision }) =>
      child !== null && decision === null ? [{ step, child }] : [],
    );
  }

  /** Must run before the workflow's first await. */
  listen(): void {
    setHandler(parkedQuery, () => this.parked, { description: 'The steps that wait for a decision.' });
    setHandler(decideUpdate, (decision) => this.decide(decision), {
      description:
        'Decides about a parked step: {"stepId": "node0.base-backup", "choice": "retry", "operator": "you", "reason": "why"}; choice is one that the step has: retry, skip, rebuild or abort.',
      validator: (decision) => {
        const problem = findDecisionProblem(decision, this.parked);
        if (problem !== null) throw ApplicationFailure.nonRetryable(problem, 'DecisionRejected');
      },
    });
    setHandler(
      decidedSignal,
      (decision) => {
        this.take(decision);
      },
      { description: 'From the incident to its child: a decision that the incident has accepted.' },
    );
    setHandler(
      stepResumedSignal,
      (stepId) => {
        this.steps.delete(stepId);
        this.showOutcome();
      },
      { description: 'From a child to its incident: the step goes on.' },
    );
    const addChilds = (step: ParkedStep, child: string): void => {
      this.steps.set(step.stepId, { step, child, decision: null });
      this.note(step);
      this.showOutcome();
    };
    setHandler(stepParkedSignal, addChilds, {
      description: 'From a child to its incident: a step waits for a person.',
    });
  }

  /**
   * Shows `parked` in the search attribute PgOutcome while anything is parked, else the given or last given outcome.
   */
  showOutcome(outcome = this.outcome): void {
    this.outcome = outcome;
    upsertSearchAttributes(searchAttributes({ outcome: this.parked.length > 0 ? 'parked' : outcome }));
  }

  get parked(): ParkedStep[] {
    return [...this.steps.values()].filter((entry) => entry.decision === null).map((entry) => entry.step);
  }

  /** Drops the steps of a child that has ended. */
  forgetChild(workflowId: string): void {
    const left = [...this.steps].filter(([, { child }]) => child === workflowId);
    for (const [stepId] of left) this.steps.delete(stepId);
    if (left.length > 0) this.showOutcome();
  }

  /** Waits for a decision. Returns 'retry' after `againMs`, or once `isOver`, if given. */
  async park(question: Question, againMs: number | null = null, isOver = (): boolean => false): Promise<Choice> {
    const step = { ...question, since: new Date(Date.now()).toISOString() };
    const entry: Waiting = { step, child: null, decision: null };
    this.steps.set(step.stepId, entry);
    this.note(step);
    this.showOutcome();
    await tellParent((parent) => parent.signal(stepParkedSignal, step, workflowInfo().workflowId));
    try {
      const isSettled = (): boolean => entry.decision !== null || isOver();
      if (againMs === null) await condition(isSettled);
      else await condition(isSettled, againMs, { summary: `parked: ${step.title}` });
    } finally {
      if (this.steps.get(step.stepId) === entry) this.steps.delete(step.stepId);
      this.showOutcome();
    }
    await tellParent((parent) => parent.signal(stepResumedSignal, step.stepId));
    return entry.decision?.choice ?? 'retry';
  }

  /** Notes a parked step once: a step that repeats itself would be noted each time. */
  private note(step: ParkedStep): void {
    const seen = `${step.problem}; ${describeChoices(step)}`;
    if (this.noted.get(step.stepId) !== seen) {
      this.shown.note(`Parked: ${step.title}`, seen);
      // Only the incident logs, because it also knows its children's steps.
      if (!workflowInfo().parent) log.info(`parked: ${step.title}: ${seen}`);
    }
    this.noted.set(step.stepId, seen);
  }

  private async decide(decision: Decision): Promise<string> {
    const { child } = this.steps.get(decision.stepId)!;
    this.take(decision);
    if (child !== null) await getExternalWorkflowHandle(child).signal(decidedSignal, decision);
    return `${decision.stepId}: ${decision.choice}, decided by ${decision.operator}`;
  }

  private take(decision: Decision): void {
    const entry = this.steps.get(decision.stepId);
    if (!entry || entry.decision !== null) return;
    entry.decision = decision;
    this.shown.note(`Decided: ${entry.step.title}`, `${decision.choice} by ${decision.operator}: ${decision.reason}`);
  }
}

function describeChoices({ stepId, choices }: ParkedStep): string {
  return `waits for the update decide, step ${stepId}: ${choices.join(', ')}`;
}

/**
 * Sends a signal to the child's incident, if there is one. An incident that has ended cannot be told, and need not be.
 */
export async function tellParent(
  tell: (parent: ReturnType<typeof getExternalWorkflowHandle>) => Promise<void>,
): Promise<void> {
  const { parent } = workflowInfo();
  if (!parent) return;
  try {
    // Without a run id, because the incident may have continued as new.
    await tell(getExternalWorkflowHandle(parent.workflowId));
  } catch (error) {
    if (isCancellation(error)) throw error;
  }
}
