// A standby's readiness to be promoted: settings that are too small, a delay on purpose, whether it has streamed.

import type { NodeFacts } from '../facts/facts';

/**
 * Why a promotion would end this standby's server; null when nothing shows that it would. PostgreSQL pauses replay when
 * the primary has raised one of these settings, and ends the server when replay is resumed or a promotion is asked for
 * (PostgreSQL documentation, 27.4.3 Administrator's Overview).
 */
export function findInsufficientSettings({ node, isReplayPaused, ownSettings, host }: NodeFacts): string | null {
  if (isReplayPaused !== true || !ownSettings || !host?.neededSettings) return null;
  const small = Object.entries(host.neededSettings).flatMap(([name, needed]) => {
    const own = ownSettings[name];
    return own !== undefined && own < needed ? [`${name} is ${own} and must be ${needed} or more`] : [];
  });
  if (small.length === 0) return null;
  return `node ${node} has paused its replay because of insufficient settings (${small.join(', ')}): correct its configuration and restart it, then it can be promoted`;
}

/** The standby is delayed on purpose (recovery_min_apply_delay), so it is the last choice. */
export function isDelayed({ applyDelayMs }: NodeFacts): boolean {
  return applyDelayMs !== null && applyDelayMs > 0;
}

/** Has the standby's receiver received anything since the server started? */
export function hasStreamed({ receivedLsn }: NodeFacts): boolean {
  return receivedLsn !== null;
}
