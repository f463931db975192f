// Runs a plan's rounds, ours and the other's in turn, and makes a row of the results.

import { messageOf } from '../activities/io/failures';
import { ratioOf, type Row, summarize } from './figures';
import type { Beds, Measured, Plan } from './rows';

/** A round that fails is reported and left out. @throws when ours gave no figure at all; the signal's reason */
export async function measurePlan(
  plan: Plan,
  beds: Beds,
  rounds: number,
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<Row> {
  const count = Math.min(plan.rounds ?? rounds, rounds);
  const values = { ours: [] as Measured[], other: [] as Measured[] };
  const failures: string[] = [];
  const run = async (side: 'ours' | 'other', round: number): Promise<void> => {
    const measure = plan[side];
    if (!measure) return;
    const who = side === 'ours' ? 'ours' : (plan.against ?? 'other');
    try {
      const measured = await measure(beds);
      values[side].push(measured);
      const lost =
        measured.lost === undefined || measured.lost === 0 ? '' : `, ${measured.lost} acknowledged writes lost`;
      say(`${plan.name}, round ${round + 1}, ${who}: ${measured.value.toFixed(0)} ${plan.unit}${lost}`);
    } catch (error) {
      // An interrupted round has not failed.
      signal.throwIfAborted();
      failures.push(`round ${round + 1}, ${who}: ${messageOf(error)}`);
      say(`${plan.name}, round ${round + 1}, ${who}: no figure: ${messageOf(error)}`);
    }
  };
  for (let round = 0; round < count; round++) {
    // The sides take turns in going first, so that a warm cache helps both.
    const order = round % 2 === 0 ? (['ours', 'other'] as const) : (['other', 'ours'] as const);
    for (const side of order) {
      signal.throwIfAborted();
      await run(side, round);
    }
  }
  return toRow(plan, values, failures);
}

function toRow(
  plan: Plan,
  values: { readonly ours: readonly Measured[]; readonly other: readonly Measured[] },
  failures: readonly string[],
): Row {
  if (values.ours.length === 0) throw new Error(`${plan.name}: ${failures.join('; ')}`);
  const our = summarize(values.ours.map(({ value }) => value));
  const other = values.other.length === 0 ? null : summarize(values.other.map(({ value }) => value));
  const countLost = (side: readonly Measured[]): number => side.reduce((sum, { lost }) => sum + (lost ?? 0), 0);
  return {
    name: plan.name,
    title: plan.title,
    ours: our,
    against: plan.against,
    other,
    ratio: other && ratioOf(our, other),
    unit: plan.unit,
    aim: plan.aim,
    isHeld: plan.isHeld(our, other),
    lost: { ours: countLost(values.ours), other: countLost(values.other) },
    failures,
  };
}
