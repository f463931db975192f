// A node whose follow runs: who asks again, and what that leads to at its end.

import { defaultTiming, opening } from '../../../domain/plans/incident-state';
import { follow, newNode, type Turn } from '../../../domain/plans/incident-turn';

const running = { ...newNode(2), follow: 'running' as const };
const newTurn = (): Turn => ({
  state: opening('shop', defaultTiming),
  now: 0,
  timing: defaultTiming,
  moves: [],
  told: [],
});

test('pgpool asks again: its attachment is looked at once more', () => {
  expect(follow(newTurn(), running, false)).toMatchObject({ isDoubted: true });
});

test('pgpool reports it alone, as when a person detaches it: it is left so, and the watch tells of it later', () => {
  const turn = newTurn();
  expect(follow(turn, running, false, true)).toMatchObject({ isDoubted: false });
  expect(turn.moves).toEqual([]);
});
