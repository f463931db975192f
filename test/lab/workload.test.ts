// The journal of the write load counts only what the server says it has written.

import { Workload } from '../../lab/workload';

let rowCount = 1;
jest.mock('pg', () => ({
  Client: class {
    connection = { stream: { destroy: () => undefined } };
    on(): void {
      // Never breaks.
    }
    connect(): Promise<void> {
      return Promise.resolve();
    }
    end(): Promise<void> {
      return Promise.resolve();
    }
    query(): Promise<{ rowCount: number }> {
      return Promise.resolve({ rowCount });
    }
  },
}));

it('an INSERT whose answer speaks of no row is unknown, not acknowledged', async () => {
  const workload = new Workload({ connection: {}, table: 't', writers: 1, pauseMs: 1 });
  await workload.start();
  await workload.untilAcknowledged(3, 5000);
  rowCount = 0;
  while (workload.journal.unknown.length < 3) await new Promise((resolve) => setTimeout(resolve, 2));
  const { acknowledged, unknown, errors } = await workload.stop();
  expect(acknowledged.filter(({ id }) => unknown.includes(id))).toEqual([]);
  expect([...errors.keys()]).toEqual(['the answer to an INSERT says 0 rows']);
});
