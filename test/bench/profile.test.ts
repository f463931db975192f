// The profile of a failover: its stages, their medians, and their chart.

import { defaultPayloadConverter } from '@temporalio/client';
import { temporal } from '@temporalio/proto';
import { drawStages, findStages, medianStages, type Stage, totalOf } from '../../bench/profile';
import type { ClusterEvent } from '../../domain/facts/event';

const toStages = (times: Readonly<Record<string, number>>): Stage[] =>
  Object.entries(times).map(([name, ms]) => ({ name, ms }));

interface Bar {
  readonly from: number;
  readonly to: number;
}

/** From column to column of the chart, behind the name and the time. */
function barsOf(lines: readonly string[], nameWidth: number): Bar[] {
  const bars = lines.slice(0, -1).map((line) => line.slice(nameWidth + 1 + 5 + 2));
  return bars.map((bar) => {
    const from = bar.search(/\S/);
    return { from, to: bar.at(-1) === '▏' ? from : bar.length };
  });
}

const { HistoryEvent } = temporal.api.history.v1;
type Event = temporal.api.history.v1.IHistoryEvent;
type Round = Parameters<typeof findStages>[0];
type Attributes = Readonly<Record<string, object>>;

/** The fault's time; all others are milliseconds after it, some with a fraction. */
const faultAt = Date.parse('2026-11-23T17:07:54.630Z');

/** As fetchHistory gives it: numbers of 64 bits are Long. */
const asLong = (plain: object): Event => HistoryEvent.fromObject(plain);
/** As JSON would give it. */
const asNumbers = (plain: object): Event => plain;

type Make = (plain: object) => Event;

/** Events with ids from 1 on. */
function makeHistory(events: readonly (readonly [number, Attributes])[], make: Make = asLong): Event[] {
  return events.map(([ms, attributes], index) => {
    const seconds = Math.floor((faultAt + ms) / 1000);
    const nanos = (faultAt + ms - seconds * 1000) * 1e6;
    return make({ eventId: index + 1, eventTime: { seconds, nanos }, ...attributes });
  });
}

function makeSignal(at: number): Attributes {
  const told: ClusterEvent = {
    ...{ eventId: 'failover-0-1', kind: 'failover', node: 0, mainNode: 1, oldPrimary: 0 },
    at: new Date(faultAt + at).toISOString(),
  };
  const input = { payloads: [defaultPayloadConverter.toPayload(told)] };
  return { workflowExecutionSignaledEventAttributes: { signalName: 'event', input } };
}

const opened: Attributes = { workflowExecutionStartedEventAttributes: { workflowType: { name: 'incident' } } };
const task: Attributes = { workflowTaskCompletedEventAttributes: { identity: 'worker' } };
const settled: Attributes = { workflowExecutionUpdateCompletedEventAttributes: {} };
const scheduled = (name: string): Attributes => ({ activityTaskScheduledEventAttributes: { activityType: { name } } });
const taken = (id: number): Attributes => ({ activityTaskStartedEventAttributes: { scheduledEventId: id } });
const completed = (id: number): Attributes => ({ activityTaskCompletedEventAttributes: { scheduledEventId: id } });
const failed = (id: number): Attributes => ({ activityTaskFailedEventAttributes: { scheduledEventId: id } });

function makeRound(pgpool: Readonly<Record<'calledAt' | 'returnedAt' | 'doneAt', number | null>>, end: number): Round {
  const at = (ms: number | null): number | null => (ms === null ? null : faultAt + ms);
  const { calledAt, returnedAt, doneAt } = pgpool;
  return {
    faultAt,
    servedAt: faultAt + end,
    pgpool: { calledAt: at(calledAt), returnedAt: at(returnedAt), doneAt: at(doneAt) },
  };
}

/** The hook is called after 60 ms, and clients are served after 400. */
const round = makeRound({ calledAt: 60, returnedAt: 320, doneAt: 380 }, 400);
const history: [number, Attributes][] = [
  [90.5, opened],
  [90.5, makeSignal(75)],
  [100, task],
  [110, scheduled('fence')],
  [125.25, taken(4)],
  [150, completed(4)],
  [155, scheduled('promote')],
  [165, taken(7)],
  [290, failed(7)],
  [300, settled],
];
const pgpoolStages = toStages({
  'pgpool notices and calls the hook': 60,
  'update answered, hook ends': 260,
  "pgpool's own part": 60,
  'clients come back': 20,
});

