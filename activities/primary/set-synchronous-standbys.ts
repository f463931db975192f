// Writes synchronous_standby_names on the primary from who really streams, by policy.synchronous.

import { applicationNameOf, withRealNames } from '../../domain/facts/application-name';
import { type ClusterConfiguration, getNode, type NodeConfiguration } from '../../domain/facts/cluster';
import { formatSynchronousStandbyNames } from '../../domain/plans/synchronous';
import { compareLsn } from '../../domain/facts/wal';
import { nodeFactsBoundMs, readNodeFacts } from '../io/sql/node-facts';
import { nodeLockBoundMs, withNodeLock } from '../io/host/node-lock';
import type { SqlTarget } from '../io/sql/postgres';
import { alterSystem, readSetting, reloadBoundMs } from '../io/sql/settings';
import { sqlTarget, type Tools } from '../io/tools';

export interface SetSynchronousStandbysInput {
  readonly configuration: ClusterConfiguration;
  readonly primary: number;
}

const timeoutMs = 2000;
/** For a standby to say its name. */
const nameMs = 1000;
const lockTimes = { waitMs: 10_000, timeoutMs: 20_000 };
const name = 'synchronous_standby_names';
/** A standby confirms within milliseconds, and the WAL writer's pause (wal_writer_delay, 200 ms) comes before that. */
const confirmMs = 1200;
const lookMs = 50;
/** Bounds one choice: three queries for who confirms, or the wait for confirmMs, then the names, then the value in force. */
const chooseMs = Math.max(3 * timeoutMs, confirmMs + lookMs + timeoutMs) + nodeFactsBoundMs(nameMs) + timeoutMs;
/** Sums a choice and the lock, under which come a second choice, the reload, and the bytes that release what waits. */
export const boundMs =
  chooseMs + nodeLockBoundMs(lockTimes, { readsMs: chooseMs, lastMs: reloadBoundMs(timeoutMs) + timeoutMs });
/** Writes a few bytes of WAL, which no commit waits for; its position. */
const markQuery = `pg_logical_emit_message(false, 'pgpool-runbook', '')`;
const sendersQuery = `select pid, lower(application_name) as name, coalesce(flush_lsn, '0/0')::text as flushed
  from pg_stat_replication where state = 'streaming'`;

interface Sender {
  readonly pid: number;
  readonly name: string;
  readonly flushed: string;
}

/**
 * Idempotent; returns the value in force.
 * @throws Unreachable when something is to be changed and the node's lock cannot be had; Unproven when the value is not in force
 */
export async function setSynchronousStandbys(
  tools: Tools,
  input: SetSynchronousStandbysInput,
): Promise<{ changed: boolean; line: string }> {
  const { configuration } = input;
  const node = getNode(configuration, input.primary);
  const target = sqlTarget(configuration, node);
  const read = async (): Promise<{ wanted: string; isInForce: boolean }> => {
    const wanted = await chooseStandbys(tools, input);
    return { wanted, isInForce: (await readSetting(tools, target, name, timeoutMs)) === wanted };
  };
  const resultOf = (changed: boolean, value: string): { changed: boolean; line: string } => ({
    changed,
    line: value === '' ? 'replication is asynchronous' : `commits wait for ${value}`,
  });
  // The lock needs ssh: a primary that is set right already must not depend on it.
  const first = await read();
  if (first.isInForce) return resultOf(false, first.wanted);
  // Commits may be waiting for a standby that is lost: ssh must not be in the way.
  const lock = { configuration, node, ...lockTimes, isRequired: false };
  return await withNodeLock(tools, lock, async ({ confirm }) => {
    const { wanted: value, isInForce } = await read();
    if (isInForce) return resultOf(false, value);
    await alterSystem(tools, target, { name, value }, { timeoutMs, confirm });
    // Commits that the old value held are released by a standby's next message, which it may send only every 10 s
    // (wal_receiver_status_interval): a few bytes of WAL make it send one.
    await tools.sql.query(target, `select ${markQuery}`, { timeoutMs });
    return resultOf(true, value);
  });
}

async function chooseStandbys(tools: Tools, { configuration, primary }: SetSynchronousStandbysInput): Promise<string> {
  const { standbys, whenNone } = configuration.policy.synchronous;
  const others = configuration.nodes.filter((node) => node.id !== primary);
  const isDegrading = standbys > 0 && whenNone === 'degrade';
  // "wait" names everybody: whoever comes back releases the commits that wait, without waiting for us.
  const confirming = isDegrading
    ? await readConfirming(tools, sqlTarget(configuration, getNode(configuration, primary)))
    : null;
  // PostgreSQL compares these names without case (syncrep.c).
  const isNamed = (node: NodeConfiguration): boolean =>
    confirming?.includes(applicationNameOf(node).toLowerCase()) ?? false;
  // A standby that is listed under its name need not be asked for it, and none is asked where all are told: a silent one would cost time.
  const isTold = confirming !== null && others.filter(isNamed).length === confirming.length;
  const unclear = isTold ? [] : others.filter((node) => !isNamed(node));
  const facts = await Promise.all(unclear.map((node) => readNodeFacts(tools.sql, configuration, node, nameMs)));
  const named = withRealNames(configuration, facts);
  const chosen = named.nodes.filter((node) => node.id !== primary && (confirming === null || isNamed(node)));
  return formatSynchronousStandbyNames(
    named,
    chosen.map((node) => node.id),
  );
}

/**
 * Names of the standbys that confirm WAL now. One that has vanished, or is frozen, is listed as streaming until wal_sender_timeout (60 s):
 * so a few bytes are written, and who confirms nothing within confirmMs is left out.
 */
async function readConfirming(tools: Tools, target: SqlTarget): Promise<string[]> {
  const startedAt = Date.now();
  const read = (): Promise<Sender[]> => tools.sql.query<Sender>(target, sendersQuery, { timeoutMs });
  const first = await read();
  if (first.length === 0) return [];
  const [written] = await tools.sql.query<{ lsn: string }>(target, `select (${markQuery})::text as lsn`, { timeoutMs });
  for (;;) {
    const now = await read();
    const confirming = now.filter(({ pid, flushed }) => {
      const before = first.find((sender) => sender.pid === pid);
      const isWhole = compareLsn(flushed, written!.lsn) >= 0;
      return isWhole || (before !== undefined && compareLsn(flushed, before.flushed) > 0);
    });
    if (confirming.length === now.length || Date.now() - startedAt > confirmMs)
      return confirming.map(({ name }) => name);
    await tools.attempt.sleep(lookMs);
  }
}
