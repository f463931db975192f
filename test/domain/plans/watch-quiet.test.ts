// The watch leaves alone: standbys that are well in another way than the usual one, nodes and clusters that people have in hand, and what a
// watch that begins anew knows already.

import { makeConfiguration } from '../builders';
import { makeRecord } from './record-stories';
import {
  recordOf0,
  shows,
  standbySays,
  startedAt,
  type Terms,
  watchFor,
  well,
  wellBut,
  type World,
} from './watch-world';

const streamsFrom = (host: string, timeline = 1) => ({ receiver: { host, port: 5432, timeline } });
const kindsOf = (seconds: number, worldAt: (second: number) => World, terms: Terms = {}): string[] =>
  watchFor(seconds, worldAt, terms).told.map(({ kind, node }) => `${kind} ${String(node)}`);

describe('a standby streams', () => {
  test.each([
    ['from another address of the primary', { 1: standbySays(1, streamsFrom('192.168.7.1')) }],
    ['from a standby that only the worker does not hear', { 1: null, 2: standbySays(2, streamsFrom('10.0.0.11')) }],
    ['at the end of a chain', { 1: standbySays(1), 2: standbySays(2, streamsFrom('10.0.0.11')) }],
  ])('%s: nothing is told', (_, nodes) => {
    expect(kindsOf(300, () => wellBut(nodes))).toEqual([]);
  });
  test('no WAL of the primary in a circle: both are told', () => {
    const circle = { 1: standbySays(1, streamsFrom('10.0.0.12')), 2: standbySays(2, streamsFrom('10.0.0.11')) };
    expect(kindsOf(40, () => wellBut(circle))).toEqual(['not-streaming 1', 'not-streaming 2']);
  });
});

describe('people have it in hand', () => {
  const since = new Date(startedAt).toISOString();
  const held = (node: number | null) => [{ node, operator: 'ann@db', reason: 'kernel', since, until: null }];
  const lost = wellBut({ 0: null }, { pgpool0: shows(null, 0) });
  test.each([null, 0])('a primary that is lost in a pause, or in maintenance (%s), is told once', (node) => {
    expect(kindsOf(600, () => lost, { maintenance: held(node) })).toEqual(['given-up 0']);
    expect(kindsOf(600, () => lost).length).toBeGreaterThan(2);
  });
  test('with rejoin: manual a node that came back by itself is not attached', () => {
    const configuration = makeConfiguration({ policy: { rejoin: 'manual' } });
    expect(kindsOf(300, () => wellBut({}, { pgpool0: shows(0, 2) }), { configuration })).toEqual([]);
  });
  test('a node that they have let go and that streams is left detached', () => {
    expect(kindsOf(300, () => wellBut({}, { pgpool0: shows(0, 2) }), { left: [2] })).toEqual([]);
  });
  test('the former primary that they have let go is no news after a later decision', () => {
    const record = { ...makeRecord({ away: [] }), at: new Date(startedAt + 10_000).toISOString() };
    const world = wellBut(
      { 0: standbySays(0, { receiver: null }), 1: { ...well.nodes[0]!, position: { timeline: 2, lsn: '0/6000000' } } },
      { pgpool0: shows(1, 0) },
    );
    const { told } = watchFor(60, () => world, { record, left: [0] });
    expect(told.filter(({ node }) => node === 0)).toEqual([]);
  });
});

describe('a watch that begins anew', () => {
  const unseen = wellBut({}, { pgpool0: shows(1) });
  test('goes on with what the last one saw of pgpool: what stands is told as late as it would have been', () => {
    const first = watchFor(100, () => unseen, { record: recordOf0 });
    expect(first.told.map(({ second }) => second)).toEqual([1, 61]);
    // As after each conclusion: the first looks have no answer of pgpool yet.
    const nothingYet = { ...unseen, pgpools: {} };
    const state = watchFor(3, () => nothingYet, { state: first.state, from: 100 }).state;
    expect(watchFor(70, () => unseen, { state, from: 103 }).told).toEqual([]);
    expect(watchFor(90, () => unseen, { state, from: 103 }).told).toMatchObject([{ kind: 'not-shown' }]);
  });
});
