// docs/benchmarks.md shows what docs/benchmarks.json holds, and the benchmark still measures it.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Result, writeInto } from '../../bench/document';
import { plans } from '../../bench/rows';

const docs = join(__dirname, '..', '..', 'docs');
const document = readFileSync(join(docs, 'benchmarks.md'), 'utf8');
const result = JSON.parse(readFileSync(join(docs, 'benchmarks.json'), 'utf8')) as Result;

test('the document is the one that these figures give', () => {
  expect(writeInto(document, result)).toBe(document);
});

test('every row that there is was measured, in its order', () => {
  expect(result.rows.map(({ name }) => name)).toEqual(plans.map(({ name }) => name));
});

test('every row that is compared has five rounds or more on both sides, unless its plan wants fewer', () => {
  const tooFew = result.rows.filter(({ name, ours, other }) => {
    const wanted = plans.find((plan) => plan.name === name)?.rounds ?? 5;
    return ours.rounds < wanted || (other !== null && other.rounds < wanted);
  });
  expect(tooFew.map(({ name }) => name)).toEqual([]);
});

test('where the time of a failover goes was measured with both kinds of Temporal', () => {
  expect(result.profiles).toHaveLength(2);
});
