// The build's output beside the compiler's: the workflows in one bundle, so that a worker starts in one second instead
// of four, and the nodes' scripts, each in one file.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bundleWorkflowCode, DefaultLogger } from '@temporalio/worker';
import { writeScripts } from '../activities/io/host/join-scripts';

const dist = join(__dirname, '..');
const scripts = join('activities', 'io', 'host', 'sh');

async function main(): Promise<void> {
  writeScripts(join(dist, '..', scripts), join(dist, scripts));
  const { code } = await bundleWorkflowCode({
    workflowsPath: require.resolve('../workflows/index'),
    logger: new DefaultLogger('WARN'),
  });
  writeFileSync(join(dist, 'workflow-bundle.js'), code);
}

void main();
