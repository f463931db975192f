// A new version with one step more takes over while a refused incident is open: the next hook's failover is decided all the same.

import { chmodSync, cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { incidentWorkflowId } from '../../../domain/facts/names';
import { findCloneRoot } from '../../../lab/tools';
import { startWorker } from '../../../lab/worker';
import { expectOneWritable, expectServed, runHook, until, untilParked, useScenario } from './support';

const scenario = useScenario('upgrade');
const build = mkdtempSync(join(tmpdir(), 'pgpool-runbook-build-'));

afterAll(() => {
  rmSync(build, { recursive: true });
});

test('a run that the new version cannot replay fails, and the hook sends its event to the next one', async () => {
  const { lab, temporal } = scenario();
  makeBuild();
  await lab.stopImmediate(1);
  await lab.stopImmediate(2);
  await lab.stopImmediate(0);
  await untilParked(scenario(), 'failover');
  const workflowId = incidentWorkflowId(lab.configuration.cluster);
  const { runId } = await temporal.workflow.getHandle(workflowId).describe();
  await lab.killWorker();
  await lab.start(0);
  const hook = runHook(scenario(), 'failover', '0', '1', '0');
  await startWorker(lab.layout, undefined, build);
  expect(await hook).toMatchObject({ exitCode: 0, said: expect.stringContaining('node 0') as string });
  const handle = temporal.workflow.getHandle(workflowId, runId);
  expect((await handle.describe()).status.name).toBe('FAILED');
  await until('the primary accepts writes', async () => {
    await expectOneWritable(scenario(), 0);
    return true;
  });
  await expectServed(scenario(), 60_000);
});

/** Today's build, where an incident begins with a timer. */
function makeBuild(): void {
  const root = findCloneRoot();
  chmodSync(build, 0o755);
  for (const name of ['client', 'dist', 'package.json'])
    cpSync(join(root, name), join(build, name), { recursive: true });
  symlinkSync(join(root, 'node_modules'), join(build, 'node_modules'));
  const file = join(build, 'dist', 'workflow-bundle.js');
  const code = readFileSync(file, 'utf8');
  const changed = code.replace(/const queue = \[\];/, 'void (0, workflow_1.sleep)(1); $&');
  expect(changed).not.toBe(code);
  writeFileSync(file, changed);
}
