// What the watch's samples say of a primary that is lost: where its WAL was, whom commits waited for, who streamed from it then, and when it last answered.

import { type Facts, factsOf } from '../facts/facts';
import type { WalPosition } from '../facts/wal';
import type { NodeSample } from '../facts/watch';

/** Nodes are looked at together, and a look may be missed. */
const togetherMs = 5000;

function sampleOf({ watch }: Facts, node: number | null): NodeSample | undefined {
  return watch?.nodes.find((entry) => entry.node === node);
}

/** Of a node that accepted writes when it last answered; null = the watch does not know it so. */
function primarySample(facts: Facts, node: number | null) {
  const sample = sampleOf(facts, node);
  return sample?.said?.isInRecovery === false && sample.answeredAt !== null
    ? { said: sample.said, answeredAt: sample.answeredAt }
    : null;
}

/** The least that it had written. */
export function sampledPosition(facts: Facts, primary: number | null): WalPosition | null {
  return primarySample(facts, primary)?.said.position ?? null;
}

/** synchronous_standby_names in force at its last answer; null = unknown. */
export function sampledSynchronousSet(facts: Facts, primary: number | null): string | null {
  return primarySample(facts, primary)?.said.synchronousStandbyNames ?? null;
}

/** Another node than the lost primary, silent now, that accepted writes when the watch last heard it, and that a pgpool served then. */
export function findServedRival(facts: Facts, lost: number): number | null {
  const { nodes = [], pgpools = [] } = facts.watch ?? {};
  const isSilent = (node: number): boolean => {
    const own = factsOf(facts, node);
    return own?.sql !== 'answered' && own?.host?.processes !== 'none';
  };
  // A silent node is not asked about for some seconds: then a pgpool that shows no other primary may serve it.
  const isServed = (node: number): boolean =>
    pgpools.some((pgpool) => {
      const [own, primary] = [
        pgpool.nodes.find((entry) => entry.node === node),
        pgpool.nodes.find(({ role, status }) => role === 'primary' && status !== 'down'),
      ];
      return own ? own === primary : pgpool.nodes.length > 0 && !primary;
    });
  const rival = nodes.find(
    ({ node, said }) => node !== lost && said?.isInRecovery === false && isSilent(node) && isServed(node),
  );
  return rival?.node ?? null;
}

/** Did this standby stream when the primary last answered? Null = the watch had not heard both of them. */
export function wasStreaming(facts: Facts, standby: number, primary: number | null): boolean | null {
  const lost = primarySample(facts, primary);
  const sample = sampleOf(facts, standby);
  if (!lost || !sample?.answeredAt) return null;
  const isLater = (at: string): boolean => Date.parse(at) >= Date.parse(lost.answeredAt) - togetherMs;
  // Whoever has answered only before that may have begun to stream since.
  return isLater(sample.answeredAt) ? sample.streamedAt !== null && isLater(sample.streamedAt) : null;
}

/** Milliseconds from its last answer to these facts; null = never, or by a clock that is ahead. */
export function lastAnswerAgeMs(facts: Facts, node: number): number | null {
  const answeredAt = sampleOf(facts, node)?.answeredAt;
  const ageMs = answeredAt ? Date.parse(facts.takenAt) - Date.parse(answeredAt) : -1;
  return ageMs < 0 ? null : ageMs;
}
