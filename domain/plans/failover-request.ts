// The question to a failover's decision, and its possible answers.

import type { ReasonCode } from '../facts/reasons';
import type { OpenedTimeline, WalPosition } from '../facts/wal';
import type { Candidate, NotTold } from './candidate';
import type { PrimaryState } from './primary-state';

export interface FailoverRequest {
  /** pgpool's %d, or the node that returned. */
  readonly failedNode: number | null;
  /** pgpool's %P. */
  readonly oldPrimary: number | null;
  /** See FailoverMemory. */
  readonly isPrimaryReported: boolean;
  /** The node that an earlier step of this decision took for the primary; the event's own numbers stay unchanged. */
  readonly suspect: number | null;
  /** The node that a person wants back: no other node may be stopped for it. */
  readonly rejoin: number | null;
  /** Candidates that were told to promote, failed, and are stopped now. */
  readonly excluded: readonly number[];
  readonly notTold: readonly NotTold[];
  /** Told to promote and not known to be stopped since: preferred to any other candidate. */
  readonly told: readonly number[];
  /** Nodes that a pgpool has given up: see FailoverMemory. */
  readonly givenUp: readonly number[];
  /** The recovering primary has already been given crashRecoveryMs. */
  readonly hasWaited: boolean;
  /** This decision has already looked again because witnesses contradicted each other. */
  readonly hasLookedAgain: boolean;
  /** The node in which the same trouble was seen two seconds ago. */
  readonly lasted: number | null;
  readonly sinceEventMs: number;
  /** Set after the fence: the set in force on the old primary, read from its files; null when unreadable. */
  readonly formerSynchronousStandbyNames: string | null;
  /** The node whose fence is over, with proof or "unconfirmed". */
  readonly fencedNode: number | null;
  /** The false primary that this decision has tried to stop: it is not tried again. */
  readonly fenceTried: number | null;
  /** Positions of candidates that failed. */
  readonly walOfFailedCandidates: readonly WalPosition[];
  readonly opened: readonly OpenedTimeline[];
}

export type FailoverPlan =
  | {
      readonly action: 'promote';
      readonly candidate: number;
      readonly position: WalPosition;
      /** The node to fence first; null when no node was ever known as the primary. */
      readonly formerPrimary: number | null;
      readonly state: PrimaryState;
      /** A proven fence must come before the promotion. */
      readonly needsFence: boolean;
      /** Bytes behind the most WAL that any reachable node holds; null = unknown. */
      readonly lagBytes: number | null;
      readonly passedOver: Candidate['passedOver'];
      readonly reserved: Candidate['reserved'];
      readonly line: string;
    }
  | {
      /** The primary works: attach it to every pgpool that has detached it. */
      readonly action: 'keep';
      readonly primary: number;
      readonly reason: 'primary-kept' | 'standby-failed' | 'already-failed-over' | 'primary-working';
      readonly line: string;
    }
  | { readonly action: 'wait'; readonly node: number; readonly line: string }
  /**
   * Look again. During a look of up to two seconds a frozen node may thaw or a network heal, so the answers of one look
   * can contradict each other.
   */
  | { readonly action: 'look-again'; readonly node: number; readonly afterMs: number; readonly line: string }
  /** Stop a former primary that came back writable beside its successor: every write that it takes will be lost. */
  | { readonly action: 'fence'; readonly node: number; readonly line: string }
  | { readonly action: 'refuse'; readonly reason: ReasonCode; readonly line: string };

export function refuse(reason: ReasonCode, line: string): FailoverPlan {
  return { action: 'refuse', reason, line };
}
