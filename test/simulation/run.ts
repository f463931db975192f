// One run: a topology, a schedule, and the product on them, until it is calm for some minutes. The same plot gives the same run.

import { defaultTiming } from '../../domain/plans/incident-state';
import { recordedNodes } from '../../domain/facts/record';
import { quirks } from './acts/quirks';
import { after, at, runClock, startedAt } from './clock';
import { doDeed } from './deeds';
import { signal } from './incident';
import { checkEnd } from './invariants/end';
import { checkOverview } from './invariants/overview';
import { tick } from './model/pgpool';
import { canReach, newWorld, type ModelPgpool, systemIdentifier, type World, workerHost } from './model/world';
import { startWatch } from './watch';
import { describeTopology, type Plot, type Topology } from './schedule';
import {
  newSimulation,
  product,
  type Simulation,
  type Subject,
  tellStory,
  type Violation,
  worldNow,
} from './simulation';
import type { ClusterEvent } from '../../domain/facts/event';

export interface Outcome {
  readonly violations: readonly Violation[];
  readonly story: readonly string[];
  readonly rows: ReadonlySet<number>;
  readonly actions: ReadonlySet<string>;
  readonly states: ReadonlySet<number>;
  readonly reasons: readonly string[];
  readonly events: number;
  readonly faults: number;
}

const calmMs = 240_000;
const quietMs = 8000;
/** A difference that still stands is told again after a minute. */
const patientMs = 100_000;
/** Refused, and looked at again and again. */
const idleMs = 25_000;

export async function play(plot: Plot, subject: Subject = product, isTold = false): Promise<Outcome> {
  const { topology, schedule, isShort = false, isPatient = false } = plot;
  const sim = begin(topology, subject, isTold);
  for (const entry of schedule)
    at(sim.clock, startedAt + entry.at, () => {
      worldNow(sim);
      const told = doDeed(sim, entry);
      if (told !== null) tellStory(sim, `* ${told}`);
    });
  const calmAt = startedAt + (schedule.at(-1)?.at ?? 0) + 5000;
  at(sim.clock, calmAt, () => {
    sim.level.isCalm = true;
    tellStory(sim, '* faults have stopped');
  });
  const isOver = endOf(sim, calmAt, isPatient ? patientMs : quietMs);
  await runClock(sim.clock, isShort ? calmAt : calmAt + calmMs, isOver);
  if (sim.violations.length === 0 && !isShort) checkEnd(sim);
  checkOverview(sim);
  const { violations, story, rows, actions, states, verdicts, counts } = sim;
  return { violations, story, rows, actions, states, reasons: verdicts.map(({ reason }) => reason), ...counts };
}

/** A world in which everything is well, its pgpools and its watch. */
export function begin(topology: Topology, subject: Subject, isTold: boolean): Simulation {
  const sim = newSimulation(openWorld(topology), subject, defaultTiming, isTold);
  sim.signal = (event) => {
    signal(sim, event);
  };
  connect(sim);
  startWatch(sim);
  tellStory(sim, describeTopology(topology));
  return sim;
}

/** Something is broken; or nothing is open; or nothing is at work but looks that change nothing. */
function endOf(sim: Simulation, calmAt: number, quiet: number): () => boolean {
  let [quietSince, idleSince] = [Infinity, Infinity];
  return () => {
    const { clock, incident, violations } = sim;
    if (violations.length > 0) return true;
    const isIdle = incident?.state.nodes.every(({ follow }) => follow === 'none') && incident.state.open.length === 0;
    if (clock.now < calmAt || incident || !hasToldAll(sim)) quietSince = Infinity;
    else quietSince = Math.min(quietSince, clock.now);
    if (clock.now < calmAt || !isIdle) idleSince = Infinity;
    else idleSince = Math.min(idleSince, clock.now);
    return clock.now - quietSince > quiet || clock.now - idleSince > idleMs;
  };
}

/** Whatever differs still was told, and nothing has come of it. */
function hasToldAll({ watch: { state, absentUntil }, clock }: Simulation): boolean {
  if (!state || clock.now <= absentUntil + 2000) return false;
  const isTold = (key: string, since: string): boolean =>
    key.startsWith('lost.') || state.told.some((entry) => entry.key === key && entry.since === since);
  return state.standing.every(({ key, since }) => isTold(key, since));
}

function openWorld({ configuration, hasRecord, isRecordOld, isSynchronous, isCascade, odd }: Topology): World {
  const world = newWorld(configuration, startedAt);
  if (odd) world.nodes[odd.node]!.quirk = quirks[odd.quirk]!.facts;
  if (isCascade) world.nodes[2]!.upstream = 1;
  const names = world.nodes.slice(1).map(({ id }) => `"node${id}"`);
  if (isSynchronous) for (const node of world.nodes) node.syncNames = `ANY 1 (${names.join(', ')})`;
  if (hasRecord) {
    const at = new Date(startedAt - 3_600_000).toISOString();
    const [first, ...others] = recordedNodes(configuration);
    const nodes = isRecordOld ? [{ ...first!, host: '10.9.9.9' }, ...others] : [first!, ...others];
    const where = { nodes, at, since: at, by: 'bootstrap' };
    world.record = {
      systemIdentifier,
      primary: 0,
      timeline: 1,
      openedBy: 'others',
      former: null,
      away: [],
      voids: null,
      ...where,
    };
  }
  return world;
}

/** pgpools check every second, and their hooks reach the incident. */
function connect(sim: Simulation): void {
  const { world, clock } = sim;
  let count = 0;
  world.later = (ms, body) => {
    after(clock, ms, () => {
      worldNow(sim);
      body();
    });
  };
  world.hook = (pgpool, event) => {
    count += 1;
    const told: ClusterEvent = { ...event, eventId: `${pgpool.name}-${count}`, at: new Date(clock.now).toISOString() };
    deliver(sim, pgpool, told);
  };
  const tickAll = (): void => {
    for (const pgpool of world.pgpools) tick(worldNow(sim), pgpool);
    after(clock, 1000, tickAll);
  };
  after(clock, 700, tickAll);
}

function deliver(sim: Simulation, pgpool: ModelPgpool, event: ClusterEvent): void {
  const trouble = sim.world.hookTroubles.shift();
  const words = `${event.kind} (node ${String(event.node)}, main ${String(event.mainNode)}, old primary ${String(event.oldPrimary)})`;
  tellStory(sim, `* ${pgpool.name} calls ${words}${trouble ? `, which is ${trouble.kind}` : ''}`);
  if (trouble?.kind === 'lost') return;
  const send = (): void => {
    // Spooled until somebody takes it.
    if (canReach(worldNow(sim), pgpool.host, workerHost)) signal(sim, event);
    else after(sim.clock, 2000, send);
  };
  after(sim.clock, trouble?.kind === 'late' ? trouble.ms : 50, send);
  if (trouble?.kind === 'twice') after(sim.clock, trouble.ms + 60, send);
}
