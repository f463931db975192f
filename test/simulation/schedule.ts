// A schedule: what befalls the cluster and when, drawn from a seed, as a list from which entries can be dropped.

import type { ClusterConfiguration } from '../../domain/facts/cluster';
import { makeConfiguration } from '../domain/builders';
import { quirks } from './acts/quirks';
import { drawFixedCourse } from './courses';
import { type DeedName, weights } from './deeds';
import { newRandom, type Random } from './random';

/** `who`: a node by number, or by its part at that moment. */
export type Who = number | 'primary' | 'standby';

export interface Entry {
  /** Milliseconds since the run's begin. */
  readonly at: number;
  readonly what: DeedName;
  readonly who: Who;
  /** Whatever else the deed needs: another node or host, a pgpool, a choice, a verb. */
  readonly other: number;
  readonly ms: number;
  readonly isWide: boolean;
}

export interface Topology {
  readonly configuration: ClusterConfiguration;
  readonly hasRecord: boolean;
  /** The record is of a time when a node had another address. */
  readonly isRecordOld?: boolean;
  readonly isSynchronous: boolean;
  readonly isCascade: boolean;
  /** Obstacle to a copy on this node: a number of the table of quirks. */
  readonly odd: { readonly node: number; readonly quirk: number } | null;
}

export interface Plot {
  /** Ends with the last entry: only what acts do is judged. */
  readonly isShort?: boolean;
  /** Goes on for so long after the last entry that what differs still is told again. */
  readonly isPatient?: boolean;
  readonly topology: Topology;
  readonly schedule: readonly Entry[];
}

export function drawPlot(seed: number): Plot {
  const random = newRandom(seed);
  const topology = drawTopology(random);
  if (random.chance(12)) return drawCopy(random, topology);
  if (random.chance(13)) return { topology, schedule: drawFixedAndMore(random) };
  return { topology, schedule: drawSchedule(random), isPatient: random.chance(10) };
}

/** A course of events, and what befalls the cluster after it: at times only the next morning. */
function drawFixedAndMore(random: Random): Entry[] {
  const first = drawFixedCourse(random, (at, what) => drawEntry(random, at, what));
  const nightMs = random.chance(10) ? 900_000 : 2000 + random.below(20_000);
  const begin = first.at(-1)!.at + nightMs;
  return [...first, ...drawSchedule(random, { begin, count: 13 + random.below(8) })];
}

/** A node that must be copied, on a site where something is in the way: seldom reached by chance. */
const copies: readonly (readonly DeedName[])[] = [
  ['promoteByHand', 'stop', 'rejoin', 'answer', 'quirk', 'answer'],
  ['promoteByHand', 'crash', 'rejoin', 'rejoin', 'answer'],
  ['crash', 'rejoin', 'answer', 'rejoin', 'answer'],
  ['hang', 'detach', 'rejoin', 'answer', 'detach'],
  ['stop', 'recycle', 'wipe', 'rejoin', 'rejoin'],
];

function drawCopy(random: Random, topology: Topology): Plot {
  const { configuration } = topology;
  const odd = { node: random.below(configuration.nodes.length), quirk: random.below(quirks.length) };
  const policy = {
    ...configuration.policy,
    follow: ['repoint', 'rebuild'] as const,
    divergedWrites: 'discard' as const,
  };
  const copied: readonly DeedName[] = ['stop', 'crash', 'hang', 'promoteByHand', 'rejoin', 'quirk', 'wipe'];
  const schedule = drawCourse(random, random.pick(copies)).map((entry) =>
    copied.includes(entry.what) && random.chance(75) ? { ...entry, who: odd.node, other: entry.other % 23 } : entry,
  );
  return { topology: { ...topology, odd, configuration: { ...configuration, policy } }, schedule };
}

const mostNodes = 4;

