// rule-1: a decision that has stopped somebody alive does not refuse for a reason that was known before. rule-7: a refusal leaves everything as it
// was found.

import type { ReasonCode } from '../../../domain/facts/reasons';
import type { FailoverResult } from '../../../workflows/runbooks/decision';
import type { Actor, Simulation } from '../simulation';
import { violate } from '../simulation';

/** The look before the fence tells this already. */
const knownBefore: readonly ReasonCode[] = [
  'no-candidate',
  'lag-exceeded',
  'lag-unknown',
  'diverged-branches',
  'synchronous-set-unreachable',
  'insufficient-settings',
  'cut-off',
  'too-soon',
  'paused',
  'node-not-configured',
  'other-system',
];
/** The candidate could not be told, or has failed: the act itself tells that. */
const learned: readonly ReasonCode[] = ['promotion-failed', 'promotion-unproven', 'fence-unconfirmed', 'world-changed'];

export function checkDecision(sim: Simulation, actor: Actor, { verdict, primary }: FailoverResult): void {
  const { outcome, reason, line } = verdict;
  const { world } = sim;
  sim.verdicts.push({ at: actor.lookedAt, reason, primary, version: world.version });
  if (outcome !== 'refused' || actor.failed.size > 0) return;
  for (const { node, version } of actor.stopped) {
    // The world has changed since: the reason is a new one.
    if (version !== world.version || sim.world.nodes[node]!.mayBeTold) continue;
    if (knownBefore.includes(reason))
      violate(sim, 'rule-1', `node ${node} was alive and was stopped, and then: ${reason}: ${line}`);
    if (!learned.includes(reason))
      violate(sim, 'rule-7', `refused (${reason}), and node ${node}, which was alive, is stopped`);
  }
}
