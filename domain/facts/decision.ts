// A step that waits for a person, and what the person decided. Pure: the rules by which a decision is accepted.

export const choices = ['retry', 'skip', 'rebuild', 'abort'] as const;
export type Choice = (typeof choices)[number];

/** A step that has used up its retries, or that only a person may answer for. */
export interface ParkedStep {
  /** Unique within the incident: node0.base-backup. [A-Za-z0-9._-] */
  readonly stepId: string;
  readonly title: string;
  /** The failure, or the question, and what each choice will do. */
  readonly problem: string;
  /**
   * retry = do the step again from fresh facts; skip = go on without it; rebuild = replace the node's data by a copy;
   * abort = leave the rest undone.
   */
  readonly choices: readonly Choice[];
  /** ISO time. */
  readonly since: string;
}

export interface Decision {
  readonly stepId: string;
  readonly choice: Choice;
  readonly operator: string;
  readonly reason: string;
}

/**
 * Null when the decision is accepted, else the reason why not. The value is not trusted: any user of Temporal Web can
 * type it.
 */
export function findDecisionProblem(value: unknown, parked: readonly ParkedStep[]): string | null {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return 'a decision is an object: {"stepId": ..., "choice": "retry", "operator": ..., "reason": ...}';
  }
  const { stepId, choice, operator, reason } = value as Record<string, unknown>;
  const open = parked.map((step) => step.stepId).join(', ') || 'none';
  const step = parked.find((entry) => entry.stepId === stepId);
  if (!step) return `no step ${printable(stepId)} is parked; parked now: ${open}`;
  if (!step.choices.some((allowed) => allowed === choice)) {
    return `step ${step.stepId} takes ${step.choices.join(', ')}, not ${printable(choice)}`;
  }
  if (!isText(operator)) return 'operator is missing: who decides this?';
  if (!isText(reason)) return 'reason is missing: it is kept with the decision';
  if (operator.length > longest || reason.length > longest)
    return `operator and reason have ${longest} characters at most`;
  return null;
}

const longest = 500;

function printable(value: unknown): string {
  return JSON.stringify(value ?? null).slice(0, 60);
}

/** The "..." of the command that people copy is no reason. */
function isText(value: unknown): value is string {
  return typeof value === 'string' && /[\p{L}\p{N}]/u.test(value);
}
