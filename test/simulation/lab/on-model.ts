// A plot on the model: deed by deed, each when the world has come to rest.

import type { ClusterEvent } from '../../../domain/facts/event';
import { close, judge, next } from '../../../domain/plans/incident';
import type { IncidentState } from '../../../domain/plans/incident-state';
import { runClock } from '../clock';
import { type DeedName, doDeed } from '../deeds';
import { primaryOf, whoOf } from '../deeds/deed';
import { answerOf } from '../look';
import { type ModelNode, workerHost, type World } from '../model/world';
import { begin } from '../run';
import type { Entry } from '../schedule';
import { product, type Simulation, type Subject, tellStory, worldNow } from '../simulation';
import type { LabPlot } from './draw';
import { type End, isAsked, primaryText, verdictOf } from './end';

/** A deed as the lab must do it. */
export interface Deed {
  readonly entry: Entry;
  readonly told: string;
  readonly node: number;
  /** Followers that get nothing of the last write; null = there is none. */
  readonly left: readonly number[] | null;
  /** Of a setting. */
  readonly value: string;
  /** An event that is false. */
  readonly event: ClusterEvent | null;
  readonly answer: { readonly stepId: string; readonly choice: string } | null;
}

export interface Step {
  readonly deed: Deed;
  /** Once the world has come to rest. */
  readonly end: End;
}

export interface Played {
  /** Before the first deed. */
  readonly begin: End;
  readonly steps: readonly Step[];
  readonly story: readonly string[];
  readonly violations: readonly string[];
}

/** Longer than whatever the product or pgpool waits for. */
const restMs = 100_000;

export async function playOnModel({ topology, schedule, count }: LabPlot): Promise<Played> {
  const incidents: IncidentState[] = [];
  const sim = begin(topology, watching(incidents), true);
  const steps: Step[] = [];
  await runClock(sim.clock, sim.clock.now + restMs, () => false);
  const first = endOf(sim, incidents);
  for (const entry of schedule) {
    if (steps.length >= count) break;
    incidents.splice(0, incidents.length - (sim.incident ? 1 : 0));
    const deed = perform(sim, entry);
    if (!deed) continue;
    tellStory(sim, `* ${deed.told}`);
    await runClock(sim.clock, sim.clock.now + restMs, () => false);
    steps.push({ deed, end: endOf(sim, incidents) });
  }
  const violations = sim.violations.map(({ rule, line }) => `${rule}: ${line}`);
  return { begin: first, steps, story: sim.story, violations };
}

/** The product, whose incidents are kept with their last state. */
function watching(incidents: IncidentState[]): Subject {
  return {
    ...product,
    next: (before, message, timing) => {
      const step = next(before, message, timing);
      const isKnown = incidents.length > 0 && incidents.at(-1) === before;
      if (isKnown) incidents[incidents.length - 1] = step.state;
      else incidents.push(step.state);
      return step;
    },
  };
}

function perform(sim: Simulation, entry: Entry): Deed | null {
  const world = worldNow(sim);
  const events: ClusterEvent[] = [];
  const [parked] = sim.parked.values();
  const target = targetOf(sim, entry);
  const followers = world.nodes.filter(
    ({ receiver }) => receiver?.from === target.id && receiver.isStreaming && receiver.lastAt === world.now,
  );
  const hasTail = target.isWritable && entry.ms <= 2000 && ['crash', 'hang', 'vanish'].includes(entry.what);
  const left = followers.filter((_, index) => ((entry.other >> index) & 1) === 1).map(({ id }) => id);
  const { signal } = sim;
  sim.signal = (event) => {
    events.push(event);
    signal(event);
  };
  const told = canDo(world, entry, target) ? doDeed(sim, entry) : null;
  sim.signal = signal;
  if (told === null) return null;
  const isFalse = entry.what.startsWith('false');
  const choices = parked?.question.choices ?? [];
  const answer =
    entry.what === 'answer' && parked
      ? { stepId: parked.question.stepId, choice: choices[entry.other % choices.length]! }
      : null;
  const value = entry.what === 'setNames' ? target.syncNames : String(target.delayMs);
  const event = isFalse ? events[0]! : null;
  return { entry, told, node: target.id, left: hasTail ? left : null, value, event, answer };
}

const bySql: readonly DeedName[] = ['pauseReplay', 'delay', 'promoteByHand', 'setNames', 'stop', 'restart'];

/** On a real cluster as well; and a pause is ended by `resume` only. */
function canDo(world: World, { what }: Entry, target: ModelNode): boolean {
  if (bySql.includes(what)) return answerOf(world, target, workerHost) === 'answered';
  return what !== 'pause' || !world.maintenance.some(({ node }) => node === null);
}

/** As the deeds choose. */
function targetOf(sim: Simulation, entry: Entry): ModelNode {
  const { nodes, awayHosts, maintenance } = worldNow(sim);
  const special: Partial<Record<DeedName, () => ModelNode | undefined>> = {
    start: () => nodes.find((node) => node.process === 'none' && node.hasData),
    promoteByHand: () => whoOf(sim, entry.who === 'primary' ? { ...entry, who: 'standby' } : entry),
    setNames: () => primaryOf(sim),
    heal: () => nodes.find(({ host }) => host === [...awayHosts][0]),
    release: () => nodes.find(({ id }) => id === maintenance.find(({ node }) => node !== null)?.node),
  };
  return special[entry.what]?.() ?? whoOf(sim, entry);
}

function endOf(sim: Simulation, incidents: readonly IncidentState[]): End {
  const world = worldNow(sim);
  const [pgpool] = world.pgpools;
  const verdicts = incidents.map((state, index) =>
    judge(index === incidents.length - 1 && sim.incident ? state : close(state, sim.clock.now, sim.timing)),
  );
  return {
    nodes: world.nodes.map((node) => nodeText(world, node)),
    pgpool: pgpool?.isRunning
      ? pgpool.status.map((status, id) => (status === 'up' && pgpool.primary === id ? 'primary' : status))
      : null,
    verdict: verdictOf(verdicts),
    parked: [...sim.parked.keys()].filter(isAsked).sort(),
  };
}

function nodeText(world: World, node: ModelNode): string {
  if (node.process === 'none') return 'down';
  if (answerOf(world, node, workerHost) !== 'answered') return 'silent';
  if (node.isWritable) return primaryText(node.branch.timeline, node.syncNames);
  const { receiver } = node;
  return receiver?.lastAt === world.now && receiver.isStreaming ? `follows ${receiver.from}` : 'alone';
}
