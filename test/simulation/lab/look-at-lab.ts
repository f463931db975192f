// The lab as the model shows its world: each node by its processes and by SQL, pgpool by PCP.

import { Client } from 'pg';
import { readNodeInfo } from '../../../activities/io/pcp/pcp';
import { getNodeLayout, readPostmaster } from '../../../lab/postgres';
import { isRunning } from '../../../lab/processes';
import { readState } from '../../../lab/state';
import type { Scenario } from '../../lab/scenarios/support';
import { type End, primaryText } from './end';

const patienceMs = 3000;

/** Null = pgpool runs and does not answer. */
export async function lookAtLab(
  scenario: Scenario,
  { verdict, parked }: Pick<End, 'verdict' | 'parked'>,
): Promise<End | null> {
  const { configuration } = scenario.lab;
  const [seen, pgpool] = await Promise.all([
    Promise.all(configuration.nodes.map(({ id }) => lookAtNode(scenario, id))),
    lookAtPgpool(scenario),
  ]);
  if (pgpool === 'silent') return null;
  // A receiver does not notice at once that its sender is gone.
  const isThere = (text: string): boolean => text !== 'down' && text !== 'silent';
  const nodes = seen.map((text) => {
    const from = /^follows ([0-9]+)$/.exec(text)?.[1];
    return from === undefined || isThere(seen[Number(from)]!) ? text : 'alone';
  });
  return { nodes, pgpool, verdict, parked };
}

const nodeQuery = `
SELECT pg_is_in_recovery() AS "isInRecovery",
  CASE WHEN pg_is_in_recovery() THEN 0
    ELSE ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int END AS timeline,
  current_setting('synchronous_standby_names') AS names,
  (SELECT sender_host || ':' || sender_port FROM pg_stat_wal_receiver WHERE status = 'streaming') AS sender`;

interface Row {
  readonly isInRecovery: boolean;
  readonly timeline: number;
  readonly names: string;
  readonly sender: string | null;
}

async function lookAtNode({ lab }: Scenario, id: number): Promise<string> {
  if (readPostmaster(getNodeLayout(lab.layout, id)) === null) return 'down';
  const options = { connectionTimeoutMillis: patienceMs, query_timeout: patienceMs };
  const client = new Client({ ...lab.connection(id), ...options });
  client.on('error', () => undefined);
  try {
    await client.connect();
    const { rows } = await client.query<Row>(nodeQuery);
    const { isInRecovery, timeline, names, sender } = rows[0]!;
    if (!isInRecovery) return primaryText(timeline, names);
    const from = lab.configuration.nodes.find(({ host, port }) => `${host}:${port}` === sender);
    return from ? `follows ${from.id}` : 'alone';
  } catch {
    return 'silent';
  } finally {
    // A frozen server answers no farewell.
    void client.end().catch(() => undefined);
  }
}

async function lookAtPgpool({ lab }: Scenario): Promise<readonly string[] | null | 'silent'> {
  if (!isRunning(readState(lab.name)?.processes['pgpool'])) return null;
  const { pgpool, nodes } = lab.configuration;
  try {
    const infos = await Promise.all(nodes.map(({ id }) => readNodeInfo(pgpool[0]!, id, { timeoutMs: patienceMs })));
    return infos.map(({ status, role }) => (status === 'down' ? 'down' : role === 'primary' ? 'primary' : 'up'));
  } catch {
    return 'silent';
  }
}
