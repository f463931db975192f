// One run of the simulation: the world, its clock, the product under test, and what was seen of both.

import type { ClusterEvent } from '../../domain/facts/event';
import type { Facts } from '../../domain/facts/facts';
import type { Choice } from '../../domain/facts/decision';
import type { IncidentState, IncidentTiming } from '../../domain/plans/incident-state';
import { next } from '../../domain/plans/incident';
import type { Question, VerbName } from '../../workflows/runbooks/ground';
import { failover } from '../../workflows/runbooks/failover';
import { follow } from '../../workflows/runbooks/follow';
import { type Clock, newClock, startedAt } from './clock';
import { advance } from './model/physics';
import type { World } from './model/world';
import { newWatch, type Watch } from './watch-memory';

/** The product: a mutation replaces a part of it. */
export interface Subject {
  readonly failover: typeof failover;
  readonly follow: typeof follow;
  readonly next: typeof next;
  /** Changes a verb's result or refuses it; null = the verb as it is. */
  readonly verb:
    ((name: VerbName, input: unknown, body: () => Promise<unknown>, sim: Simulation) => Promise<unknown>) | null;
}

export const product: Subject = { failover, follow, next, verb: null };

/** Troubles of the next attempts of a verb. */
export interface ActTrouble {
  readonly verb: VerbName;
  /** Null = whichever node. */
  readonly node: number | null;
  readonly how: 'dies-before' | 'dies-after' | 'late' | 'twice' | 'refused' | 'blind';
  readonly ms: number;
  times: number;
}

export interface Parked {
  readonly question: Question;
  readonly since: number;
  readonly answer: (choice: Choice) => void;
}

/** The actor: one decision, one follow, or work in the background. */
export interface Actor {
  readonly name: string;
  readonly kind: 'decision' | 'follow' | 'work';
  /** Of a follow: whom, and whether it may start a stopped node. */
  readonly node: number | null;
  readonly mayStart: boolean;
  readonly startedAt: number;
  /** The version of the world at the last whole look, and what it showed. */
  lookedAtVersion: number;
  lookedAt: number;
  /** Nodes that were alive when this decision stopped them, with the version at the look before. */
  readonly stopped: { readonly node: number; readonly version: number }[];
  /** Node that this decision has stopped with proof. */
  readonly fenced: Set<number>;
  /** Candidates that it could not promote. */
  readonly failed: Set<number>;
  /** Facts of the last whole look. */
  facts: Facts | null;
}

export interface Violation {
  readonly rule: string;
  readonly at: number;
  readonly line: string;
}

export interface OpenIncident {
  state: IncidentState;
  readonly tell: (message: object) => void;
}

export type Signal = (event: ClusterEvent) => void;

export interface Simulation {
  readonly clock: Clock;
  readonly world: World;
  readonly subject: Subject;
  readonly timing: IncidentTiming;
  readonly troubles: ActTrouble[];
  /** When the last act under a node's lock ended. */
  readonly changedAt: Map<number, number>;
  readonly parked: Map<string, Parked>;
  readonly violations: Violation[];
  readonly story: string[];
  readonly isTold: boolean;
  readonly rows: Set<number>;
  readonly actions: Set<string>;
  readonly states: Set<number>;
  readonly verdicts: {
    readonly at: number;
    readonly reason: string;
    readonly primary: number | null;
    readonly version: number;
  }[];
  /** Since when each node was seen to refuse connections, or to be silent, at every whole look. */
  readonly firstClosed: Map<number, number>;
  /** "pgpool0 1": when a person detached it there, and the version of the world then. */
  readonly detached: Map<string, { readonly at: number; readonly version: number }>;
  /** Nodes whose own commits a person has let go. */
  readonly letGo: Set<number>;
  /** Nodes of which a report of an incident says why they do not follow. */
  readonly left: Map<number, string>;
  refusedSince: number | null;
  readonly watch: Watch;
  /** Differences that the watch has told since the schedule's end. */
  readonly level: {
    isCalm: boolean;
    /** A person has said that nothing is to be done, and no incident has opened since. */
    isLeft: boolean;
    /** When the last incident ended well. */
    completedAt: number;
    readonly told: Map<string, { readonly since: string; readonly at: number; readonly version: number }>;
  };
  /** Signal with start; filled in by the run. */
  signal: Signal;
  counts: { events: number; faults: number };
  incident: OpenIncident | null;
}

export function newSimulation(world: World, subject: Subject, timing: IncidentTiming, isTold: boolean): Simulation {
  return {
    ...{
      clock: newClock(),
      world,
      subject,
      timing,
      troubles: [],
      parked: new Map(),
      changedAt: new Map(),
      watch: newWatch(),
    },
    ...{ violations: [], story: [], isTold, rows: new Set(), actions: new Set(), states: new Set(), verdicts: [] },
    ...{ firstClosed: new Map(), detached: new Map(), letGo: new Set(), left: new Map(), refusedSince: null },
    ...{
      level: { isCalm: false, isLeft: false, completedAt: 0, told: new Map() },
      counts: { events: 0, faults: 0 },
      incident: null,
      signal: () => undefined,
    },
  };
}

/** The world up to now. */
export function worldNow(sim: Simulation): World {
  advance(sim.world, sim.clock.now);
  return sim.world;
}

export function tellStory(sim: Simulation, line: string): void {
  if (sim.isTold) sim.story.push(`${((sim.clock.now - startedAt) / 1000).toFixed(2).padStart(8)} s  ${line}`);
}

export function violate(sim: Simulation, rule: string, line: string): void {
  sim.violations.push({ rule, at: sim.clock.now, line });
  tellStory(sim, `VIOLATION of ${rule}: ${line}`);
}
