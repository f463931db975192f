// Recorded runs replayed on today's workflows: a change that would break an incident in flight fails here.
// After a deliberate change: RECORD_HISTORIES=1 npx jest test/workflows

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DeterminismViolationError } from '@temporalio/workflow';
import { bundleWorkflowCode, DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { historiesDirectory } from './support';

const names = readdirSync(historiesDirectory)
  .filter((file) => file.endsWith('.json'))
  .map((file) => file.slice(0, -'.json'.length));

interface Event {
  readonly eventType: string;
  readonly workflowExecutionStartedEventAttributes?: { readonly workflowType: { readonly name: string } };
}

function read(name: string): { readonly text: string; readonly events: readonly Event[] } {
  const text = readFileSync(join(historiesDirectory, `${name}.json`), 'utf8');
  return { text, events: (JSON.parse(text) as { events: Event[] }).events };
}

beforeAll(() => {
  Runtime.install({ logger: new DefaultLogger('ERROR'), telemetryOptions: { logging: { filter: 'OFF' } } });
});

async function replay(name: string, codePath: string): Promise<void> {
  await Worker.runReplayHistory({ workflowBundle: { codePath } }, JSON.parse(read(name).text), 'replayed');
}

it.each(names)('replays %s', async (name) => {
  await replay(name, process.env['WORKFLOW_BUNDLE']!);
});

it('covers every workflow', () => {
  const types = names.map((name) => read(name).events[0]!.workflowExecutionStartedEventAttributes!.workflowType.name);
  expect([...new Set(types)].sort()).toEqual(['awaitNode', 'cluster', 'follow', 'incident', 'plan', 'warmUp']);
});

it.each(names)('%s names no machine and holds no stack trace', (name) => {
  const { text } = read(name);
  const identities = new Set([...text.matchAll(/"identity": "([^"]*)"/g)].map((match) => match[1]));
  expect([...identities].filter((identity) => identity !== 'test@host' && identity !== 'history-service')).toEqual([]);
  expect(text).not.toMatch(/"stackTrace": "[^"]/);
  expect(text).not.toMatch(/node_modules|"\/(home|root|work|Users|tmp)\b/);
});

it('fails for a workflow that acts before it looks', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'pgpool-runbook-wrong-workflow-'));
  try {
    const workflowsPath = join(__dirname, 'wrong-workflow.ts');
    const { code } = await bundleWorkflowCode({ workflowsPath, logger: new DefaultLogger('ERROR') });
    const codePath = join(directory, 'bundle.js');
    writeFileSync(codePath, code);
    await expect(replay('incident-promoted', codePath)).rejects.toThrow(DeterminismViolationError);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
