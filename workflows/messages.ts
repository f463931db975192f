// The messages of an incident: what others may send it and what it answers. Client and hook use the same names.

import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import type { Decision, ParkedStep } from '../domain/facts/decision';
import {
  acceptUpdateName,
  concludeUpdateName,
  decidedSignalName,
  decideUpdateName,
  eventSignalName,
  maintainUpdateName,
  parkedQueryName,
  recordedQueryName,
  settledUpdateName,
  stepParkedSignalName,
  stepResumedSignalName,
  streamsSignalName,
} from '../domain/facts/names';
import type { Maintenance } from '../domain/facts/maintenance';
import type { ClusterRecord, Conclusion, Recorded } from '../domain/facts/record';
import type { FollowReport, Verdict } from '../domain/facts/outcome';
import type { OpenedTimeline } from '../domain/facts/wal';

export type { FollowInput } from './runbooks/following';

/** Payload: a ClusterEvent, parsed by the receiver because any HTTP client may have written it. */
export const eventSignal = defineSignal<[unknown]>(eventSignalName);

/** Argument: an eventId that was signalled before. Answers once the incident has decided and, where it promotes, promoted. */
export const settledUpdate = defineUpdate<Verdict, [string]>(settledUpdateName);

/** What a person wants done about a parked step; answers with a sentence. Rejected when the step is not parked or the choice not open. */
export const decideUpdate = defineUpdate<string, [Decision]>(decideUpdateName);
export const parkedQuery = defineQuery<readonly ParkedStep[]>(parkedQueryName);

/** For the workflow `cluster`. */
export const concludeUpdate = defineUpdate<ClusterRecord, [Conclusion]>(concludeUpdateName);
export const acceptUpdate = defineUpdate<ClusterRecord, [Acceptance]>(acceptUpdateName);
export const maintainUpdate = defineUpdate<readonly Maintenance[], [Maintaining]>(maintainUpdateName);
export const recordedQuery = defineQuery<Recorded>(recordedQueryName);

/** From a child to its incident, with the child's workflow id. */
export const stepParkedSignal = defineSignal<[ParkedStep, string]>(stepParkedSignalName);
export const stepResumedSignal = defineSignal<[string]>(stepResumedSignalName);
/** From a follow: its node streams, whatever else is still to be done for it. */
export const streamsSignal = defineSignal<[number]>(streamsSignalName);
/** From the incident to the child that owns the step. */
export const decidedSignal = defineSignal<[Decision]>(decidedSignalName);

/** A person says which node is the primary. */
export interface Acceptance {
  readonly node: number;
  /** Who says so: user@host. */
  readonly operator: string;
}

/** A person takes a node (null = the whole cluster) in hand, or gives it back. */
export type Maintaining = { readonly node: number | null; readonly operator: string } & (
  | {
      readonly action: 'start';
      readonly reason: string;
      /** Null = until it is stopped. */ readonly forMs: number | null;
    }
  | { readonly action: 'stop' }
);

/** Durations of a run; tests inject short ones. */
export interface IncidentTiming {
  /** Time that a drained incident stays open, so that pgpool's follow hooks join the run that they belong to. */
  readonly lingerMs: number;
  /** A newer failover event lets a step of the present one go on for so long before it is cancelled. */
  readonly preemptMs: number;
  /**
   * A refusal leaves the cluster without a primary, and pgpool calls its hook only once: so often, and after so long, the
   * incident looks again, because evidence may have become clearer.
   */
  readonly looks: number;
  readonly lookAgainMs: number;
  /** The first pause after those looks; it doubles, up to 5 minutes, and the looks never end. Null = they do. */
  readonly slowLookMs: number | null;
  /** Between a promotion's answer and the first follow. */
  readonly settleMs: number;
  /**
   * Between a promotion and the first request to attach a node. pgpool's main process sleeps for a second after its failover and
   * then restarts its streaming replication check; a request that was queued in that second collides with it on pgpool's follow lock, and as
   * long as that is so pgpool ends every session and starts no child: 2-3 s without service (pgpool 4.3.5, failover() and
   * pool_acquire_follow_primary_lock in pgpool_main.c, pool_virtual_main_db_node_id; measured in 5 of 55 failovers).
   */
  readonly attachMs: number;
  /** Before the wait for a former primary looks for the first time: it was just seen, and clients are reconnecting now. */
  readonly awaitDelayMs: number;
}

export const defaultTiming: IncidentTiming = {
  lingerMs: 5000,
  preemptMs: 3000,
  looks: 60,
  lookAgainMs: 10_000,
  slowLookMs: 60_000,
  settleMs: 100,
  attachMs: 2000,
  awaitDelayMs: 2000,
};

/** The result of an incident's run: the verdict that mattered most, and what became of every event and node. */
export interface IncidentReport extends Verdict {
  readonly primary: number | null;
  readonly events: readonly (Verdict & { readonly eventId: string })[];
  readonly follows: readonly FollowReport[];
}

export interface AwaitInput {
  readonly cluster: string;
  readonly node: number;
  /** returns: it answers now and that is no news: it must be silent first. */
  readonly until: 'answers' | 'streams' | 'returns';
  /** What our promotions have opened meanwhile: the node may come back writable without knowing of them. */
  readonly opened: readonly OpenedTimeline[];
  /** Before the first look, where looking at once would only repeat what has just failed. */
  readonly delayMs: number;
}
