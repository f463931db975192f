// The state of a lab now: each node by SQL, each process by its pid, each backend as pgpool sees it by PCP.
import { readNodeInfo } from '../activities/io/pcp/pcp';
import type { ClusterConfiguration } from '../domain/facts/cluster';
import type { Layout, NodeLayout } from './layout';
import { query, readPostmaster } from './postgres';
import { isRunning } from './processes';
import type { LabState } from './state';

/** `null` = could not be measured (the node does not answer). */
export interface NodeReport {
  readonly id: number;
  readonly address: string;
  /** Is there a postmaster (frozen ones included)? */
  readonly isRunning: boolean;
  readonly isSshRunning: boolean;
  readonly isDropped: boolean;
  readonly isInRecovery: boolean | null;
  readonly timeline: number | null;
  /** Received or replayed on a standby, whichever is greater; written on a primary. */
  readonly lsn: string | null;
  /** The node that this node streams from now. */
  readonly streamingFrom: number | null;
}

export interface BackendReport {
  readonly pgpool: string;
  readonly id: number;
  readonly status: string;
  readonly role: string;
  /** The node's own answer to pgpool. */
  readonly pgRole: string;
}

export interface LabReport {
  readonly nodes: readonly NodeReport[];
  /** Null where PCP did not answer within 2 s. */
  readonly backends: readonly (
    BackendReport | { readonly pgpool: string; readonly id: number; readonly error: string }
  )[];
  readonly isPgpoolRunning: boolean;
  readonly isTemporalRunning: boolean;
  readonly isWorkerRunning: boolean;
}

// On a standby without a WAL receiver the newest timeline that its data needs is in the control file.
const nodeQuery = `
SELECT r AS "isInRecovery",
  (CASE WHEN r THEN greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) ELSE pg_current_wal_lsn() END)::text AS lsn,
  CASE WHEN r THEN coalesce(w.received_tli, nullif(c.min_recovery_end_timeline, 0), k.timeline_id)
    ELSE ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int END AS timeline,
  w.sender_host AS host, w.sender_port AS port
FROM pg_is_in_recovery() AS r, pg_control_recovery() AS c, pg_control_checkpoint() AS k
LEFT JOIN pg_stat_wal_receiver AS w ON w.status = 'streaming'`;

export async function report(state: LabState, configuration: ClusterConfiguration): Promise<LabReport> {
  const { layout, processes } = state;
  const [nodes, backends] = await Promise.all([
    Promise.all(layout.nodes.map((node) => reportNode(state, node))),
    Promise.all(
      configuration.pgpool.flatMap((pgpool) =>
        configuration.nodes.map(async ({ id }) => {
          try {
            const { status, role, pgRole } = await readNodeInfo(pgpool, id, { timeoutMs: 2000 });
            return { pgpool: pgpool.name, id, status, role, pgRole };
          } catch (error) {
            return { pgpool: pgpool.name, id, error: error instanceof Error ? error.message : String(error) };
          }
        }),
      ),
    ),
  ]);
  return {
    nodes,
    backends,
    isPgpoolRunning: isRunning(processes['pgpool']),
    isTemporalRunning: isRunning(processes['temporal']),
    isWorkerRunning: isRunning(processes['worker']),
  };
}

async function reportNode(state: LabState, node: NodeLayout): Promise<NodeReport> {
  const { layout, processes, dropped } = state;
  const known = {
    id: node.id,
    address: `${node.host}:${node.port}`,
    isRunning: readPostmaster(node) !== null,
    isSshRunning: isRunning(processes[`sshd${node.id}`]),
    isDropped: dropped.includes(node.id),
  };
  try {
    const row = (await query(layout, node, nodeQuery))[0] as {
      isInRecovery: boolean;
      lsn: string | null;
      timeline: number;
      host: string | null;
      port: number | null;
    };
    const { isInRecovery, lsn, timeline } = row;
    return { ...known, isInRecovery, lsn, timeline, streamingFrom: findSender(layout, row) };
  } catch {
    return { ...known, isInRecovery: null, lsn: null, timeline: null, streamingFrom: null };
  }
}

function findSender(layout: Layout, row: { host: string | null; port: number | null }): number | null {
  return layout.nodes.find(({ host, port }) => host === row.host && port === row.port)?.id ?? null;
}
