// The state of an incident as one value, the messages that change it, and the moves that it asks for. Plain data: it outlives a run that continues as new.

import type { ClusterConfiguration } from '../facts/cluster';
import type { ClusterEvent } from '../facts/event';
import type { FollowReport, Verdict } from '../facts/outcome';
import type { ReasonCode } from '../facts/reasons';
import type { Conclusion } from '../facts/record';
import { emptyMemory, type FailoverMemory } from './failover-memory';
import { nothingHappened } from './verdict';

/** An event with the time at which it came in, in milliseconds by the incident's clock. */
export type ReceivedEvent = ClusterEvent & { readonly receivedAt: number };

/** Durations of an incident, in milliseconds; tests give short ones. */
export interface IncidentTiming {
  /** A drained incident stays open so long, so that pgpool's follow hooks join the run that they belong to. */
  readonly lingerMs: number;
  /** A newer failover event lets a step of the present decision go on for so long before it is cancelled. */
  readonly preemptMs: number;
  /** Refused events are decided again so often, each time after `lookAgainMs` at most: pgpool calls its hook only once. */
  readonly looks: number;
  readonly lookAgainMs: number;
  /** The first pause after those looks; it doubles, up to 5 minutes, and the looks never end. Null = they do. */
  readonly slowLookMs: number | null;
  /** Between a promotion's answer and the first follow: pgpool restarts its children, and nothing else is as urgent. */
  readonly settleMs: number;
  /**
   * Between a promotion and the first request to attach a node. pgpool's main process sleeps for a second after its failover and
   * then restarts its streaming replication check; a request that was queued in that second collides with it on pgpool's follow lock, and as
   * long as that is so pgpool ends every session and starts no child: 2-3 s without service (pgpool 4.3.5, failover() and
   * pool_acquire_follow_primary_lock in pgpool_main.c, pool_virtual_main_db_node_id; measured in 5 of 55 failovers).
   */
  readonly attachMs: number;
}

/** When a follow that has ended without its node is worth another one. */
export type Until = 'answers' | 'streams' | 'returns';

/** A node has two axes: what is known of it, and its follow. */
export interface NodeState {
  readonly id: number;
  readonly is: 'unseen' | 'primary' | 'well' | 'away' | 'left';
  /** What would help it; null = nothing is missing, or nothing is known. */
  readonly until: Until | null;
  /** `closing`: it was cancelled and has not ended yet. */
  readonly follow: 'none' | 'running' | 'closing';
  /** Of the running or closing follow: its number, whether it may start a stopped node, whether it may wait before it attaches. */
  readonly number: number;
  readonly mayStart: boolean;
  readonly isPatient: boolean;
  /** Another follow is wanted once this one has ended. */
  readonly wants: boolean;
  /** pgpool asked again while its follow ran: its attachment is looked at once more at the end. */
  readonly isDoubted: boolean;
  readonly report: FollowReport | null;
}

/** One decision that runs. */
export interface OpenDecision {
  readonly id: number;
  readonly events: readonly ReceivedEvent[];
  /** When a newer failover event takes over; null = none waits, or it was told to give way. */
  readonly preemptAt: number | null;
  readonly isToldToGiveWay: boolean;
}

/** What a decision has found, as far as the incident needs it. */
export interface Settlement {
  readonly verdict: Verdict;
  readonly configuration: ClusterConfiguration;
  /** The node that accepts writes now; null when none does. */
  readonly primary: number | null;
  /** Fenced by this decision, and replaced. */
  readonly former: number | null;
  /** The former primary does not answer as a standby. */
  readonly isFormerAway: boolean;
  /** Nodes that did not answer. */
  readonly silent: readonly number[];
  readonly conclusion: Conclusion | null;
}

