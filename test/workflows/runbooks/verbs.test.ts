// The table of verbs and the runbooks' lists: what people read of each, and that docs/runbooks.md tells the same story.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createActivities } from '../../../activities/index';
import type { WorkerTools } from '../../../activities/io/tools';
import { beside, removeFirst } from '../../../workflows/runbooks/rebuild';
import { summaryOf, verbs } from '../../../workflows/runbooks/verbs';

const page = readFileSync(join(__dirname, '..', '..', '..', 'docs', 'runbooks.md'), 'utf8');

/** Verbs in bold in the numbered steps of one chapter, in their order, each once. */
function verbsOf(chapter: string): string[] {
  const text = page.split(`\n## ${chapter}\n`)[1]!.split('\n## ')[0]!;
  const steps = text.slice(text.indexOf('\n1. '));
  const bold = [...steps.matchAll(/\*\*([A-Za-z]+)\*\*/g)].map((match) => match[1]!);
  return [...new Set(bold.filter((word) => word in verbs))];
}

const once = (list: readonly string[]): string[] => [...new Set(list)];

test('a rebuild does what docs/runbooks.md says, in that order', () => {
  const [first, ...steps] = verbsOf('Rebuild');
  expect(first).toBe('inspectData');
  // The follow does these once the node streams; removeData is told of where the other order is.
  const others = ['attach', 'clearReplacedData', 'releaseSlots', 'removeData'];
  expect(steps.filter((verb) => !others.includes(verb))).toEqual(once(beside));
});

test('with removeFirst the same verbs run, the old data goes before the copy, and never before it is stopped and saved', () => {
  expect([...removeFirst].sort()).toEqual([...beside, 'removeData'].sort());
  const at = (verb: string): number => removeFirst.lastIndexOf(verb as never);
  expect(at('removeData')).toBeLessThan(at('baseBackup'));
  for (const before of ['saveConfiguration', 'saveDivergedWal', 'saveUnarchivedWal', 'stop'])
    expect(at(before)).toBeLessThan(at('removeData'));
});

test('beside the old data nothing is stopped before the copy is verified, and nothing moved before it is stopped', () => {
  const at = (verb: string): number => beside.indexOf(verb as never);
  expect(at('verifyBackup')).toBeLessThan(at('stop'));
  expect(at('stop')).toBeLessThan(at('setDataAside'));
  expect(beside.lastIndexOf('saveDivergedWal')).toBeGreaterThan(at('stop'));
});

test('every activity has its row, and every row is an activity', () => {
  const activities = createActivities({} as WorkerTools, () => Promise.reject(new Error('not run')));
  expect(Object.keys(verbs).sort()).toEqual(Object.keys(activities).sort());
});

test('a summary names the act, the node and the reason, and is cut where Temporal would', () => {
  const attach = { configuration: {} as never, pgpool: 'pgpool0', node: 2, primary: 1 };
  expect(summaryOf('attach', attach)).toBe('attach node 2 to pgpool0: the node streams and may be used');
  expect(summaryOf('attach', attach, 'x'.repeat(300))).toHaveLength(200);
});
