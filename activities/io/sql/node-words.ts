// The watch's question to a node, every second: less than a decision needs, and nothing that costs more where pg_wal is large.

import type { ClusterConfiguration, NodeConfiguration } from '../../../domain/facts/cluster';
import type { NodeWords } from '../../../domain/facts/watch';
import { messageOf } from '../failures';
import { sqlTarget } from '../tools';
import { spellHost, spellMs } from './node-address';
import { listedNameOf } from './node-facts';
import { SqlFailure, type SqlConnections } from './postgres';

const query = `
select r.is_in_recovery, (select system_identifier::text from pg_control_system()) as system_identifier,
  case when r.is_in_recovery then greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())
    else pg_current_wal_flush_lsn() end::text as lsn,
  case when r.is_in_recovery then greatest(w.received_tli, (select timeline_id from pg_control_checkpoint()),
      (select min_recovery_end_timeline from pg_control_recovery()))
    else ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int end as timeline,
  current_setting('synchronous_standby_names') as synchronous_standby_names,
  current_setting('primary_conninfo') as conninfo, current_setting('cluster_name') as cluster_name,
  array(select distinct lower(application_name) from pg_stat_replication where state = 'streaming' order by 1) as followers,
  w.sender_host, w.sender_port, w.received_tli
from (select pg_is_in_recovery() as is_in_recovery) r left join pg_stat_wal_receiver w on w.status = 'streaming'`;

interface Row {
  is_in_recovery: boolean;
  system_identifier: string;
  lsn: string | null;
  timeline: number;
  synchronous_standby_names: string;
  /** May hold a password: only application_name leaves this file. */
  conninfo: string;
  cluster_name: string;
  followers: string[];
  sender_host: string | null;
  sender_port: number | null;
  received_tli: number | null;
}

export interface HeardNode {
  readonly node: number;
  readonly said: NodeWords | null;
  readonly seen: string;
  /** Nothing came back at all. */
  readonly isSilent: boolean;
  /** A second try without a change is refused again. */
  readonly isRefused: boolean;
}

/** Bounds readNodeWords(): the name in an answer is resolved after it. */
export function nodeWordsBoundMs(timeoutMs: number): number {
  return timeoutMs + spellMs;
}

/** Never throws: a node that does not answer within timeoutMs has said nothing. */
export async function readNodeWords(
  sql: SqlConnections,
  configuration: ClusterConfiguration,
  node: NodeConfiguration,
  timeoutMs: number,
): Promise<HeardNode> {
  try {
    const [row] = await sql.query<Row>(sqlTarget(configuration, node), query, { lane: 'look', timeoutMs });
    const said = await toWords(configuration, row!);
    const seen = said.isInRecovery ? 'in recovery' : 'accepts writes';
    return { node: node.id, said, seen, isSilent: false, isRefused: false };
  } catch (error) {
    const state = error instanceof SqlFailure ? error.sqlState : null;
    const isRejected = error instanceof SqlFailure && error.kind === 'rejected';
    // Class 28: invalid authorization. Without a state it is the password file.
    const isRefused = isRejected && (state === null || state.startsWith('28'));
    const isSilent = error instanceof SqlFailure && error.kind === 'silent';
    return { node: node.id, said: null, seen: messageOf(error), isSilent, isRefused };
  }
}

async function toWords(configuration: ClusterConfiguration, row: Row): Promise<NodeWords> {
  const { sender_host: host, sender_port: port, received_tli: timeline } = row;
  const isStreaming = host !== null && port !== null && timeline !== null;
  return {
    isInRecovery: row.is_in_recovery,
    systemIdentifier: row.system_identifier,
    position: row.lsn === null ? null : { timeline: row.timeline, lsn: row.lsn },
    synchronousStandbyNames: row.synchronous_standby_names,
    applicationName: listedNameOf(row),
    followers: row.followers,
    receiver: isStreaming ? { host: await spellHost(configuration, host, port), port, timeline } : null,
  };
}
