// npm run simulate -- --runs N --seed S [--invariant NAME] [--all]: searches, and prints the first violation, shrunk, as a story.

import { parseArgs } from 'node:util';
import { play } from './run';
import { type Found, medianOf, search, type Searched } from './search';
import { shrink } from './shrink';
import { product } from './simulation';

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '1000' },
    seed: { type: 'string', default: '1' },
    invariant: { type: 'string' },
    /** Goes on after a violation and counts them by rule. */
    all: { type: 'boolean', default: false },
  },
});

async function main(): Promise<void> {
  const startedAt = Date.now();
  const [runs, seed] = [Number(values.runs), Number(values.seed)];
  const most = values.all ? Infinity : 1;
  const searched = await search({ runs, seed, rule: values.invariant, most });
  print(searched, Date.now() - startedAt);
  const [first] = searched.found;
  if (values.all) printByRule(searched.found);
  if (!first) return;
  await printStory(first);
  process.exitCode = 1;
}

function print({ runs, knownRuns, states, rows, actions, reasons, events, faults }: Searched, ms: number): void {
  const listed = [...reasons].sort((left, right) => right[1] - left[1]).map(([reason, count]) => `${reason} ${count}`);
  const lines = [
    `${runs} runs in ${(ms / 1000).toFixed(1)} s; ${states.size} distinct states`,
    `${knownRuns} runs met a known violation (test/simulation/known.ts)`,
    `rows of the page: ${[...rows].sort((left, right) => left - right).join(', ')}`,
    `verbs: ${[...actions].sort().join(', ')}`,
    `verdicts: ${listed.join(', ')}`,
    `at the median ${medianOf(events)} events and ${medianOf(faults)} faults in a run`,
  ];
  console.log(lines.join('\n'));
}

function printByRule(found: readonly Found[]): void {
  const byRule = new Map<string, Found[]>();
  for (const one of found) byRule.set(one.violation.rule, [...(byRule.get(one.violation.rule) ?? []), one]);
  for (const [rule, list] of byRule) {
    const seeds = list.slice(0, 8).map(({ seed }) => seed);
    console.log(
      `${rule}: ${list.length} runs, first seeds ${seeds.join(', ')}: ${list[0]!.violation.line.slice(0, 300)}`,
    );
  }
}

async function printStory({ seed, plot, violation }: Found): Promise<void> {
  const shrunk = await shrink(plot, violation.rule, product);
  const { story } = await play(shrunk, product, true);
  console.log(
    `\n${violation.rule} is broken; seed ${seed}, ${shrunk.schedule.length} of ${plot.schedule.length} entries left:\n`,
  );
  console.log(story.join('\n'));
}

void main();
