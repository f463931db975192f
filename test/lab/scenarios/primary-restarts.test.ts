// The primary is alive and not ready: an administrator restarts it, or it recovers for long while a standby that it waited for is away. It is given
// back its service, and never fenced for a promotion that cannot be.

import { execFile, execFileSync } from 'node:child_process';
import { promisify } from 'node:util';
import { join } from 'node:path';
import { getNode } from '../../../domain/facts/cluster';
import { incidentWorkflowId } from '../../../domain/facts/names';
import {
  expectOneWritable,
  expectPgpoolUses,
  expectServed,
  finishedIncident,
  readRows,
  runHook,
  setPolicy,
  until,
  useScenario,
} from './support';

const scenario = useScenario('restarts');

/** A process of node 0's server, by its title. */
function findProcess(title: string): number {
  const lines = execFileSync('ps', ['-eo', 'pid=,args='], { encoding: 'utf8' }).split('\n');
  const line = lines.find((text) => text.includes(`postgres: node0: ${title}`));
  if (!line) throw new Error(`node 0 has no process "${title}"`);
  return Number(line.trim().split(' ')[0]);
}

function restart(): Promise<unknown> {
  const { lab } = scenario();
  const { dataDirectory } = getNode(lab.configuration, 0);
  const log = join(dataDirectory, 'restart.log');
  const command = [join(lab.configuration.postgres.bin, 'pg_ctl'), '-D', dataDirectory];
  const args = ['-w', '-m', 'fast', '-l', log, 'restart'];
  const [program, ...rest] = process.getuid?.() === 0 ? ['runuser', '-u', 'postgres', '--', ...command] : command;
  return promisify(execFile)(program!, [...rest, ...args], { cwd: '/' });
}

async function timelines(): Promise<(number | null | undefined)[]> {
  return (await scenario().lab.report()).nodes.map((node) => node.timeline);
}

test('a restart by an administrator: it comes back as what it was', async () => {
  setPolicy(scenario(), { crashRecoveryMs: 12_000 });
  // The shutdown takes as long as the checkpointer stands still: "shutting down" is seen, then a closed port, then the start.
  const checkpointer = findProcess('checkpointer');
  process.kill(checkpointer, 'SIGSTOP');
  const restarting = restart();
  await until('node 0 is shutting down', () =>
    readRows(scenario(), 0, 'select 1').then(
      () => false,
      (error: unknown) => String(error).includes('shutting down'),
    ),
  );
  const hook = runHook(scenario(), 'failover', '0', '1', '0');
  const { temporal, lab } = scenario();
  // A first look after the stop would find no process, and so a dead primary.
  await until('the runbook waits for the node', async () => {
    const { raw } = await temporal.workflow.getHandle(incidentWorkflowId(lab.configuration.cluster)).describe();
    return raw.pendingActivities?.some(({ activityType }) => activityType?.name === 'awaitRecovery') ?? false;
  });
  process.kill(checkpointer, 'SIGCONT');
  await restarting;
  expect((await hook).said).toContain('node 0 answers queries as the primary');
  await expectServed(scenario(), 60_000);
  await finishedIncident(scenario());
  await expectOneWritable(scenario(), 0);
  await expectPgpoolUses(scenario(), 0, [1, 2]);
  expect(await timelines()).toEqual([1, 1, 1]);
});

test('a crash recovery of some seconds, and a synchronous standby is away: nobody is fenced, and it is served again', async () => {
  const { lab } = scenario();
  setPolicy(scenario(), { crashRecoveryMs: 1000 });
  await readRows(scenario(), 0, `alter system set synchronous_standby_names = 'ANY 1 (node1, node2)'`);
  await readRows(scenario(), 0, 'select pg_reload_conf()');
  await lab.stopImmediate(2);
  await expectServed(scenario());
  // A process dies as by the OOM killer. The postmaster waits for the others before it recovers, 5 s for one that
  // stands still.
  process.kill(findProcess('background writer'), 'SIGSTOP');
  process.kill(findProcess('walwriter'), 'SIGKILL');
  const hook = await runHook(scenario(), 'failover', '0', '1', '0');
  expect(hook.said).toContain('refused (synchronous-set-unreachable)');
  expect(hook.said).toContain('ANY 1 (node1, node2)');
  expect(hook.exitCode).toBe(1);
  await expectServed(scenario(), 60_000);
  await expectOneWritable(scenario(), 0);
  expect((await timelines()).slice(0, 2)).toEqual([1, 1]);
});
