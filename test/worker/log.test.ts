// The lines that the worker's log lets through: one plain line for each message, no stack, no repeats, nothing of a
// lost connection.

import { LineLogger } from '../../worker/log';

let said: string[];
let logger: LineLogger;
beforeEach(() => {
  said = [];
  logger = new LineLogger((line) => said.push(line));
});
afterEach(() => {
  jest.restoreAllMocks();
});

it('an expected retry is one line without its stack', () => {
  const error = new Error('node 2 does not stream yet\nlook at its log');
  const meta = {
    sdkComponent: 'activity',
    activityType: 'confirmStreaming',
    attempt: 2,
    workflowId: 'pgpool-shop',
    error,
  };
  logger.warn('Activity failed', meta);
  expect(said).toEqual([
    'warning: pgpool-shop: confirmStreaming, attempt 2: activity failed: node 2 does not stream yet | look at its log',
  ]);
});

it('a repeat that differs only in its counts is told again after ten minutes', () => {
  const now = jest.spyOn(Date, 'now').mockReturnValue(1_000_000);
  for (const count of [1, 2, 3]) logger.warn(`slow, ${count} times`, { sdkComponent: 'core' });
  now.mockReturnValue(1_600_000);
  logger.warn('slow, 9 times', { sdkComponent: 'core' });
  expect(said).toEqual(['warning: slow, 1 times', 'warning: slow, 9 times']);
});

it('what the SDK says of a lost connection is left to one line elsewhere; an activity’s lost connection is not', () => {
  logger.warn('gRPC call poll_workflow_task_queue retried 5 times', { sdkComponent: 'core' });
  logger.error('Error while polling for tasks', { sdkComponent: 'core' });
  logger.info('started', { sdkComponent: 'worker' });
  expect(said).toEqual([]);
  const error = new Error('connect ECONNREFUSED: connection refused');
  logger.warn('Activity failed', { sdkComponent: 'activity', activityType: 'observe', attempt: 1, error });
  expect(said).toHaveLength(1);
});

it('what a workflow says is told, each time', () => {
  const meta = { sdkComponent: 'workflow', workflowId: 'pgpool-shop' };
  logger.info('parked: rebuild node 2', meta);
  logger.info('parked: rebuild node 2', meta);
  expect(said[0]).toBe('pgpool-shop: parked: rebuild node 2');
});
