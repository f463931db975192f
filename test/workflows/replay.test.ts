// Every bench replays the runs of its tests when it closes. Here is the proof that such a replay fails when it must.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DeterminismViolationError } from '@temporalio/workflow';
import { bundleWorkflowCode, DefaultLogger, Worker } from '@temporalio/worker';
import { deadNode } from './fake-nodes';
import { Bench, type History } from './support';

let bench: Bench;
let history: History;

beforeAll(async () => {
  bench = await Bench.open();
  const cluster = bench.newCluster();
  cluster.set(deadNode(0));
  const { incident } = await bench.failOver(cluster);
  history = await incident.fetchHistory();
});
afterAll(() => bench.close());

it('finds the runs that the bench has made, children included', async () => {
  expect((await bench.replayAll()).sort()).toEqual(['follow', 'incident']);
});

it('fails for a workflow that acts before it looks', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'pgpool-runbook-wrong-workflow-'));
  try {
    const workflowsPath = join(__dirname, 'wrong-workflow.ts');
    const { code } = await bundleWorkflowCode({ workflowsPath, logger: new DefaultLogger('ERROR') });
    const codePath = join(directory, 'bundle.js');
    writeFileSync(codePath, code);
    const replaying = Worker.runReplayHistory({ workflowBundle: { codePath } }, history, 'replayed');
    await expect(replaying).rejects.toThrow(DeterminismViolationError);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
