// The state of an incident as one value, the messages that change it, and the moves that it asks for. Plain data: it
// outlives a run that continues as new.

import type { ClusterConfiguration } from '../facts/cluster';
import type { ClusterEvent } from '../facts/event';
import type { FollowReport, Verdict } from '../facts/outcome';
import type { ReasonCode } from '../facts/reasons';
import type { Conclusion } from '../facts/record';
import { emptyMemory, type FailoverMemory } from './failover-memory';
import { nothingHappened } from './verdict';

/** An event with its time of arrival, in milliseconds by the incident's clock. */
export type ReceivedEvent = ClusterEvent & { readonly receivedAt: number };

/** Durations of an incident, in milliseconds; tests give short ones. */
export interface IncidentTiming {
  /** Time that a drained incident stays open, so that pgpool's follow hooks join the same run. */
  readonly lingerMs: number;
  /** Time that a step of the running decision still has after a newer failover event, before it is cancelled. */
  readonly preemptMs: number;
  /**
   * Number of times that refused events are decided again, at most `lookAgainMs` apart: pgpool calls its hook only
   * once.
   */
  readonly looks: number;
  readonly lookAgainMs: number;
  /** First pause after those looks; it doubles up to 5 minutes, without end. Null = no more looks. */
  readonly slowLookMs: number | null;
  /**
   * Pause between a promotion's answer and the first follow: pgpool restarts its children, and nothing else is as
   * urgent.
   */
  readonly quietMs: number;
  /**
   * Pause between a promotion and the first request to attach a node. pgpool's main process sleeps for a second after
   * its failover and then restarts its streaming replication check. A request queued in that second collides with it on
   * pgpool's follow lock, and until that ends pgpool closes every session and starts no child: 2-3 s without service
   * (pgpool 4.3.5, failover() and pool_acquire_follow_primary_lock in pgpool_main.c, pool_virtual_main_db_node_id;
   * measured in 5 of 55 failovers).
   */
  readonly attachMs: number;
}

/** The condition for another follow after one that has failed. */
export type Until = 'answers' | 'streams' | 'returns';

/** A node's state has two axes: what is known of the node, and its follow. */
export interface NodeState {
  readonly id: number;
  readonly is: 'unseen' | 'primary' | 'well' | 'away' | 'left';
  /** The condition under which another follow would help; null = nothing is missing, or nothing is known. */
  readonly until: Until | null;
  /** `closing`: cancelled, and not ended yet. */
  readonly follow: 'none' | 'running' | 'closing';
  /**
   * The number of the running or closing follow; below whether that follow may start a stopped node, and whether it may
   * wait before it attaches.
   */
  readonly number: number;
  readonly mayStart: boolean;
  readonly isPatient: boolean;
  /** Another follow must start when this one has ended. */
  readonly wants: boolean;
  /** pgpool asked again during the follow: check at the end that pgpool has the node attached. */
  readonly isDoubted: boolean;
  readonly report: FollowReport | null;
}

/** The decision that runs now. */
export interface OpenDecision {
  readonly id: number;
  readonly events: readonly ReceivedEvent[];
  /**
   * Time at which a newer failover event takes over; null = none waits, or the decision was told to give way already.
   */
  readonly preemptAt: number | null;
  readonly isToldToGiveWay: boolean;
}

/** The result of a decision, as far as the incident needs it. */
export interface Settlement {
  readonly verdict: Verdict;
  readonly configuration: ClusterConfiguration;
  /** The node that accepts writes now; null when none does. */
  readonly primary: number | null;
  /** The primary that this decision has fenced and replaced. */
  readonly former: number | null;
  /** The former primary does not answer as a standby. */
  readonly isFormerAway: boolean;
  /** Nodes that did not answer. */
  readonly silent: readonly number[];
  readonly conclusion: Conclusion | null;
}

export interface IncidentState {
  readonly cluster: string;
  /** Number of the last move that reports its end. */
  readonly counter: number;
  /** Ids of the last thousand events received. */
  readonly seen: readonly string[];
  readonly waiting: readonly ReceivedEvent[];
  readonly verdicts: Readonly<Record<string, Verdict>>;
  /** Rejoins, each answered when the node's follow has ended. */
  readonly asked: readonly ReceivedEvent[];
  readonly decision: OpenDecision | null;
  /** A promotion that is answered, and the time at which its follows begin. */
  readonly settling: {
    readonly at: number;
    readonly events: readonly ReceivedEvent[];
    readonly settlement: Settlement;
  } | null;
  /** Refused events. pgpool does not repeat them, so the incident decides them again together with later ones. */
  readonly undecided: readonly ReceivedEvent[];
  readonly looksLeft: number;
  /**
   * The question to people about the undecided events, and when they are decided again; null = not asked, or never
   * again.
   */
  readonly look: { readonly id: number; readonly at: number | null } | null;
  readonly refusal: string;
  readonly memory: FailoverMemory;
  readonly configuration: ClusterConfiguration | null;
  /** The node that accepts writes, as far as is known. */
  readonly primary: number | null;
  /** The node that the follows and confirmations serve; a refusal does not change it. */
  readonly served: number | null;
  readonly attachNotBefore: number;
  readonly nodes: readonly NodeState[];
  /** pgpools that are being told which node is the primary. */
  readonly confirming: readonly string[];
  /** The synchronous set is being written; `again` = something has changed since. */
  readonly synchronous: 'idle' | 'writing' | 'again';
  /** Work in the background that has not ended, by number. */
  readonly open: readonly { readonly id: number; readonly what: string }[];
  /** Why the primary's service is not proven although nothing failed before; the key names the thing in question. */
  readonly problems: Readonly<Record<string, ReasonCode>>;
  readonly verdict: Verdict;
  /** The last look at doubted nodes is done. */
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

/** The state that the run before this one has left: an earlier version may have known less. */
export function resumed(state: IncidentState): IncidentState {
  return { ...state, memory: { ...emptyMemory, ...state.memory } };
}

/** Every message to an incident, with the time in milliseconds by its clock. */
export type Message = { readonly now: number } & (
  | { readonly on: 'event'; readonly event: ClusterEvent }
  | { readonly on: 'decided'; readonly id: number; readonly memory: FailoverMemory; readonly settlement: Settlement }
  /** A newer failover event took over, or a step failed. */
  | { readonly on: 'undecided'; readonly id: number; readonly memory: FailoverMemory; readonly verdict: Verdict }
  /** `report` null = the follow was cancelled. */
  | { readonly on: 'followed'; readonly node: number; readonly number: number; readonly report: FollowReport | null }
  /** Work in the background has ended: done, or given up by a person; null = it was cancelled. */
  | { readonly on: 'done'; readonly id: number; readonly isDone: boolean | null }
  /** A follow says that its node streams, so commits may wait for the node. */
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

/** Acts that the workflow starts without waiting; one that ends sends a message with its number. */
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
  /**
   * A person has chosen to leave these nodes as they are: the watch does not tell of them again for the same reason.
   */
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

/** The row of the page that decided about a node. */
export interface Told {
  readonly row: number;
  readonly node: number;
}

/** The result of one message. */
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
  quietMs: 100,
  attachMs: 2000,
};
