// The simulation's model is kept honest: the same schedule ends alike on the model and on a real lab. More of them: npm run simulate -- --lab 30.

import { besideEachOther, compare } from '../../simulation/lab/compare';

test.each([6, 8])('the schedule of seed %i ends alike on model and lab', async (seed) => {
  const comparison = await compare(seed);
  expect(comparison.differs ? besideEachOther(comparison) : 'alike').toBe('alike');
});
