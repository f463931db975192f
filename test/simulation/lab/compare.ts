// One schedule after the other on the model and on a lab of its own, with a line for each, and both stories where the ends differ.

import { drawLabPlot } from './draw';
import { describeEnd } from './end';
import { type Compared, playOnLab } from './on-lab';
import { playOnModel, type Played } from './on-model';

export interface Comparison extends Compared {
  readonly seed: number;
  readonly played: Played;
}

/** One at a time in this process. */
export const labName = `simulation-${process.pid}`;

export async function compare(seed: number): Promise<Comparison> {
  const plot = drawLabPlot(seed);
  const played = await playOnModel(plot);
  const compared = await playOnLab(labName, plot, played);
  return { seed, played, ...compared };
}

/** @returns the number of schedules whose ends differ */
export async function compareMany(seed: number, count: number): Promise<number> {
  const differing: number[] = [];
  for (let own = seed; own < seed + count; own += 1) {
    const startedAt = Date.now();
    const comparison = await compare(own);
    console.log(describe(comparison, Date.now() - startedAt));
    if (!comparison.differs) continue;
    differing.push(own);
    console.log(besideEachOther(comparison));
  }
  const which = differing.length > 0 ? `: seeds ${differing.join(', ')}` : '';
  console.log(
    `${count} schedules on model and lab, ${count - differing.length} agree, ${differing.length} differ${which}`,
  );
  return differing.length;
}

/** One line: the deeds, and how they end. */
function describe({ seed, played: { steps }, differs }: Comparison, ms: number): string {
  const deeds = steps.map(({ deed }) => deed.told).join(', then ');
  const last = steps.at(-1);
  const end = differs ? `differ after step ${differs.step + 1}` : `agree: ${last ? describeEnd(last.end) : 'no deed'}`;
  return `seed ${seed} (${(ms / 1000).toFixed(0)} s): ${deeds} => ${end}`;
}

export function besideEachOther({ differs, played, story }: Comparison): string {
  const ends = differs
    ? [`model: ${describeEnd(differs.model)}`, `lab:   ${differs.lab ? describeEnd(differs.lab) : 'no answer'}`]
    : [];
  return [...ends, '--- the model', ...played.story, '--- the lab', ...story].join('\n');
}
