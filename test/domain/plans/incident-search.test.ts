// A random search of the page: no schedule of events, ends and pauses breaks an invariant, every row is reached, and each invariant can fail.

import fc from 'fast-check';
import { next } from '../../../domain/plans/incident';
import { rows } from '../../../domain/plans/incident-rows';
import type { IncidentState, NodeState, Step } from '../../../domain/plans/incident-state';
import { type Entry, IncidentWorld, nodes, type Turner } from './incident-world';

const node = fc.constantFrom(...nodes);
const entry: fc.Arbitrary<Entry> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('event' as const),
      event: fc.constantFrom('failover' as const, 'follow' as const, 'returned' as const, 'rejoin' as const),
      node,
      old: node,
    }),
  },
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('end' as const), which: fc.nat(20), way: fc.nat(1000) }) },
  { weight: 4, arbitrary: fc.constant({ kind: 'pass' as const }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('person' as const),
      choice: fc.constantFrom('retry' as const, 'abort' as const),
    }),
  },
);
const schedule = fc.array(entry, { minLength: 1, maxLength: 40 });
const numRuns = Number(process.env['INCIDENT_RUNS'] ?? 4000);

test('no schedule breaks an invariant, and every row is reached', () => {
  const reached = new Set<number>();
  fc.assert(
    fc.property(schedule, fc.boolean(), (entries, isManual) => {
      const world = new IncidentWorld(next, isManual);
      expect(world.play(entries)).toEqual([]);
      for (const row of world.rows) reached.add(row);
    }),
    { numRuns },
  );
  const missing = rows.map(({ number }) => number).filter((number) => !reached.has(number) && number !== quietRow);
  expect(missing).toEqual([]);
});

/** "Anything else": it changes nothing and is not told. */
const quietRow = rows.at(-1)!.number;

test('rows are numbered in their order', () => {
  expect(rows.map(({ number }) => number)).toEqual(rows.map((_, index) => index + 1));
});

type Spoil = (step: Step, before: IncidentState) => Step;

const changeNodes = (step: Step, to: (node: NodeState) => NodeState): Step => ({
  ...step,
  state: { ...step.state, nodes: step.state.nodes.map(to) },
});

/** Faults that a page could have, made behind it. */
const mutations: readonly (readonly [invariant: string, title: string, spoil: Spoil])[] = [
  [
    'one-follow',
    'a closing follow is forgotten',
    (step) => changeNodes(step, (one) => (one.follow === 'closing' ? { ...one, follow: 'none' } : one)),
  ],
  [
    'one-follow',
    'a running follow is forgotten',
    (step) => changeNodes(step, (one) => (one.follow === 'running' && one.id === 2 ? { ...one, follow: 'none' } : one)),
  ],
  [
    'no-follow-of-primary',
    'the follow of the primary goes on to its wish',
    (step) =>
      changeNodes(step, (one) => (one.is === 'primary' && one.follow === 'closing' ? { ...one, wants: true } : one)),
  ],
  [
    'one-decision',
    'a decision is forgotten',
    (step, before) =>
      before.decision && step.moves.length === 0 ? { ...step, state: { ...step.state, decision: null } } : step,
  ],
  [
    'answered',
    'an answer is dropped',
    (step) => ({
      ...step,
      state: { ...step.state, verdicts: Object.fromEntries(Object.entries(step.state.verdicts).slice(1)) },
    }),
  ],
  ['answered', 'a person is forgotten', (step) => ({ ...step, state: { ...step.state, asked: [] } })],
  [
    'attach',
    'the pause before an attach is taken back',
    (step, before) => (before.attachNotBefore > 0 ? { ...step, state: { ...step.state, attachNotBefore: 0 } } : step),
  ],
  [
    'ends',
    'work that has ended stays open',
    (step, before) => ({
      ...step,
      state: {
        ...step.state,
        open: [...new Map([...before.open, ...step.state.open].map((one) => [one.id, one])).values()],
      },
    }),
  ],
  [
    'over',
    'the linger begins while something runs',
    (step) => ({ ...step, state: { ...step.state, lingerUntil: step.state.lingerUntil ?? 0 } }),
  ],
  [
    'failovers-first',
    'events wait behind a decision that has begun',
    (step) => {
      const [first, ...rest] = step.moves;
      return first?.do === 'note' && rest[0]?.do === 'decide' && rest[0].events.length > 1
        ? { ...step, state: { ...step.state, waiting: rest[0].events } }
        : step;
    },
  ],
];

test.each(mutations)('%s can fail: %s', (invariant, _title, spoil) => {
  const spoiled: Turner = (state, message, timing) => spoil(next(state, message, timing), state);
  const found = fc.check(
    fc.property(schedule, (entries) => {
      let problems: string[];
      try {
        problems = new IncidentWorld(spoiled).play(entries);
      } catch (error) {
        problems = [`${invariant}: ${String(error)}`];
      }
      return !problems.some((problem) => problem.startsWith(`${invariant}:`));
    }),
    { numRuns: 20_000, endOnFailure: true },
  );
  expect(found.failed).toBe(true);
});
