// The facts that one node tells of itself over SQL, in one round trip.

import type { ClusterConfiguration, NodeConfiguration } from '../../../domain/facts/cluster';
import { parseTimelineHistory } from '../../../domain/facts/wal';
import { parseConninfo, readApplicationName } from '../../../domain/texts/conninfo';
import type { Address, NodeFacts, SqlAnswer } from '../../../domain/facts/facts';
import { parseFenceMark } from '../host/host-facts';
import { spellHost, spellMs } from './node-address';
import { SqlFailure, type SqlConnections } from './postgres';
import { sqlTarget } from '../tools';

/**
 * SQL: what a receiver has brought; null when nothing came. One that is asked for begins at the start of the segment that holds the replayed position
 * (walreceiverfuncs.c); where an archive has replayed right up to a segment's end, that looks as if it had brought the last one. Replayed may be past received: pg_switch_wal() ends its segment at once, and the empty rest is sent later.
 */
export const broughtBy = (received: string, replayed: string): string =>
  `case when ${received} >= ${replayed} or (${received} - '0/0'::pg_lsn) % pg_size_bytes(current_setting('wal_segment_size')) <> 0 then ${received} end`;

// A standby's timeline: its control file may still name the timeline of the last restart point, so what it received
// counts too. The LSN is read first: a standby that crosses to the next timeline meanwhile must not look as if it had gone
// past the fork on the old one. WAL segment names start with the timeline (PostgreSQL documentation, 30.6 WAL Internals), and
// nothing else in pg_wal has a name of 24 characters. There may be 100,000 of them: pg_ls_waldir() would look at each file.
const query = `
select r.is_in_recovery,
  (select system_identifier::text from pg_control_system()) as system_identifier,
  t.timeline, greatest(l.received, l.reached)::text as lsn,
  case when r.is_in_recovery then l.reached end::text as replayed, (${broughtBy('l.received', 'l.reached')})::text as received,
  pg_read_file(h.path, 0, 1048576, true) as history,
  extract(epoch from clock_timestamp() - (pg_stat_file(h.path, true)).modification) * 1000 as timeline_age_ms,
  case when r.is_in_recovery then pg_is_wal_replay_paused() end as is_replay_paused,
  case when r.is_in_recovery then (extract(epoch from current_setting('recovery_min_apply_delay')::interval) * 1000)::float8 end as apply_delay_ms,
  case when r.is_in_recovery and pg_is_wal_replay_paused() then (select json_object_agg(name, setting::int) from pg_settings
    where name in ('max_connections', 'max_worker_processes', 'max_wal_senders', 'max_prepared_transactions', 'max_locks_per_transaction'))
  end as own_settings,
  case when r.is_in_recovery then pg_read_file('standby.signal', 0, 64, true) end as standby_signal,
  case when not r.is_in_recovery then (select count(*)::int from pg_stat_activity
    where backend_type = 'client backend' and application_name <> 'pgpool-runbook') end as clients,
  case when not r.is_in_recovery then (select count(*)::int from pg_stat_replication
    where state = 'streaming' and application_name not in ('pg_basebackup', 'pg_receivewal')) end as followers,
  current_setting('synchronous_standby_names') as synchronous_standby_names,
  current_setting('primary_conninfo') as conninfo, current_setting('cluster_name') as cluster_name,
  w.status as receiver_status, w.sender_host, w.sender_port, w.received_tli,
  extract(epoch from clock_timestamp() - w.last_msg_receipt_time) * 1000 as last_message_age_ms
from (select pg_is_in_recovery() as is_in_recovery) r
cross join lateral (select case when r.is_in_recovery then pg_last_wal_receive_lsn() end as received,
  case when r.is_in_recovery then pg_last_wal_replay_lsn() else pg_current_wal_flush_lsn() end as reached offset 0) l
left join pg_stat_wal_receiver w on true
cross join lateral (select case when r.is_in_recovery
  then greatest(w.received_tli, (select timeline_id from pg_control_checkpoint()),
    (select min_recovery_end_timeline from pg_control_recovery()),
    (select ('x' || substr(max(name collate "C"), 1, 8))::bit(32)::int from pg_ls_dir('pg_wal') name where length(name) = 24))
  else ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int end as timeline) t
cross join lateral (select 'pg_wal/' || lpad(upper(to_hex(t.timeline)), 8, '0') || '.history' as path) h`;

interface Row {
  is_in_recovery: boolean;
  system_identifier: string;
  timeline: number;
  lsn: string | null;
  replayed: string | null;
  received: string | null;
  history: string | null;
  timeline_age_ms: string | null;
  is_replay_paused: boolean | null;
  apply_delay_ms: number | null;
  own_settings: Record<string, number> | null;
  standby_signal: string | null;
  clients: number | null;
  followers: number | null;
  synchronous_standby_names: string;
  /** May hold a password: only application_name, host and port leave this file. */
  conninfo: string;
  cluster_name: string;
  receiver_status: string | null;
  sender_host: string | null;
  sender_port: number | null;
  received_tli: number | null;
  last_message_age_ms: string | null;
}

