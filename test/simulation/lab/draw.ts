// Plots that a lab can play as well: deeds that it has, and gaps in which both come to rest, so that no race decides.

import type { PolicyConfiguration } from '../../../domain/facts/cluster';
import { makeConfiguration } from '../../domain/builders';
import type { DeedName } from '../deeds';
import { newRandom, type Random } from '../random';
import type { Entry, Topology, Who } from '../schedule';

export interface LabPlot {
  readonly topology: Topology;
  readonly policy: Partial<PolicyConfiguration>;
  /** Deeds in order; those that do not apply are passed over. */
  readonly schedule: readonly Entry[];
  /** Deeds that are done. */
  readonly count: number;
}

/** The first deed of a plot is felt. */
const faults: readonly DeedName[] = [
  ...(['crash', 'crash', 'crash', 'stop', 'hang', 'hang', 'vanish', 'vanish', 'detach'] as const),
  ...(['promoteView', 'promoteByHand', 'restart', 'falseFailover', 'setNames', 'delay', 'pauseReplay'] as const),
];
const remedies: readonly DeedName[] = [
  ...(['start', 'start', 'start', 'thaw', 'thaw', 'heal', 'heal', 'rejoin', 'rejoin', 'answer', 'answer'] as const),
  ...(['pgpoolDies', 'pgpoolReturns', 'pause', 'resume', 'maintain', 'release', 'falseFollow', 'falseReturn'] as const),
  'wipe',
];

/** Bytes of a last write that nobody else gets, where a deed has one; in the model more than 2000 ms means none. */
const tails = [5000, 5000, 5000, 2000] as const;

export function drawLabPlot(seed: number): LabPlot {
  const random = newRandom(seed);
  const policy = drawPolicy(random);
  const configuration = makeConfiguration({ policy }, random.pick([2, 3, 3, 3, 3]));
  const standbys = policy.synchronous?.standbys ?? 0;
  const topology = { configuration, hasRecord: true, isSynchronous: standbys > 0, isCascade: false, odd: null };
  const schedule = Array.from({ length: 40 }, (_, index) =>
    drawEntry(random, index < 3 ? faults : [...faults, ...remedies]),
  );
  return { topology, policy, schedule, count: random.pick([2, 2, 3, 3, 4]) };
}

function drawEntry(random: Random, deeds: readonly DeedName[]): Entry {
  const part = random.below(100);
  const who: Who = part < 60 ? 'primary' : part < 90 ? 'standby' : random.below(3);
  const entry = {
    at: 0,
    what: random.pick(deeds),
    who,
    other: random.below(24),
    ms: random.pick(tails),
    isWide: false,
  };
  // Whether pgpool gives up a primary before it is up again is a race.
  return entry.what === 'restart' ? { ...entry, who: 'standby', ms: 5000 } : { ...entry, who };
}

function drawPolicy(random: Random): Partial<PolicyConfiguration> {
  return {
    follow: random.pick([['repoint', 'rebuild'], ['repoint', 'rebuild'], ['repoint']] as const),
    rejoin: random.pick(['automatic', 'automatic', 'manual'] as const),
    divergedWrites: random.pick(['park', 'park', 'discard'] as const),
    replacedData: random.pick(['keep', 'removeFirst'] as const),
    synchronous: { standbys: random.pick([0, 0, 0, 1]), whenNone: random.pick(['degrade', 'wait'] as const) },
    // In a plot a second failover follows the first within a minute.
    minimumIntervalMs: 1,
    reattachMs: 2000,
  };
}
