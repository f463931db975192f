// The worker's tries at its start: the ways that a failover needs, those from node to node included, and a warning of a
// coming change.

import type { WorkerTools } from '../../activities/io/tools';
import { parseClusterFile } from '../../configuration/load';
import type { ClusterConfiguration } from '../../domain/facts/cluster';
import { findUnreachable } from '../../worker/first-look';
import { clusterFile } from '../configuration/cluster-file';

const configuration: ClusterConfiguration = { ...parseClusterFile(clusterFile, 'shop.yaml'), pgpool: [] };

/** Node 0 is the primary; every host answers; psql on a host says what `probe` says. */
function makeTools(probe: string, names = ''): WorkerTools {
  const query = ({ host }: { host: string }) => {
    const isPrimary = host === configuration.nodes[0]!.host;
    return Promise.resolve([
      {
        is_in_recovery: !isPrimary,
        lsn: null,
        history: null,
        conninfo: '',
        cluster_name: `node${host}`,
        synchronous_standby_names: isPrimary ? names : '',
      },
    ]);
  };
  const run = (_: unknown, script: string) =>
    Promise.resolve({
      exitCode: 0,
      stderr: '',
      stdout: script.includes('psql') ? probe : 'processes=running\nanswer=done\n',
    });
  return { sql: { query }, ssh: { run } } as unknown as WorkerTools;
}

it('is silent when every way works', async () => {
  expect(await findUnreachable(makeTools('exit=0\nanswer=done\n'), configuration)).toEqual([]);
});

it('names each standby whose host cannot ask the primary, and where to look', async () => {
  const lines = await findUnreachable(
    makeTools('exit=2\nsaid=psql: error: fe_sendauth: no password supplied\nanswer=done\n'),
    configuration,
  );
  expect(lines).toEqual(
    [1, 2].map(
      (node) =>
        `shop, node ${node}, psql from its host to node 0, the primary: psql: error: fe_sendauth: no password supplied; check ~/.pgpass there and pg_hba.conf of node 0`,
    ),
  );
});

it('says when the next failover turns the site’s synchronous replication off', async () => {
  expect(await findUnreachable(makeTools('exit=0\nanswer=done\n', 'ANY 1 (node1, node2)'), configuration)).toEqual([
    expect.stringMatching(/^shop: at the next failover replication becomes asynchronous/) as string,
  ]);
});
