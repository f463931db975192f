// What a failover's decision is asked, and what it may answer.

import type { ReasonCode } from '../facts/reasons';
import type { OpenedTimeline, WalPosition } from '../facts/wal';
import type { Candidate, NotTold } from './candidate';
import type { PrimaryState } from './primary-state';

export interface FailoverRequest {
  /** pgpool's %d, or the node that returned. */
  readonly failedNode: number | null;
  /** pgpool's %P. */
  readonly oldPrimary: number | null;
  /** The node that this decision has taken for the primary before; the event's numbers stay what they are. */
  readonly suspect: number | null;
  /** The node that a person wants back: nobody else is stopped for it. */
  readonly rejoin: number | null;
  /** Candidates that were told to promote, failed and are stopped. */
  readonly excluded: readonly number[];
  readonly notTold: readonly NotTold[];
  /** Told to promote and not known to be stopped since: believed before any other. */
  readonly told: readonly number[];
  /** The recovering primary has had crashRecoveryMs already. */
  readonly hasWaited: boolean;
  /** The witnesses contradicted each other in this decision already. */
  readonly hasLookedAgain: boolean;
  /** Of this node the same trouble was seen two seconds ago already. */
  readonly lasted: number | null;
  readonly sinceEventMs: number;
  /** Set after the fence: the set in force on the old primary, read from its files; null when unreadable. */
  readonly formerSynchronousStandbyNames: string | null;
  /** The fence has stopped this node with proof, or tried and recorded "unconfirmed": its state is settled. */
  readonly fencedNode: number | null;
  /** A stop of this false primary was tried in this decision: it is not tried again. */
  readonly fenceTried: number | null;
  /** WAL that failed candidates held. */
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
      /** Without a proven fence nobody may be promoted. */
      readonly needsFence: boolean;
      /** Behind the most that anybody reachable holds; null = unknown. */
      readonly lagBytes: number | null;
      readonly passedOver: Candidate['passedOver'];
      readonly reserved: Candidate['reserved'];
      readonly line: string;
    }
  | {
      /** The primary works: attach it wherever pgpool has cut it off. */
      readonly action: 'keep';
      readonly primary: number;
      readonly reason: 'primary-kept' | 'standby-failed' | 'already-failed-over' | 'primary-working';
      readonly line: string;
    }
  | { readonly action: 'wait'; readonly node: number; readonly line: string }
  /** One look lasts up to two seconds, in which a frozen node may thaw or a network heal: the next look is of one mind. */
  | { readonly action: 'look-again'; readonly node: number; readonly afterMs: number; readonly line: string }
  /** A former primary that came back writable beside its successor: every write that it takes will be lost. */
  | { readonly action: 'fence'; readonly node: number; readonly line: string }
  | { readonly action: 'refuse'; readonly reason: ReasonCode; readonly line: string };

export function refuse(reason: ReasonCode, line: string): FailoverPlan {
  return { action: 'refuse', reason, line };
}