export function drawTopology(random: Random): Topology {
  const count = random.pick([2, 3, 3, 3, 3, mostNodes]);
  const standbys = random.pick([0, 0, 1, 1]);
  const policy = {
    maximumLagBytes: random.pick([16_777_216, 16_777_216, 4096]),
    unreachableHost: random.pick(['proceed', 'proceed', 'proceed', 'proceed', 'park'] as const),
    crashRecoveryMs: random.pick([3000, 3000, 10_000]),
    follow: random.pick([
      ...([
        ['repoint', 'rebuild'],
        ['repoint', 'rebuild'],
        ['repoint', 'rebuild'],
        ['repoint', 'rebuild'],
      ] as const),
      ...([['repoint'], ['repoint'], ['rebuild'], []] as const),
    ]),
    replacedData: random.pick(['keep', 'keep', 'removeFirst'] as const),
    divergedWrites: random.pick(['park', 'park', 'discard'] as const),
    rejoin: random.pick(['automatic', 'automatic', 'automatic', 'manual'] as const),
    synchronous: { standbys, whenNone: random.pick(['degrade', 'degrade', 'wait'] as const) },
    minimumIntervalMs: random.pick([60_000, 0]),
    reattachMs: random.pick([60_000, 60_000, 0]),
  };
  const weak = random.chance(20) ? { [random.below(count)]: { priority: 0 } } : {};
  const base = makeConfiguration({ policy, nodes: weak }, count);
  const pgpool = Array.from({ length: random.pick([1, 1, 2]) }, (_, index) => ({
    ...base.pgpool[0]!,
    name: `pgpool${index}`,
    host: random.chance(40) ? base.nodes[random.below(count)]!.host : `10.0.1.${index}`,
  }));
  const isSynchronous = standbys > 0 || random.chance(10);
  return {
    configuration: { ...base, pgpool },
    hasRecord: random.chance(80),
    isRecordOld: random.chance(5),
    isSynchronous,
    isCascade: count > 2 && random.chance(15),
    odd: random.chance(30) ? { node: random.below(count), quirk: random.below(quirks.length) } : null,
  };
}

interface DrawOptions {
  readonly deeds?: readonly DeedName[];
  readonly count?: number;
  readonly begin?: number;
}

/** @param deeds drawn in two of three entries; none = all alike */
export function drawSchedule(
  random: Random,
  { deeds = [], count = 15 + random.below(12), begin = 500 }: DrawOptions = {},
): Entry[] {
  let at = begin + random.below(2000);
  return Array.from({ length: count }, () => {
    at += random.chance(60) ? random.below(3000) : 2000 + random.below(12_000);
    return drawEntry(random, at, random.pick(deeds.length > 0 && random.chance(67) ? deeds : weights));
  });
}

/** These deeds in this order. */
export function drawCourse(random: Random, deeds: readonly DeedName[]): Entry[] {
  let at = 500;
  return deeds.map((what) => {
    at += 100 + random.below(6000);
    return drawEntry(random, at, what);
  });
}

export function drawEntry(random: Random, at: number, what: DeedName): Entry {
  const part = random.below(100);
  const who = part < 45 ? 'primary' : part < 70 ? 'standby' : random.below(mostNodes);
  const ms = random.pick([50, 500, 2000, 5000, 20_000, 60_000]);
  return { at, what, who, other: random.below(24), ms, isWide: random.chance(40) };
}

export function describeTopology(topology: Topology): string {
  const { configuration, hasRecord, isRecordOld, isSynchronous, isCascade, odd } = topology;
  const { nodes, pgpool, policy } = configuration;
  const hosts = pgpool.map(({ name, host }) => {
    const on = nodes.find((node) => node.host === host);
    return `${name} ${on ? `on node ${on.id}'s host` : 'on a host of its own'}`;
  });
  const weak = nodes.filter(({ priority }) => priority === 0).map(({ id }) => `node ${id} has priority 0`);
  const { synchronous, rejoin, unreachableHost, follow, divergedWrites, replacedData, reattachMs } = policy;
  return [
    `${nodes.length} nodes, node 0 is the primary${isCascade ? ', node 2 follows node 1' : ''}`,
    ...hosts,
    ...weak,
    `synchronous ${synchronous.standbys} ${synchronous.whenNone}${isSynchronous ? ', a set is in force' : ''}`,
    `rejoin ${rejoin}, unreachableHost ${unreachableHost}, follow ${follow.join('+')}`,
    `divergedWrites ${divergedWrites}, replacedData ${replacedData}, reattachMs ${reattachMs}`,
    `maximumLagBytes ${policy.maximumLagBytes}, crashRecoveryMs ${policy.crashRecoveryMs}, minimumIntervalMs ${policy.minimumIntervalMs}`,
    ...(odd ? [`node ${odd.node}: ${quirks[odd.quirk]!.what}`] : []),
    hasRecord ? `with a record${isRecordOld ? ' of other addresses' : ''}` : 'without a record',
  ].join('; ');
}
