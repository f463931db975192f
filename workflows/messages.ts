// The messages of an incident: the questions and orders that it takes, and its answers. Client and hook use the same
// names.

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

/**
 * Argument: the id of an event that was signalled before. Answers once the incident has decided and, if needed,
 * promoted.
 */
export const settledUpdate = defineUpdate<Verdict, [string]>(settledUpdateName);

/**
 * A person's choice for a parked step; answers with a sentence. Rejected when the step is not parked or the choice not
 * open.
 */
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
/** From an incident to the workflow `cluster`: nodes that a person has chosen to leave as they are. */
export const leftSignal = defineSignal<[readonly number[]]>(leftSignalName);
export const stateQuery = defineQuery<IncidentState>(stateQueryName);
/** From the incident to the child that owns the step. */
export const decidedSignal = defineSignal<[Decision]>(decidedSignalName);

/** A person says which node is the primary. */
export interface Acceptance {
  readonly node: number;
  /** The person as user@host. */
  readonly operator: string;
}

/** A person starts or stops the maintenance of a node, or, with null, a pause of the cluster. */
export type Maintaining = { readonly node: number | null; readonly operator: string } & (
  | {
      readonly action: 'start';
      readonly reason: string;
      /** Null = until a person stops it. */ readonly forMs: number | null;
    }
  | { readonly action: 'stop' }
);

/** The result of an incident's run: the weightiest verdict, and the result for every event and node. */
export interface IncidentReport extends Verdict {
  readonly primary: number | null;
  readonly events: readonly (Verdict & { readonly eventId: string })[];
  readonly follows: readonly FollowReport[];
}
