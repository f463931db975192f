// The end of a run that is compared: the cluster at rest, as the model and as the lab show it.

import type { Verdict } from '../../../domain/facts/outcome';
import { parseSynchronousStandbyNames } from '../../../domain/plans/synchronous';
import { weightier } from '../../../domain/plans/verdict';

export interface End {
  /** By node: `primary, timeline 2, waits for 1 of node0, node1`, `follows 2`, `alone`, `down`, `silent`. */
  readonly nodes: readonly string[];
  /** By node: `up`, `down`, `primary`; null = pgpool does not run. */
  readonly pgpool: readonly string[] | null;
  /** Of the incidents since the last deed: outcome and reason. */
  readonly verdict: string;
  /** Questions to people. */
  readonly parked: readonly string[];
}

/** The weightiest verdict; a refusal that stands comes last, and counts. An incident that found nothing to do says nothing. */
export function verdictOf(verdicts: readonly Verdict[]): string {
  const said = verdicts.filter(({ reason }) => reason !== 'primary-working');
  const [first, ...others] = said;
  if (!first) return 'nothing to do';
  const { outcome, reason } = others.reduce(weightier, first);
  return `${outcome} (${reason})`;
}

/** @param names synchronous_standby_names */
export function primaryText(timeline: number, names: string): string {
  const set = parseSynchronousStandbyNames(names);
  const waits = set && set.required > 0 ? `, waits for ${set.required} of ${[...set.names].sort().join(', ')}` : '';
  return `primary, timeline ${timeline}${waits}`;
}

/** A refused decision is asked about between its looks only, and the verdict says so anyhow. */
export function isAsked(stepId: string): boolean {
  return stepId !== 'failover';
}

export function describeEnd({ nodes, pgpool, verdict, parked }: End): string {
  const seen = nodes.map((is, node) => `${node} ${is}`).join('; ');
  const shown = pgpool?.map((is, node) => `${node} ${is}`).join(', ') ?? 'does not run';
  return `${seen} | pgpool: ${shown} | ${verdict}${parked.length > 0 ? ` | asks ${parked.join(', ')}` : ''}`;
}
