// conclude hands the conclusion to the cluster's record, and says what is recorded.
import { boundMs, conclude } from '../../../activities/incident/conclude';
import type { WorkerTools } from '../../../activities/io/tools';
import type { ClusterConfiguration } from '../../../domain/facts/cluster';
import { makeRecord } from '../../domain/plans/record-stories';
import { inAttempt } from '../support';

const configuration = { cluster: 'shop' } as ClusterConfiguration;

it('writes the conclusion as it was made', async () => {
  const written: unknown[] = [];
  const tools = {
    conclude: (...what: unknown[]) => Promise.resolve(void written.push(what)),
  } as unknown as WorkerTools;
  const conclusion = makeRecord();
  const { line } = await inAttempt(tools, (given) => conclude(given, { configuration, conclusion }));
  expect(line).toBe('recorded: node 1 is the primary on timeline 2, opened by us');
  expect(written).toEqual([[configuration, conclusion, boundMs]]);
});

it('fails while Temporal does not take it, so that it is retried', async () => {
  const tools = { conclude: () => Promise.reject(new Error('unavailable')) } as unknown as WorkerTools;
  const writing = inAttempt(tools, (given) => conclude(given, { configuration, conclusion: makeRecord() }));
  await expect(writing).rejects.toThrow('unavailable');
});
