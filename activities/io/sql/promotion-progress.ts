// The progress of a standby that was told to promote: the causes for which it is waited for, and the queries in its way.

import { type SqlTarget } from './postgres';
import type { Tools } from '../tools';

/** replaying, archive and conflict end by themselves or can be ended; paused and null do not. */
export type HoldUpKind = 'replaying' | 'archive' | 'conflict' | 'paused';

export interface HoldUp {
  readonly kind: HoldUpKind | null;
  /** In words, for people. */
  readonly seen: string;
  /** Backends whose queries or locks the replay waits for. */
  readonly blockers: readonly number[];
}

interface Row extends Record<string, unknown> {
  wait_type: string | null;
  wait: string | null;
  blockers: number[];
  queries: number[];
  is_paused: boolean;
  may_fetch: boolean;
}

// The startup process says what it waits for (PostgreSQL documentation, 28.2.3 Wait Events). Before 15 a running restore_command has no event.
// pg_blocking_pids knows no auxiliary process (procarray.c, BackendPidGetProcWithLock), so its lock is looked for among the others'.
const query = `
select s.wait_event_type as wait_type, s.wait_event as wait, pg_is_wal_replay_paused() as is_paused,
  array(select distinct h.pid from pg_locks w join pg_locks h on h.granted and h.pid <> w.pid
    and (h.locktype, h.database, h.relation, h.virtualxid, h.transactionid, h.classid, h.objid) is not distinct from
      (w.locktype, w.database, w.relation, w.virtualxid, w.transactionid, w.classid, w.objid)
    where w.pid = s.pid and not w.granted) as blockers,
  array(select pid from pg_stat_activity where backend_type = 'client backend' and application_name <> 'pgpool-runbook'
    and (backend_xmin is not null or state = 'active')) as queries,
  current_setting('server_version_num')::int < 150000 and current_setting('restore_command') <> '' as may_fetch
from pg_stat_activity s where s.backend_type = 'startup'`;

/** Null when the node is out of recovery. @throws SqlFailure */
export async function readHoldUp(tools: Tools, target: SqlTarget, timeoutMs: number): Promise<HoldUp | null> {
  const [row] = await tools.sql.query<Row>(target, query, { timeoutMs });
  return row ? judgeHoldUp(row) : null;
}

function judgeHoldUp({
  wait_type: type,
  wait,
  blockers,
  queries,
  is_paused: isPaused,
  may_fetch: mayFetch,
}: Row): HoldUp {
  if (type === 'Lock') return conflict(`a lock of ${describe(blockers)}`, blockers);
  if (wait?.startsWith('RecoveryConflict') || type === 'BufferPin')
    return conflict(`${String(wait)} with queries of ${describe(queries)}`, queries);
  if (wait === 'RestoreCommand' || (mayFetch && wait === null))
    return { kind: 'archive', seen: 'its restore_command is running', blockers: [] };
  if (isPaused) return { kind: 'paused', seen: 'its replay is paused', blockers: [] };
  return { kind: null, seen: wait === null ? 'nothing shows what it waits for' : `it waits for ${wait}`, blockers: [] };
}

function conflict(what: string, blockers: readonly number[]): HoldUp {
  return { kind: 'conflict', seen: `its replay waits for ${what}`, blockers };
}

function describe(pids: readonly number[]): string {
  return pids.length > 0 ? `pid ${pids.join(', ')}` : 'somebody';
}
