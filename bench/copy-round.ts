// Measures the time until a node whose data must be copied streams again: ours, bare PostgreSQL tools, the article's
// script. Each round ends when the primary sees the node stream.

import { rejoin } from '../client/commands/rejoin';
import { users } from '../lab/layout';
import { setPolicy } from '../lab/policy';
import { labVariable, runOrFail } from '../lab/processes';
import { waitFor } from '../lab/wait';
import { Workload } from '../lab/workload';
import type { Bed } from './bed';
import { now } from './clock';
import { runFailoverRound } from './failover-round';
import { NodeWatch } from './node-watch';
import { articleRebuildScript, installArticle, ours, saveForArticle } from './rivals';

const copyMs = 300_000;
/** Interval of looks, in rounds of some seconds. */
const watchEveryMs = 20;

/** Copies a standby without usable data anew from the primary: node 2 from node 0. */
export async function runRebuildRound(bed: Bed, how: 'ours' | 'bare'): Promise<number> {
  await bed.begin(ours, 'large');
  const { lab } = bed;
  const standby = await bed.connect(2);
  await standby.query("alter system set primary_conninfo = ''");
  await standby.query('select pg_reload_conf()');
  await standby.end();
  await untilNobodyStreams(bed, 0, 'node2');
  if (how === 'bare') {
    // pgpool would call our hook for the node that goes down.
    await lab.stopPgpool();
    return await timeUntilStreaming(bed, 0, 2, () => copyBare(bed));
  }
  setPolicy(lab, { follow: ['rebuild'] });
  return await timeUntilStreaming(bed, 0, 2, () => rejoinNode(bed, 2));
}

/** Brings back the former primary after a failover under load, while clients go on writing 200 rows a second. */
export async function runRejoinRound(bed: Bed, how: 'ours' | 'article'): Promise<number> {
  const { lab } = bed;
  installArticle(lab, 'fast');
  const fault = { side: ours, data: 'large', fault: 'stop-immediate', node: 0, windowMs: 5000 } as const;
  const { primary } = await runFailoverRound(bed, { ...fault, watch: { until: 'followed', withinMs: 20_000 } });
  await bed.silence();
  const load = new Workload({ connection: lab.connection('pgpool'), table: 'bench_load', writers: 4, pauseMs: 19 });
  await load.start();
  try {
    await load.untilAcknowledged(100, 20_000);
    // Rebuild only: a node that holds nothing past the fork would otherwise just be started.
    if (how === 'ours') setPolicy(lab, { follow: ['rebuild'] });
    if (how === 'ours') return await timeUntilStreaming(bed, primary, 0, () => rejoinNode(bed, 0));
    saveForArticle(lab, 'fast', 0, primary);
    const { dataDirectory } = lab.layout.nodes[0]!;
    const argv = [articleRebuildScript(lab, 'fast'), '0', dataDirectory, lab.layout.nodes[primary]!.host];
    return await timeUntilStreaming(bed, primary, 0, () => runScript(bed, 0, '/bin/sh', argv));
  } finally {
    await load.stop();
  }
}

async function untilNobodyStreams(bed: Bed, primary: number, name: string): Promise<void> {
  const client = await bed.connect(primary);
  const text = 'select 1 from pg_stat_replication where application_name = $1';
  const isGone = async (): Promise<boolean> => (await client.query(text, [name])).rowCount === 0;
  await waitFor(isGone, { what: `${name} to be cut off`, timeoutMs: 10_000 });
  await client.end();
}

/** Milliseconds from now until the primary sees the node stream. `begin` may go on for longer, and must end well. */
async function timeUntilStreaming(
  bed: Bed,
  primary: number,
  node: number,
  begin: () => Promise<void>,
): Promise<number> {
  const watch = await NodeWatch.open(bed, [primary], watchEveryMs);
  try {
    const startedAt = now();
    const [followedAt] = await Promise.all([
      watch.untilStreaming(primary, [node], AbortSignal.timeout(copyMs)),
      begin(),
    ]);
    return followedAt - startedAt;
  } finally {
    await watch.close();
  }
}

/** The code of `pgpool-runbook rejoin`, without the start of its process. */
async function rejoinNode({ lab }: Bed, node: number): Promise<void> {
  const { exitCode, lines } = await rejoin(String(node), { config: lab.clusterFile, wait: true }, () => undefined);
  if (exitCode !== 0) throw new Error(`rejoin of node ${node}: ${lines.join('; ')}`);
}

/**
 * The commands of a careful person: copy beside the old data, stop, swap, start. Nothing is saved or verified. The
 * article's order is not used, because here a copy into memory that the removed data has just left is faster.
 */
async function copyBare(bed: Bed): Promise<void> {
  const { layout, passFile } = bed.lab;
  const [primary, { dataDirectory }] = [layout.nodes[0]!, layout.nodes[2]!];
  const bin = layout.tools.postgresBin;
  // pg_basebackup gets its own name: otherwise its WAL stream would be taken for the standby's, whose name is its
  // cluster_name.
  const source = `host=${primary.host} port=${primary.port} user=${users.replication} passfile=${passFile}`;
  const script = `set -e
"$1/pg_basebackup" -d "$3" -D "$2.new" -X stream -R -c fast -w
cp "$2/postgresql.conf" "$2.new/postgresql.conf"
"$1/pg_ctl" -D "$2" -m immediate stop
mv "$2" "$2.old"
mv "$2.new" "$2"
"$1/pg_ctl" -D "$2" -l "$2.log" start
`;
  await runScript(bed, 2, '/bin/sh', ['-c', script, 'sh', bin, dataDirectory, source]);
}

async function runScript({ lab }: Bed, node: number, command: string, argv: readonly string[]): Promise<void> {
  const { user, nodes } = lab.layout;
  await runOrFail(command, argv, { user, environment: { [labVariable]: nodes[node]!.directory } });
}
