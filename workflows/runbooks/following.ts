// A follow in progress: its input, what it has learned, and the looks and acts that its parts share.

import type { Observation } from '../../activities/look/observe';
import type { FollowReport } from '../../domain/facts/outcome';
import type { ReasonCode } from '../../domain/facts/reasons';
import type { Ground } from './ground';
import type { Rebuilding } from './rebuild';

export interface FollowInput {
  readonly cluster: string;
  readonly node: number;
  readonly primary: number;
  /** A person asked for the node, or this incident stopped it: a stopped node may be started or rebuilt. */
  readonly isStartAllowed: boolean;
  /** Workflow time in milliseconds until which no node is attached, because pgpool's own failover goes on. */
  readonly attachNotBefore: number;
  /** The number by which the incident knows this follow. */
  readonly number: number;
  /**
   * pgpool has only reported this node as failed. If the node works, a person may have detached it, so
   * policy.reattachMs is kept.
   */
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
  /** A repoint found that the primary no longer has the WAL that the node needs. */
  hasLostWal: boolean;
  isRebuildWanted: boolean;
  looksForPrimary: number;
  pauses: number;
}

/** The configuration that the last look read. */
export function configurationOf({ observation }: Following): Observation['configuration'] {
  return observation!.configuration;
}

/** Looks without a suspect: a host is looked at only where PostgreSQL does not answer. @param only null: every node */
export async function look(
  following: Following,
  only: readonly number[] | null = [following.input.node, following.input.primary],
): Promise<void> {
  const { cluster } = following.input;
  following.observation = await following.ground.act.observe({ cluster, suspect: null, ...(only && { only }) });
}

/** Drops the slots of this node's copies, of this follow or of one that was cut off. */
export async function releaseSlots(following: Following): Promise<void> {
  const { node, primary } = following.input;
  await following.ground.act.releaseSlots({ configuration: configurationOf(following), node, primary });
}
