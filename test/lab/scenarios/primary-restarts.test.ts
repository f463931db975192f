// The primary is alive and not ready: an administrator restarts it, or it recovers for long while a standby that it waited for is away. It is given
// back its service, and never fenced for a promotion that cannot be.

import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { getNode } from '../../../domain/cluster';
import {
  expectOneWritable,
  expectPgpoolUses,
  expectServed,
  finishedIncident,
  readRows,
  setPolicy,
  until,
  untilParked,
  useScenario,
} from './support';

const scenario = useScenario('restarts');

function pgCtl(...args: readonly string[]): void {
  const { lab } = scenario();
  const command = [
    join(lab.configuration.postgres.bin, 'pg_ctl'),
    '-D',
    getNode(lab.configuration, 0).dataDirectory,
    ...args,
  ];
  const [program, ...rest] = process.getuid?.() === 0 ? ['runuser', '-u', 'postgres', '--', ...command] : command;
  execFileSync(program!, rest, { cwd: '/', stdio: 'ignore' });
}

async function timelines(): Promise<(number | null | undefined)[]> {
  return (await scenario().lab.report()).nodes.map((node) => node.timeline);
}

test('a restart by an administrator: it comes back as what it was', async () => {
  setPolicy(scenario(), { crashRecoveryMs: 15_000 });
  pgCtl('-w', '-m', 'fast', '-l', '/dev/null', 'restart');
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
  await finishedIncident(scenario());
  const { dataDirectory } = getNode(lab.configuration, 0);
  const find = (title: string): number[] =>
    execFileSync('ps', ['-eo', 'pid=,args='], { encoding: 'utf8' })
      .split('\n')
      .filter((line) => line.includes('node0') && line.includes(title))
      .map((line) => Number(line.trim().split(' ')[0]));
  expect(dataDirectory).toContain('node0');
  // One backend dies as by the OOM killer; the startup process then stands still, as if there were much to recover.
  process.kill(find('walwriter')[0]!, 'SIGKILL');
  let startup: number | undefined;
  await until('it recovers', () => {
    [startup] = find('startup');
    if (startup !== undefined) process.kill(startup, 'SIGSTOP');
    return Promise.resolve(startup !== undefined);
  });
  try {
    expect(await untilParked(scenario(), 'failover')).toMatchObject({
      problem: expect.stringContaining('ANY 1 (node1, node2)') as string,
    });
  } finally {
    process.kill(startup!, 'SIGCONT');
  }
  await expectServed(scenario(), 60_000);
  await expectOneWritable(scenario(), 0);
  expect((await timelines()).slice(0, 2)).toEqual([1, 1]);
});
