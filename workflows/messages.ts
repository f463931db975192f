// The messages of an incident: what others may send it and what it answers. Client and hook use the same names.

import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import type { Decision, ParkedStep } from '../domain/facts/decision';
import {
  acceptUpdateName,
  concludeUpdateName,
  decidedSignalName,
  decideUpdateName,
  eventSignalName,
  followedSignalName,
  leftSignalName,
  maintainUpdateName,
  parkedQueryName,
  recordedQueryName,
  settledUpdateName,
  stateQueryName,
  stepParkedSignalName,
  stepResumedSignalName,
  streamsSignalName,
} from '../domain/facts/names';
import type { Maintenance } from '../domain/facts/maintenance';
import type { ClusterRecord, Conclusion, Recorded } from '../domain/facts/record';
import type { FollowReport, Verdict } from '../domain/facts/outcome';
import type { IncidentState } from '../domain/plans/incident-state';

export { defaultTiming, type IncidentTiming } from '../domain/plans/incident-state';
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
/** From a follow to its incident: its node, its number, and its report; null = it was cancelled. */
export const followedSignal = defineSignal<[number, number, FollowReport | null]>(followedSignalName);
/** From an incident to the workflow `cluster`: nodes about which a person has decided that nothing is to be done. */
export const leftSignal = defineSignal<[readonly number[]]>(leftSignalName);
export const stateQuery = defineQuery<IncidentState>(stateQueryName);
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

/** The result of an incident's run: the verdict that mattered most, and what became of every event and node. */
export interface IncidentReport extends Verdict {
  readonly primary: number | null;
  readonly events: readonly (Verdict & { readonly eventId: string })[];
  readonly follows: readonly FollowReport[];
}