/** Never throws: a node that does not answer within timeoutMs is a fact. */
export async function readNodeFacts(
  sql: SqlConnections,
  configuration: ClusterConfiguration,
  node: NodeConfiguration,
  timeoutMs: number,
): Promise<NodeFacts> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    try {
      const [row] = await sql.query<Row>(sqlTarget(configuration, node), query, {
        lane: 'look',
        timeoutMs: Math.max(1, deadline - Date.now()),
      });
      const facts = await spellHosts(configuration, toFacts(node.id, row!));
      lastNames(sql).set(keyOf(configuration, node), facts.applicationName);
      return facts;
    } catch (error) {
      const failed = error instanceof SqlFailure ? error : new SqlFailure('rejected', String(error));
      // A dying postmaster accepts, then hangs up; a moment later the answer is a clear one.
      if (failed.kind === 'lost' && Date.now() + retryPauseMs < deadline) {
        await new Promise((resolve) => setTimeout(resolve, retryPauseMs));
        continue;
      }
      const silent = silentNode(node.id, failed.kind === 'lost' ? 'silent' : failed.kind, failed.message);
      return { ...silent, applicationName: lastNames(sql).get(keyOf(configuration, node)) ?? null };
    }
  }
}

const retryPauseMs = 20;

/** Bounds readNodeFacts(): the names in an answer are resolved after it. */
export function nodeFactsBoundMs(timeoutMs: number): number {
  return timeoutMs + spellMs;
}

/** The name of each node for itself when it last answered this worker: a set that lists all nodes lists a dead one, too, and it cannot say any more under which name. */
const namesOf = new WeakMap<SqlConnections, Map<string, string | null>>();

function lastNames(sql: SqlConnections): Map<string, string | null> {
  const names = namesOf.get(sql) ?? new Map<string, string | null>();
  namesOf.set(sql, names);
  return names;
}

function keyOf({ cluster }: ClusterConfiguration, { id, host, port }: NodeConfiguration): string {
  return `${cluster}.${id} ${host}:${port}`;
}

function toFacts(node: number, row: Row): NodeFacts {
  const mark = row.standby_signal?.trim();
  return {
    node,
    sql: 'answered',
    sqlSeen: row.is_in_recovery ? 'answers, in recovery' : 'answers, accepts writes',
    isInRecovery: row.is_in_recovery,
    systemIdentifier: row.system_identifier,
    position: row.lsn === null ? null : { timeline: row.timeline, lsn: row.lsn },
    replayedLsn: row.replayed,
    receivedLsn: row.received,
    history: (row.history === null ? [] : parseTimelineHistory(row.history)) ?? [],
    timelineAgeMs: numberOrNull(row.timeline_age_ms),
    isReplayPaused: row.is_replay_paused,
    applyDelayMs: row.apply_delay_ms,
    ownSettings: row.own_settings,
    fenceMark: mark === undefined ? null : (parseFenceMark(mark) ?? 'none'),
    synchronousStandbyNames: row.synchronous_standby_names,
    upstream: row.is_in_recovery ? upstreamAddress(row.conninfo) : null,
    clients: row.clients,
    followers: row.followers,
    applicationName: listedNameOf(row),
    walReceiver:
      row.receiver_status === null
        ? null
        : {
            isStreaming: row.receiver_status === 'streaming',
            host: row.sender_host,
            port: row.sender_port,
            timeline: row.received_tli,
            lastMessageAgeMs: numberOrNull(row.last_message_age_ms),
          },
    host: null,
  };
}

/** Without application_name a standby is listed by its cluster_name, else as walreceiver (walreceiver.c, WalReceiverMain). */
export function listedNameOf({
  conninfo,
  cluster_name: clusterName,
  is_in_recovery: isInRecovery,
}: Pick<Row, 'conninfo' | 'cluster_name' | 'is_in_recovery'>): string | null {
  return readApplicationName(conninfo) ?? (isInRecovery ? clusterName || 'walreceiver' : null);
}

/** In the cluster file's words, so that facts can be compared. */
async function spellHosts(configuration: ClusterConfiguration, facts: NodeFacts): Promise<NodeFacts> {
  const { upstream, walReceiver } = facts;
  const [own, sender] = await Promise.all([
    upstream && spellHost(configuration, upstream.host, upstream.port),
    walReceiver?.host ? spellHost(configuration, walReceiver.host, walReceiver.port) : null,
  ]);
  return {
    ...facts,
    upstream: upstream && own ? { ...upstream, host: own } : upstream,
    walReceiver: walReceiver && sender ? { ...walReceiver, host: sender } : walReceiver,
  };
}

export function silentNode(node: number, sql: SqlAnswer, sqlSeen: string): NodeFacts {
  return {
    node,
    sql,
    sqlSeen,
    isInRecovery: null,
    systemIdentifier: null,
    position: null,
    replayedLsn: null,
    receivedLsn: null,
    history: [],
    timelineAgeMs: null,
    isReplayPaused: null,
    applyDelayMs: null,
    ownSettings: null,
    fenceMark: null,
    synchronousStandbyNames: null,
    upstream: null,
    clients: null,
    followers: null,
    applicationName: null,
    walReceiver: null,
    host: null,
  };
}

/** Only host and port: a conninfo may hold a password, and facts are kept in histories. */
function upstreamAddress(conninfo: string): Address | null {
  const values = parseConninfo(conninfo);
  const host = values?.get('hostaddr') ?? values?.get('host');
  return host ? { host, port: Number(values?.get('port') ?? '5432') } : null;
}

function numberOrNull(text: string | null): number | null {
  return text === null ? null : Math.round(Number(text));
}
