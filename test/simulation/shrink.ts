// Delta debugging: entries are dropped from a schedule for as long as the same rule is still broken.

import { play } from './run';
import type { Plot } from './schedule';
import type { Subject } from './simulation';

/** @returns the shortest plot that was found, which breaks the same rule */
export async function shrink(plot: Plot, rule: string, subject: Subject): Promise<Plot> {
  const breaks = async (schedule: Plot['schedule']): Promise<boolean> => {
    const { violations } = await play({ ...plot, schedule }, subject);
    return violations.some((violation) => violation.rule === rule);
  };
  let { schedule } = plot;
  for (let size = Math.ceil(schedule.length / 2); size >= 1;) {
    let hasShrunk = false;
    for (let start = 0; start < schedule.length;) {
      const shorter = [...schedule.slice(0, start), ...schedule.slice(start + size)];
      if (await breaks(shorter)) {
        schedule = shorter;
        hasShrunk = true;
      } else start += size;
    }
    if (size === 1 && !hasShrunk) break;
    size = size === 1 ? 1 : Math.ceil(size / 2);
  }
  return { ...plot, schedule };
}
