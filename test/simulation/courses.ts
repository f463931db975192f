// Courses of events that chance seldom brings about: each is drawn with the entries' other numbers, apart from what it fixes itself.

import type { DeedName } from './deeds';
import type { Random } from './random';
import type { Entry } from './schedule';

type Step = { readonly what: DeedName } & Partial<Pick<Entry, 'who' | 'other' | 'ms' | 'isWide'>>;

const cutWorkerOff: Step = { what: 'cut', who: 'primary', other: 0, isWide: false };
const toPrimary: Step = { what: 'falseFailover', other: 0, isWide: true };
const crash: Step = { what: 'crash', who: 'primary' };
/** The acts of a promotion have the numbers 0 to 3 (deeds/troubles.ts). */
const refusePromotion: Step = { what: 'trouble', other: 0, ms: 5000, isWide: true };
const killPromotion: Step = { what: 'trouble', other: 0, ms: 500, isWide: true };

export const courses: readonly (readonly Step[])[] = [
  // Nobody is a primary any more.
  [{ what: 'demote', isWide: false }, toPrimary],
  [{ what: 'demote', isWide: false }, { what: 'loseRecord' }, toPrimary],
  [{ what: 'demote', isWide: true }, toPrimary],
  [{ what: 'demote', isWide: false }, { what: 'maintain' }, { what: 'connect' }, toPrimary],
  [{ what: 'hang', who: 'primary' }, { what: 'pause' }, { what: 'start' }, { what: 'loseRecord' }, { what: 'resume' }],
  [{ what: 'demote', isWide: false }, { what: 'unfit', who: 'standby' }, { what: 'unfit', who: 1 }, toPrimary],
  // The worker alone does not hear that the primary has become a standby.
  [cutWorkerOff, { what: 'demote', isWide: false }, toPrimary],
  // Nobody can be told to promote; somebody may have been.
  [refusePromotion, crash],
  [refusePromotion, refusePromotion, crash, { what: 'start' }],
  [killPromotion, crash, { what: 'hang', who: 'standby' }],
  [killPromotion, { what: 'holdUp', ms: 60_000 }, crash],
  // Several nodes run without standby.signal, and none answers.
  [
    { what: 'promoteByHand', who: 1 },
    { what: 'promoteByHand', who: 2 },
    { what: 'hang', who: 1 },
    { what: 'hang', who: 2 },
    crash,
  ],
  // A node does not come up, and a person wants it copied.
  [
    { what: 'spoil', who: 1 },
    { what: 'stop', who: 1 },
    { what: 'rejoin', who: 1, other: 0 },
    { what: 'answer' },
    { what: 'answer' },
  ],
  [
    { what: 'spoil', who: 1 },
    { what: 'crash', who: 1 },
    { what: 'rejoin', who: 1, other: 0 },
    { what: 'answer', other: 2 },
  ],
  // By ssh a part of a stopped node cannot be read.
  [
    { what: 'stop', who: 1 },
    { what: 'hide', who: 1, other: 1 },
    { what: 'rejoin', who: 1, other: 0 },
  ],
  [
    { what: 'stop', who: 1 },
    { what: 'hide', who: 1, other: 0 },
    { what: 'rejoin', who: 1, other: 0 },
  ],
  [
    { what: 'hide', who: 0, other: 2 },
    { what: 'crash', who: 0 },
    { what: 'rejoin', who: 0, other: 0 },
  ],
  [
    { what: 'wipe', who: 1 },
    { what: 'stop', who: 1 },
    { what: 'wipe', who: 1 },
    { what: 'hide', who: 1, other: 0 },
    { what: 'rejoin', who: 1, other: 0 },
  ],
  // Standbys in a circle; a standby of another cluster, which a person promotes.
  [
    { what: 'lead', who: 1, other: 1, isWide: true },
    { what: 'lead', who: 2, other: 1, isWide: true },
  ],
  [{ what: 'adopt', who: 1 }, { what: 'rejoin', who: 1, other: 0 }, crash],
  [{ what: 'adopt', who: 1 }, { what: 'promoteByHand', who: 1 }, crash, { what: 'falseFailover', other: 2 }],
  // The watch knows nothing new for some minutes.
  [
    { what: 'restartWorker', ms: 60_000, isWide: true },
    { what: 'vanish', who: 'primary' },
  ],
];

/** @param draw one entry at this time */
export function drawFixedCourse(random: Random, draw: (at: number, what: DeedName) => Entry): Entry[] {
  let at = 1500;
  return random.pick(courses).map((step) => {
    const entry = { ...draw(at, step.what), ...step };
    at += 500 + random.below(4000);
    return entry;
  });
}
