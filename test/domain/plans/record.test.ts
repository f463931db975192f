// The record: which conclusion replaces it, when it is void, and what a person may accept.

import { makeConfiguration, makeFacts, onTimeline2, promotedToTimeline2, stopped, systemIdentifier } from '../builders';
import { type ClusterRecord, type Conclusion, parseRecord } from '../../../domain/facts/record';
import { accept, conclude, concludeFacts, explainVoid } from '../../../domain/plans/record';
import { makeRecord } from './record-stories';

const conclusion: Conclusion = makeRecord();
const later = '2026-01-01T00:00:00.000Z';
const earlier = '2025-12-30T00:00:00.000Z';

describe('a conclusion', () => {
  test('is the record where there is none, or one of another system', () => {
    expect(conclude(null, conclusion)).toEqual(makeRecord());
    const other = makeRecord({ systemIdentifier: '1', timeline: 9 });
    expect(conclude(other, conclusion)).toEqual(makeRecord());
  });
  test.each([
    ['of an older timeline', { timeline: 1, primary: 0, at: later }],
    ['of the same timeline, made earlier', { at: earlier, away: [2] }],
  ])('%s changes nothing', (_title, older) => {
    const record = makeRecord();
    expect(conclude(record, { ...conclusion, ...older })).toBe(record);
  });
  test('that found the record void replaces it: a restored cluster is on an older timeline', () => {
    const record = makeRecord();
    const restored = { ...conclusion, timeline: 1, primary: 0, at: later, voids: record.at };
    expect(conclude(record, restored)).toEqual({ ...restored, since: later });
    expect(conclude({ ...record, at: later }, restored)).toMatchObject({ timeline: 2 });
  });
  test('of a newer timeline replaces it', () => {
    const newer = { ...conclusion, primary: 2, timeline: 3, at: later, former: null };
    expect(conclude(makeRecord(), newer)).toEqual({ ...newer, since: later });
  });
  test('about the same primary keeps since when, by whom it was opened, and how its predecessor was fenced', () => {
    const again = { ...conclusion, openedBy: 'others' as const, former: null, away: [], at: later };
    expect(conclude(makeRecord(), again)).toEqual({ ...makeRecord(), away: [], at: later });
  });
});

describe('a record is void', () => {
  const configuration = makeConfiguration();
  const facts = makeFacts({ nodes: { 0: stopped, 1: promotedToTimeline2, 2: onTimeline2 } });
  const why = (more: Partial<ClusterRecord>, of = facts): string | null =>
    explainVoid(configuration, of, makeRecord(more));
  test('never while the facts bear it', () => {
    expect(why({})).toBeNull();
  });
  test('when a node is elsewhere, or is gone from the cluster file', () => {
    const [first] = makeRecord().nodes;
    expect(why({ nodes: [{ ...first!, host: 'db9' }] })).toBe(
      'node 0 was at db9:5432, and the cluster file says something else',
    );
    expect(why({ nodes: [{ ...first!, id: 7 }] })).toContain('node 7 was at');
  });
  test('when a node belongs to another system', () => {
    expect(why({ systemIdentifier: '1' })).toBe(`node 1 belongs to another system (${systemIdentifier})`);
  });
  test('when nobody who is reached knows its timeline: the cluster was restored', () => {
    expect(why({}, makeFacts())).toBe('no node that is reached knows timeline 2');
    expect(why({}, makeFacts({ nodes: { 0: stopped, 1: stopped, 2: stopped } }))).toBeNull();
  });
});

test('a conclusion from facts tells of a record that they show to be void', () => {
  const more = { openedBy: 'others' as const, former: null, by: 'pgpool-shop/run' };
  const configuration = makeConfiguration();
  const of = (facts: Parameters<typeof makeFacts>[0]) => concludeFacts(configuration, makeFacts(facts), 0, more);
  expect(of({ record: makeRecord() })).toMatchObject({ timeline: 1, voids: makeRecord().at });
  expect(of({ record: makeRecord({ primary: 0, timeline: 1 }) })).toMatchObject({ voids: null });
});

test('a conclusion from facts names the primary, its timeline, and who is away', () => {
  const facts = makeFacts({ nodes: { 0: stopped, 1: promotedToTimeline2, 2: onTimeline2 } });
  const more = { openedBy: 'us' as const, former: { node: 0, isFenceConfirmed: true }, by: 'pgpool-shop/run' };
  expect(concludeFacts(makeConfiguration(), facts, 1, more)).toMatchObject({
    ...{ primary: 1, timeline: 2, systemIdentifier, away: [0], at: facts.takenAt, ...more },
  });
  expect(concludeFacts(makeConfiguration(), facts, 0, more)).toBeNull();
});

test('a person may accept a node that accepts writes, and nothing of the past stands against it', () => {
  const [configuration, facts] = [makeConfiguration(), makeFacts()];
  const say = (node: number): ClusterRecord | string => accept(configuration, facts, { node, operator: 'ann@db' });
  expect(say(0)).toMatchObject({ primary: 0, timeline: 1, openedBy: 'others', former: null, by: 'ann@db' });
  expect(say(1)).toBe('node 1 does not accept writes (answers, in recovery): only a primary can be accepted');
  expect(say(7)).toBe('node 7 is not in the cluster file of shop');
});

test.each([[null], ['text'], [{}], [{ ...makeRecord(), primary: 'one' }], [{ ...makeRecord(), nodes: 3 }]])(
  'a memo of something else is no record (%#)',
  (value) => {
    expect(parseRecord(value)).toBeNull();
  },
);

test('a record survives its way through JSON', () => {
  expect(parseRecord(JSON.parse(JSON.stringify(makeRecord())))).toEqual(makeRecord());
});
