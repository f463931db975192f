// The workflow `cluster` is started again where it has ended, whoever ended it, with what it knew.

import { clusterWorkflowId, recordedQueryName } from '../../domain/facts/names';
import { keepOpen } from '../../worker/keep-open';
import { writeConclusion } from '../../worker/record';
import { makeRecord } from '../domain/plans/record-stories';
import { Bench, eventually } from '../workflows/support';

let bench: Bench;
beforeAll(async () => {
  bench = await Bench.open();
});
afterAll(() => bench.close());

it('is started again after a person has terminated it, which is said once', async () => {
  const cluster = bench.newCluster();
  const temporal = { ...cluster.configuration.temporal, taskQueue: 'test' };
  const configuration = { ...cluster.configuration, temporal };
  const { client } = bench.environment;
  await writeConclusion(client, configuration, makeRecord());
  const handle = client.workflow.getHandle(clusterWorkflowId(cluster.name));
  const said: string[] = [];
  const ending = new AbortController();
  const parts = { client, configurations: [configuration], say: (line: string) => said.push(line) };
  const kept = keepOpen({ ...parts, signal: ending.signal, everyMs: 50 });
  await handle.terminate('by hand');
  await eventually('it is said', () => said.length > 0);
  await expect(handle.query(recordedQueryName)).resolves.toMatchObject({ record: { primary: 1, timeline: 2 } });
  await new Promise((resolve) => setTimeout(resolve, 300));
  ending.abort();
  await kept;
  expect(said).toEqual([expect.stringContaining('it is started again')]);
});
