// Runs that a release has left open must go on under every later version: the workflow `cluster` never ends by itself. Each history is kept as the release
// recorded it, and never recorded again: a change that it cannot replay needs `patched`. KEEP_HISTORY=<release> records the one of a new release.

import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { historyToJSON } from '@temporalio/common/lib/proto-utils';
import { Worker } from '@temporalio/worker';
import { clusterWorkflowId, concludeUpdateName, leftSignalName, maintainUpdateName } from '../../domain/facts/names';
import { makeRecord } from '../domain/plans/record-stories';
import { watchFor, well } from '../domain/plans/watch-world';
import { Bench, eventually } from './support';

const directory = join(__dirname, 'histories');
const most = 8;
const release = process.env['KEEP_HISTORY'];
const files = release ? [] : readdirSync(directory).sort();

function replayAll(): void {
  test('few are kept, each named by its release', () => {
    expect(files.length).toBeGreaterThan(0);
    expect(files.length).toBeLessThanOrEqual(most);
    for (const file of files) expect(file).toMatch(/^cluster-[0-9]+[.][0-9]+[.][0-9]+[.]json$/);
  });

  test.each(files)('%s can be replayed', async (file) => {
    const history = JSON.parse(readFileSync(join(directory, file), 'utf8')) as unknown;
    const workflowBundle = { codePath: process.env['WORKFLOW_BUNDLE']! };
    await Worker.runReplayHistory({ workflowBundle }, history, clusterWorkflowId('shop'));
  });
}

async function keepHistory(): Promise<void> {
  const file = join(directory, `cluster-${release!}.json`);
  expect(existsSync(file)).toBe(false);
  const bench = await Bench.open();
  const cluster = bench.newCluster();
  await bench.openClusterOf(cluster);
  const handle = bench.environment.client.workflow.getHandle(clusterWorkflowId(cluster.name));
  const untilWatched = (count: number) => eventually('the next watch', () => cluster.watches.length === count);
  await untilWatched(1);
  // All that may happen while nothing is wrong, once each.
  await handle.executeUpdate(concludeUpdateName, { args: [makeRecord()] });
  await untilWatched(2);
  cluster.report({ told: [], conclusion: null, state: watchFor(3, () => well).state, line: 'nothing' });
  await untilWatched(3);
  const held = { action: 'start', node: 2, operator: 'ann@db', reason: 'kernel', forMs: 3_600_000 };
  await handle.executeUpdate(maintainUpdateName, { args: [held] });
  await untilWatched(4);
  await handle.executeUpdate(maintainUpdateName, { args: [{ action: 'stop', node: 2, operator: 'ann@db' }] });
  await untilWatched(5);
  await handle.signal(leftSignalName, [1]);
  await untilWatched(6);
  mkdirSync(directory, { recursive: true });
  const history = historyToJSON(await handle.fetchHistory());
  writeFileSync(file, `${JSON.stringify(JSON.parse(history) as unknown, null, 1)}\n`);
  await bench.close();
}

if (release) test('the history of this release is kept', keepHistory);
else replayAll();
