// A plan's rounds: their order, a round that fails, and the final row.

import type { Figures } from '../../bench/figures';
import { measurePlan } from '../../bench/measure';
import type { Beds, Measured, Plan } from '../../bench/rows';

const nobody = (): Promise<never> => Promise.reject(new Error('no lab here'));
const beds: Beds = { three: nobody, seven: nobody };

type Side = 'ours' | 'other';
type Round = Measured | Error;

interface Script {
  /** The results of each side's calls, one after another. */
  readonly ours: readonly Round[];
  readonly other: readonly Round[] | null;
}

/** A plan that gives what the script says, and the calls it saw. */
function makePlan(script: Script, changes: Partial<Plan> = {}): { plan: Plan; calls: Side[] } {
  const calls: Side[] = [];
  const play = (side: Side, rounds: readonly Round[]) => {
    const left = [...rounds];
    return (given: Beds): Promise<Measured> => {
      expect(given).toBe(beds);
      calls.push(side);
      const next = left.shift() ?? new Error('asked once too often');
      return next instanceof Error ? Promise.reject(next) : Promise.resolve(next);
    };
  };
  const plan: Plan = {
    ...{ name: 'kill', title: 'clients cannot write', against: 'the scripts', unit: 'ms', aim: '≤ 0.5' },
    ...{ isHeld: () => null, obstacle: null },
    ours: play('ours', script.ours),
    other: script.other && play('other', script.other),
    ...changes,
  };
  return { plan, calls };
}

const measured = (...values: number[]): Measured[] => values.map((value) => ({ value }));
const silent = (): void => undefined;
const calm = new AbortController().signal;

test('makes a row of the rounds', async () => {
  const { plan } = makePlan(
    { ours: measured(110, 90, 100), other: measured(400, 380, 500) },
    { isHeld: (ours, other) => ours.median === 100 && other?.median === 400 },
  );
  expect(await measurePlan(plan, beds, 3, silent, calm)).toEqual({
    ...{ name: 'kill', title: 'clients cannot write', against: 'the scripts', unit: 'ms', aim: '≤ 0.5' },
    ours: { min: 90, median: 100, max: 110, rounds: 3 },
    other: { min: 380, median: 400, max: 500, rounds: 3 },
    ratio: 0.25,
    isHeld: true,
    lost: { ours: 0, other: 0 },
    failures: [],
  });
});

test('who is first changes with every round', async () => {
  const { plan, calls } = makePlan({ ours: measured(1, 1, 1), other: measured(2, 2, 2) });
  await measurePlan(plan, beds, 3, silent, calm);
  expect(calls).toEqual(['ours', 'other', 'other', 'ours', 'ours', 'other']);
});

test('one side is measured at a time', async () => {
  let running = 0;
  const measure = async (): Promise<Measured> => {
    running += 1;
    await Promise.resolve();
    const value = running;
    running -= 1;
    return { value };
  };
  const { plan } = makePlan({ ours: [], other: [] }, { ours: measure, other: measure });
  expect(await measurePlan(plan, beds, 2, silent, calm)).toMatchObject({ ours: { max: 1 }, other: { max: 1 } });
});

test('a row that stands alone has no other, and nothing to compare with', async () => {
  const { plan, calls } = makePlan({ ours: measured(80, 82), other: null }, { against: null, unit: 'MB' });
  const row = await measurePlan(plan, beds, 2, silent, calm);
  expect(row).toMatchObject({ against: null, other: null, ratio: null, isHeld: null, unit: 'MB', failures: [] });
  expect(calls).toEqual(['ours', 'ours']);
});

test('a round that fails is told, and the others still count', async () => {
  const { plan, calls } = makePlan({
    ours: [{ value: 10 }, new Error('nobody followed'), { value: 30 }],
    other: [new Error('no space left'), { value: 200 }, { value: 100 }],
  });
  const row = await measurePlan(plan, beds, 3, silent, calm);
  expect(row.failures).toEqual(['round 1, the scripts: no space left', 'round 2, ours: nobody followed']);
  expect(row.ours).toEqual({ min: 10, median: 20, max: 30, rounds: 2 });
  expect(row.other).toEqual({ min: 100, median: 150, max: 200, rounds: 2 });
  expect(calls).toHaveLength(6);
});

test('without a figure of ours there is no row, only what went wrong', async () => {
  const { plan } = makePlan({
    ours: [new Error('nobody followed'), new Error('no space left')],
    other: measured(200, 100),
  });
  await expect(measurePlan(plan, beds, 2, silent, calm)).rejects.toThrow(
    /^kill: round 1, ours: nobody followed; round 2, ours: no space left$/,
  );
});

test('an other without a figure leaves a row without a comparison', async () => {
  const asked: (Figures | null)[] = [];
  const isHeld = (_ours: Figures, other: Figures | null): null => {
    asked.push(other);
    return null;
  };
  const { plan } = makePlan({ ours: measured(10), other: [new Error('it hangs')] }, { isHeld });
  const row = await measurePlan(plan, beds, 1, silent, calm);
  expect(row).toMatchObject({ against: 'the scripts', other: null, ratio: null, isHeld: null });
  expect(row.failures).toEqual(['round 1, the scripts: it hangs']);
  expect(asked).toEqual([null]);
});

test('what was lost is summed on each side, over the rounds that counted it', async () => {
  const { plan } = makePlan({
    ours: [{ value: 1, lost: 2 }, { value: 1 }, { value: 1, lost: 3 }],
    other: [{ value: 1, lost: 40 }, new Error('it hangs'), { value: 1, lost: 1 }],
  });
  expect(await measurePlan(plan, beds, 3, silent, calm)).toMatchObject({ lost: { ours: 5, other: 41 } });
});

test.each([
  [2, 5, 2],
  [9, 3, 3],
])('a plan of %d rounds in a run of %d has %d', async (own, usual, expected) => {
  const { plan, calls } = makePlan({ ours: measured(1, 1, 1, 1, 1, 1, 1, 1, 1), other: null }, { rounds: own });
  expect(await measurePlan(plan, beds, usual, silent, calm)).toMatchObject({
    ours: { rounds: expected },
    failures: [],
  });
  expect(calls).toHaveLength(expected);
});

test('says every round as it ends', async () => {
  const said: string[] = [];
  const { plan } = makePlan({
    ours: [{ value: 12.4, lost: 3 }, new Error('nobody followed')],
    other: [{ value: 99.6, lost: 0 }, { value: 7 }],
  });
  await measurePlan(plan, beds, 2, (line) => said.push(line), calm);
  expect(said).toEqual([
    'kill, round 1, ours: 12 ms, 3 acknowledged writes lost',
    'kill, round 1, the scripts: 100 ms',
    'kill, round 2, the scripts: 7 ms',
    'kill, round 2, ours: no figure: nobody followed',
  ]);
});

test('after an interruption no round begins, and none is told as failed', async () => {
  const interruption = new AbortController();
  const said: string[] = [];
  const { plan, calls } = makePlan({ ours: measured(1, 1), other: [new Error('taken down'), { value: 1 }] });
  const ours = async (given: Beds): Promise<Measured> => {
    const value = await plan.ours(given);
    interruption.abort(new Error('interrupted by SIGINT'));
    return value;
  };
  const run = measurePlan({ ...plan, ours }, beds, 2, (line) => said.push(line), interruption.signal);
  await expect(run).rejects.toThrow('interrupted by SIGINT');
  expect(calls).toEqual(['ours']);
  expect(said).toEqual(['kill, round 1, ours: 1 ms']);
});