export interface IncidentState {
  readonly cluster: string;
  /** Number of the last move that has an end. */
  readonly counter: number;
  /** Ids of events that were received, the last thousand. */
  readonly seen: readonly string[];
  readonly waiting: readonly ReceivedEvent[];
  readonly verdicts: Readonly<Record<string, Verdict>>;
  /** Events of people who asked for a node, answered when its follow has ended. */
  readonly asked: readonly ReceivedEvent[];
  readonly decision: OpenDecision | null;
  /** A promotion that is answered, and whose follows begin at this time. */
  readonly settling: {
    readonly at: number;
    readonly events: readonly ReceivedEvent[];
    readonly settlement: Settlement;
  } | null;
  /** Refused events: nobody else will ask again, so they are decided again together with what comes later. */
  readonly undecided: readonly ReceivedEvent[];
  readonly looksLeft: number;
  /** The question about the undecided events, and when they are decided again; null = not asked, or never again. */
  readonly look: { readonly id: number; readonly at: number | null } | null;
  readonly refusal: string;
  readonly memory: FailoverMemory;
  readonly configuration: ClusterConfiguration | null;
  /** The node that accepts writes, as far as is known. */
  readonly primary: number | null;
  /** The node that the follows and confirmations are for: a refusal does not change it. */
  readonly served: number | null;
  readonly attachNotBefore: number;
  readonly nodes: readonly NodeState[];
  /** pgpools that are being made to show the primary. */
  readonly confirming: readonly string[];
  /** The synchronous set is being written; `again` = something has changed since. */
  readonly synchronous: 'idle' | 'writing' | 'again';
  /** Work in the background that has not ended, by number. */
  readonly open: readonly { readonly id: number; readonly what: string }[];
  /** Why the primary's service is not proven although nothing failed before, by what it is about. */
  readonly problems: Readonly<Record<string, ReasonCode>>;
  readonly verdict: Verdict;
  /** The last look at doubted nodes was made. */
  readonly isFinished: boolean;
  readonly lingerUntil: number | null;
}

export function opening(cluster: string, { looks }: IncidentTiming): IncidentState {
  return {
    ...{ cluster, counter: 0, seen: [], waiting: [], verdicts: {}, asked: [], decision: null, settling: null },
    ...{ undecided: [], looksLeft: looks, look: null, refusal: '', memory: emptyMemory, configuration: null },
    ...{ primary: null, served: null, attachNotBefore: 0, nodes: [], confirming: [], synchronous: 'idle', open: [] },
    ...{ problems: {}, verdict: nothingHappened, isFinished: false, lingerUntil: null },
  };
}

/** Everything that an incident is told, with the time in milliseconds by its clock. */
export type Message = { readonly now: number } & (
  | { readonly on: 'event'; readonly event: ClusterEvent }
  | { readonly on: 'decided'; readonly id: number; readonly memory: FailoverMemory; readonly settlement: Settlement }
  /** A newer failover event took over, or a step failed. */
  | { readonly on: 'undecided'; readonly id: number; readonly memory: FailoverMemory; readonly verdict: Verdict }
  /** `report` null = it was cancelled. */
  | { readonly on: 'followed'; readonly node: number; readonly number: number; readonly report: FollowReport | null }
  /** Work in the background has ended: well, or let go by a person; null = it was cancelled. */
  | { readonly on: 'done'; readonly id: number; readonly isDone: boolean | null }
  /** A follow says that its node streams: commits may wait for it. */
  | { readonly on: 'streams' }
  | { readonly on: 'choice'; readonly id: number; readonly choice: 'retry' | 'abort' }
  | { readonly on: 'alarm' }
);

export interface FollowMove {
  readonly node: number;
  readonly number: number;
  readonly primary: number;
  readonly isStartAllowed: boolean;
  readonly attachNotBefore: number;
  readonly isDetached: boolean;
}

/** What the workflow does without waiting for it; each that can end comes back as a message with its number. */
export type Move =
  | {
      readonly do: 'decide';
      readonly id: number;
      readonly events: readonly ReceivedEvent[];
      readonly memory: FailoverMemory;
    }
  | { readonly do: 'preempt'; readonly id: number }
  | ({ readonly do: 'follow' } & FollowMove)
  | { readonly do: 'cancel-follow'; readonly node: number; readonly number: number }
  /** A person has let these nodes go: the watch does not tell of them again for the same reason. */
  | { readonly do: 'leave'; readonly nodes: readonly number[] }
  | { readonly do: 'confirm'; readonly id: number; readonly pgpool: string; readonly primary: number }
  | {
      readonly do: 'confirm-attached';
      readonly id: number;
      readonly pgpool: string;
      readonly node: number;
      readonly primary: number;
    }
  | { readonly do: 'set-synchronous'; readonly id: number; readonly primary: number }
  | { readonly do: 'conclude'; readonly id: number; readonly conclusion: Conclusion }
  | { readonly do: 'cancel-work'; readonly ids: readonly number[] }
  | { readonly do: 'ask'; readonly id: number; readonly problem: string }
  | { readonly do: 'note'; readonly title: string; readonly seen: string };

/** Which row of the page decided about which node. */
export interface Told {
  readonly row: number;
  readonly node: number;
}

/** What one message leads to. */
export interface Step {
  readonly state: IncidentState;
  readonly moves: readonly Move[];
  readonly told: readonly Told[];
}

export const defaultTiming: IncidentTiming = {
  lingerMs: 5000,
  preemptMs: 3000,
  looks: 60,
  lookAgainMs: 10_000,
  slowLookMs: 60_000,
  settleMs: 100,
  attachMs: 2000,
};
