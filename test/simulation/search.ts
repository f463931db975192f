// Many runs, one seed each, and what they have reached together.

import { isKnown } from './known';
import { play } from './run';
import { drawPlot, type Plot } from './schedule';
import { product, type Subject, type Violation } from './simulation';

export interface Found {
  readonly seed: number;
  readonly plot: Plot;
  readonly violation: Violation;
}

export interface Searched {
  readonly runs: number;
  /** Runs that have only broken a rule in a way that is known. */
  readonly knownRuns: number;
  readonly found: readonly Found[];
  readonly states: Set<number>;
  readonly rows: Set<number>;
  readonly actions: Set<string>;
  readonly reasons: Map<string, number>;
  readonly events: number[];
  readonly faults: number[];
}

export interface SearchOptions {
  readonly seed: number;
  readonly runs: number;
  /** Only violations of this rule count. */
  readonly rule?: string | undefined;
  readonly most?: number;
  readonly subject?: Subject;
  readonly draw?: (seed: number) => Plot;
  readonly isOver?: () => boolean;
}

export async function search(options: SearchOptions): Promise<Searched> {
  const { seed, rule, most = 1, subject = product, draw = drawPlot, isOver = () => false } = options;
  const found: Found[] = [];
  const states = new Set<number>();
  const [rows, actions, reasons] = [new Set<number>(), new Set<string>(), new Map<string, number>()];
  const [events, faults]: [number[], number[]] = [[], []];
  let [runs, knownRuns] = [0, 0];
  for (; runs < options.runs && !isOver(); runs += 1) {
    const plot = draw(seed + runs);
    const outcome = await play(plot, subject);
    for (const state of outcome.states) states.add(state);
    for (const row of outcome.rows) rows.add(row);
    for (const action of outcome.actions) actions.add(action);
    for (const reason of outcome.reasons) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
    events.push(outcome.events);
    faults.push(outcome.faults);
    const wanted = outcome.violations.filter((one) => rule === undefined || one.rule === rule || one.rule === 'error');
    const violation = wanted.find((one) => !isKnown(one, plot));
    if (wanted.length > 0 && !violation) knownRuns += 1;
    if (!violation) continue;
    found.push({ seed: seed + runs, plot, violation });
    if (found.length >= most) {
      runs += 1;
      break;
    }
  }
  return { runs, knownRuns, found, states, rows, actions, reasons, events, faults };
}

export function medianOf(list: readonly number[]): number {
  const sorted = [...list].sort((left, right) => left - right);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}
