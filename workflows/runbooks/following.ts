// One follow on its way: what it was asked, what it has learned, and the looks and acts that several of its parts share.

import type { Observation } from '../../activities/look/observe';
import type { FollowReport } from '../../domain/facts/outcome';
import type { ReasonCode } from '../../domain/facts/reasons';
import type { Ground } from './ground';
import type { Rebuilding } from './rebuild';

export interface FollowInput {
  readonly cluster: string;
  readonly node: number;
  readonly primary: number;
  /** A person asked for the node, or this incident stopped it: a stopped node may be started, or rebuilt. */
  readonly isStartAllowed: boolean;
  /** Workflow time in milliseconds: until then pgpool is left to its own failover. */
  readonly attachNotBefore: number;
  /** Tells the incident which of its follows this is. */
  readonly number: number;
  /** pgpool reported this node alone, as failed: if it works, somebody may have detached it, and policy.reattachMs is kept. */
  readonly isDetached: boolean;
}

export interface Following {
  readonly ground: Ground;
  readonly input: FollowInput;
  readonly rebuilding: Rebuilding;
  rung: FollowReport['rung'];
  reason: ReasonCode;
  observation: Observation | null;
  hasStarted: boolean;
  /** A repoint found that the primary has no WAL for it any more. */
  hasLostWal: boolean;
  isRebuildWanted: boolean;
  looksForPrimary: number;
  pauses: number;
}

/** As the last look read it. */
export function configurationOf({ observation }: Following): Observation['configuration'] {
  return observation!.configuration;
}

/** Nobody is suspected: a host is looked at only where PostgreSQL does not answer. @param only null: every node */
export async function look(
  following: Following,
  only: readonly number[] | null = [following.input.node, following.input.primary],
): Promise<void> {
  const { cluster } = following.input;
  following.observation = await following.ground.act.observe({ cluster, suspect: null, ...(only && { only }) });
}

/** What the copies of this node, of this follow or of one that was cut off, have kept. */
export async function releaseSlots(following: Following): Promise<void> {
  const { node, primary } = following.input;
  await following.ground.act.releaseSlots({ configuration: configurationOf(following), node, primary });
}
