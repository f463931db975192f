// The closed set of failure types: which of them are retried, and which is no alarm.
import { failure, failureTypes, messageOf } from '../../../activities/io/failures';

it.each([
  ['configuration', 'Configuration', true],
  ['worldChanged', 'WorldChanged', true],
  ['walMissing', 'WalMissing', true],
  ['unproven', 'Unproven', false],
  ['unreachable', 'Unreachable', false],
] as const)('%s is of type %s', (key, type, isFinal) => {
  expect(failure(key, 'node 1 is away')).toMatchObject({ type, isFinal, message: 'node 1 is away' });
});

it('has a row here for every type', () => {
  expect(Object.keys(failureTypes)).toHaveLength(5);
});

it('keeps the cause, if it is an error', () => {
  const cause = new Error('socket');
  expect(failure('unproven', 'x', cause).cause).toBe(cause);
  expect(failure('unproven', 'x', 'text').cause).toBeUndefined();
});

it('finds words in whatever was thrown', () => {
  expect([messageOf(new Error('a')), messageOf('b'), messageOf(3)]).toEqual(['a', 'b', '3']);
});