describe('findStages', () => {
  test.each([
    ['Long', asLong],
    ['numbers', asNumbers],
  ])('goes from the fault to the first write, one stage after another: times and ids are %s', (_title, make) => {
    const stages = findStages(round, makeHistory(history, make));
    expect(stages).toEqual(
      toStages({
        'pgpool notices and calls the hook': 60,
        'hook starts': 15,
        'event durable': 15.5,
        'workflow task, schedules fence': 19.5,
        'worker takes fence': 15.25,
        fence: 24.75,
        'workflow task, schedules promote': 5,
        'worker takes promote': 10,
        promote: 125,
        'workflow task, settles the event': 10,
        'update answered, hook ends': 20,
        "pgpool's own part": 60,
        'clients come back': 20,
      }),
    );
    expect(totalOf(stages)).toBe(400);
  });

  test('is in order of time, whoever told it', () => {
    const crossed = makeRound({ calledAt: 80, returnedAt: 120, doneAt: 118 }, 130);
    const stages = findStages(crossed, makeHistory(history.slice(0, 2)));
    expect(stages).toEqual([
      { name: 'hook starts', ms: 75 },
      { name: 'pgpool notices and calls the hook', ms: 5 },
      { name: 'event durable', ms: 10.5 },
      { name: "pgpool's own part", ms: 27.5 },
      { name: 'update answered, hook ends', ms: 2 },
      { name: 'clients come back', ms: 10 },
    ]);
  });

  test('numbers a name that comes again', () => {
    const both = [scheduled('fence'), scheduled('fence'), taken(2), taken(3), completed(3), completed(2)];
    const events = [opened, ...both, scheduled('fence')].map((attributes, at): [number, Attributes] => [
      at,
      attributes,
    ]);
    const names = findStages(round, makeHistory(events)).map(({ name }) => name);
    expect(names.filter((name) => name.includes('fence'))).toEqual([
      ...['workflow task, schedules fence', 'workflow task, schedules fence (2)'],
      ...['worker takes fence', 'worker takes fence (2)', 'fence', 'fence (2)'],
      'workflow task, schedules fence (3)',
    ]);
  });

  test('only the first event is the hook’s, however soon the next one comes', () => {
    const [first, ...rest] = history;
    const told: [number, Attributes][] = [first!, [91, makeSignal(75)], [92, makeSignal(89)], ...rest.slice(1)];
    const starts = findStages(round, makeHistory(told)).filter(({ name }) => name.startsWith('hook starts'));
    expect(starts).toEqual([{ name: 'hook starts', ms: 15 }]);
  });

  test('what the workflow does once it has answered keeps nobody waiting', () => {
    const later: [number, Attributes][] = [...history, [305, scheduled('attach')], [310, taken(11)]];
    expect(findStages(round, makeHistory(later))).toEqual(findStages(round, makeHistory(history)));
  });

  test('nothing counts that comes after the first write', () => {
    const soon = makeRound({ calledAt: 60, returnedAt: 320, doneAt: 380 }, 125.25);
    expect(findStages(soon, makeHistory(history))).toEqual([
      ...findStages(round, makeHistory(history)).slice(0, 4),
      // At the very moment of the first write.
      { name: 'clients come back', ms: 15.25 },
      { name: 'worker takes fence', ms: 0 },
    ]);
  });

  test.each([
    ['calledAt', 'pgpool notices and calls the hook', 'update answered, hook ends', 320],
    ['returnedAt', 'update answered, hook ends', "pgpool's own part", 320],
    ['doneAt', "pgpool's own part", 'clients come back', 80],
  ])('without %s, "%s" is left out, and its time is part of what comes next', (key, missing, next, ms) => {
    const pgpool = { calledAt: 60, returnedAt: 320, doneAt: 380, [key]: null };
    const left = pgpoolStages.filter(({ name }) => name !== missing);
    expect(findStages(makeRound(pgpool, 400), [])).toEqual(
      left.map((stage) => (stage.name === next ? { name: next, ms } : stage)),
    );
  });

  test('without a history there is what pgpool says', () => {
    expect(findStages(round, [])).toEqual(pgpoolStages);
  });
});

