// The first look at a cluster, at worker start: what it warns of beside ways that do not work.

import type { WorkerTools } from '../../activities/io/tools';
import { findUnreachable } from '../../worker/first-look';
import { makeConfiguration } from '../domain/builders';

/** Three nodes that answer, node 0 as the primary; `conninfo` is what each standby says of its own. */
function toolsWhere(conninfo: string): WorkerTools {
  const query = (target: { host: string }) =>
    Promise.resolve([
      { is_in_recovery: target.host !== '10.0.0.10', conninfo, cluster_name: '15/main', lsn: null, history: null },
    ]);
  const run = (_: unknown, script: string) =>
    Promise.resolve({
      exitCode: 0,
      stderr: '',
      stdout: `${script.includes('psql') ? 'exit=0' : 'processes=running'}\nanswer=done\n`,
    });
  return { sql: { query }, ssh: { run } } as unknown as WorkerTools;
}

const warningsOf = async (conninfo: string, applicationName: string | null): Promise<string[]> => {
  const nodes = { 0: { applicationName }, 1: { applicationName }, 2: { applicationName: null } };
  return await findUnreachable(toolsWhere(conninfo), { ...makeConfiguration({ nodes }), pgpool: [] });
};

test.each([
  ['host=a application_name=shop_b', 'shop_b'],
  ['host=a', '15/main'],
])('a standby with %j whose name is another one in the cluster file is one warning', async (conninfo, name) => {
  expect(await warningsOf(conninfo, 'node1')).toEqual([
    `shop, node 1 is a standby named ${name}, and the cluster file says applicationName node1, which its next follow sets: to keep ${name}, write it there or leave the key out`,
  ]);
});

test.each(['shop_b', null])('%j in the cluster file is none', async (applicationName) => {
  expect(await warningsOf('application_name=shop_b', applicationName)).toEqual([]);
});
