// Bundles the workflows once for every test that runs a worker or a replay; the path is in WORKFLOW_BUNDLE.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bundleWorkflowCode, DefaultLogger } from '@temporalio/worker';

async function setUp(): Promise<void> {
  if (process.env['WORKFLOW_BUNDLE'] !== undefined) return;
  const { code } = await bundleWorkflowCode({
    workflowsPath: join(__dirname, '..', 'workflows', 'index.ts'),
    logger: new DefaultLogger('ERROR'),
  });
  const directory = mkdtempSync(join(tmpdir(), 'pgpool-runbook-workflows-'));
  process.once('exit', () => {
    rmSync(directory, { recursive: true, force: true });
  });
  process.env['WORKFLOW_BUNDLE'] = join(directory, 'bundle.js');
  writeFileSync(process.env['WORKFLOW_BUNDLE'], code);
}

// Jest calls what the module is.
module.exports = setUp;