describe('medianStages', () => {
  test('takes each stage’s own median, in whatever order the rounds came', () => {
    const rounds = [
      toStages({ notice: 100, hook: 5 }),
      toStages({ notice: 9, hook: 6 }),
      toStages({ notice: 8, hook: 70 }),
    ];
    expect(medianStages(rounds)).toEqual(toStages({ notice: 9, hook: 6 }));
  });

  test('keeps the stages in order of time, also one that the first round does not have', () => {
    const rounds = [
      toStages({ notice: 1, done: 3 }),
      toStages({ notice: 2, again: 8, done: 4 }),
      toStages({ notice: 3, again: 6, done: 5 }),
    ];
    expect(medianStages(rounds)).toEqual(toStages({ notice: 2, again: 6, done: 4 }));
  });

  test('takes the mean of the middle two of an even number of rounds, to a tenth', () => {
    const rounds = [toStages({ notice: 100, hook: 5 }), toStages({ notice: 20, hook: 6.06 })];
    expect(medianStages(rounds)).toEqual(toStages({ notice: 60, hook: 5.5 }));
  });

  test('orders the stages by the median of their ends: one odd round changes nothing', () => {
    const odd = toStages({ done: 13, notice: 287 });
    const rounds = [odd, toStages({ notice: 1, done: 9 }), toStages({ notice: 2, done: 10 })];
    expect(medianStages(rounds)).toEqual(toStages({ notice: 2, done: 10 }));
  });

  test('counts nothing where a round does not have the stage', () => {
    const rounds = [toStages({ notice: 1, again: 9 }), toStages({ notice: 1 }), toStages({ notice: 1 })];
    expect(medianStages(rounds)).toEqual(toStages({ notice: 1, again: 0 }));
  });

  test('leaves the rounds as they were', () => {
    const rounds = [toStages({ done: 2, notice: 1 }), toStages({ notice: 1, again: 2, done: 3 })];
    medianStages(rounds);
    expect(rounds).toEqual([toStages({ done: 2, notice: 1 }), toStages({ notice: 1, again: 2, done: 3 })]);
  });
});

test('the total is the sum of the stages, and nothing without any', () => {
  expect(totalOf(toStages({ notice: 10.5, hook: 20, done: 0 }))).toBe(30.5);
  expect(totalOf([])).toBe(0);
});

describe('drawStages', () => {
  test('draws a line for each stage, to the millisecond, and the total below', () => {
    expect(drawStages(toStages({ notice: 120.4, hook: 39.6, 'pgpool itself': 40 }), 20)).toEqual([
      `notice          120  ${'█'.repeat(12)}`,
      `hook             40  ${' '.repeat(12)}${'█'.repeat(4)}`,
      `pgpool itself    40  ${' '.repeat(16)}${'█'.repeat(4)}`,
      'all             200 ms',
    ]);
  });

  test('each bar begins where the one before ends, and the last ends at the full width', () => {
    const times = { aaa: 3.3, bbb: 7.1, ccc: 0.2, ddd: 11.9, eee: 0, fff: 5.6, ggg: 100 / 3, hhh: 4.4 };
    const bars = barsOf(drawStages(toStages(times)), 3);
    expect(bars).toHaveLength(8);
    expect(bars.map(({ from }) => from)).toEqual([0, ...bars.slice(0, -1).map(({ to }) => to)]);
    expect(bars.at(-1)!.to).toBe(60);
  });

  test('a stage too short for a bar is visible where it happened', () => {
    const lines = drawStages(toStages({ aaa: 50, bbb: 0, ccc: 0.1, ddd: 49.9 }), 10);
    expect(lines.slice(0, -1).map((line) => line.slice(11))).toEqual(['█████', '     ▏', '     ▏', '     █████']);
  });

  test('a stage that ends before the first begins is drawn at the edge', () => {
    const lines = drawStages(toStages({ aaa: -4, bbb: 14 }), 10);
    expect([lines[0], lines.at(-1)]).toEqual(['aaa    -4  ▏', 'all    10 ms']);
    expect(lines[1]).toMatch(/^bbb +14 +█/);
  });

  test('stages that took no time at all are still drawn', () => {
    expect(drawStages(toStages({ notice: 0, hook: 0 }))).toEqual([
      'notice     0  ▏',
      'hook       0  ▏',
      'all        0 ms',
    ]);
  });
});
