// The figures of a row: least, median and most of its rounds, and the ratio of two medians.

import { ratioOf, summarize } from '../../bench/figures';

describe('summarize', () => {
  test('takes the middle of an odd number of rounds, in whatever order they came', () => {
    expect(summarize([100, 9, 20])).toEqual({ min: 9, median: 20, max: 100, rounds: 3 });
  });

  test('takes the mean of the middle two of an even number of rounds', () => {
    expect(summarize([30, 1, 4, 2])).toEqual({ min: 1, median: 3, max: 30, rounds: 4 });
  });

  test('of one round is that round, three times', () => {
    expect(summarize([7])).toEqual({ min: 7, median: 7, max: 7, rounds: 1 });
  });

  test('rounds to a tenth, the mean only when it is made', () => {
    expect(summarize([0.04, 1.26, 2.449])).toEqual({ min: 0, median: 1.3, max: 2.4, rounds: 3 });
    expect(summarize([1.04, 1.06])).toEqual({ min: 1, median: 1.1, max: 1.1, rounds: 2 });
    expect(summarize([1.02, 1.06])).toMatchObject({ median: 1 });
  });

  test('leaves the rounds as they were', () => {
    const values = [3, 1, 2];
    summarize(values);
    expect(values).toEqual([3, 1, 2]);
  });

  test('refuses to make figures of nothing', () => {
    expect(() => summarize([])).toThrow(new RangeError('no round gave a figure'));
  });
});

describe('ratioOf', () => {
  test('is ours to the other, by medians alone', () => {
    const ours = { min: 1, median: 50, max: 900, rounds: 5 };
    const other = { min: 2, median: 200, max: 300, rounds: 3 };
    expect(ratioOf(ours, other)).toBe(0.25);
    expect(ratioOf(other, ours)).toBe(4);
  });

  test.each([
    [1, 3, 0.33],
    [2, 3, 0.67],
    [1000, 3, 333.33],
  ])('%d to %d is %d, to two places', (ours, other, ratio) => {
    expect(ratioOf(summarize([ours]), summarize([other]))).toBe(ratio);
  });
});
