// Writes synchronous_standby_names on the primary from who really streams, by policy.synchronous.

import { applicationNameOf, withRealNames } from '../domain/application-name';
import { type ClusterConfiguration, getNode, type NodeConfiguration } from '../domain/cluster';
import { formatSynchronousStandbyNames } from '../domain/synchronous';
import { readNodeFacts } from './io/node-facts';
import { withNodeLock } from './io/node-lock';
import { alterSystem, readSetting } from './io/settings';
import { sqlTarget, type Tools } from './io/tools';

export interface SetSynchronousStandbysInput {
  readonly configuration: ClusterConfiguration;
  readonly primary: number;
}

const timeoutMs = 2000;
/** For a standby to say its name. */
const nameMs = 1000;
const lockMs = 10_000;
const actMs = 20_000;
const name = 'synchronous_standby_names';

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
  const lock = { configuration, node, waitMs: lockMs, timeoutMs: actMs, isRequired: false };
  return await withNodeLock(tools, lock, async ({ confirm }) => {
    const { wanted: value, isInForce } = await read();
    if (isInForce) return resultOf(false, value);
    await alterSystem(tools, target, { name, value }, { timeoutMs, confirm });
    // Commits that the old value held are released by a standby's next message, which it may send only every 10 s
    // (wal_receiver_status_interval): a few bytes of WAL make it send one.
    await tools.sql.query(target, `select pg_logical_emit_message(false, 'pgpool-runbook', '')`, { timeoutMs });
    return resultOf(true, value);
  });
}

async function chooseStandbys(tools: Tools, { configuration, primary }: SetSynchronousStandbysInput): Promise<string> {
  const rows = await tools.sql.query<{ application_name: string }>(
    sqlTarget(configuration, getNode(configuration, primary)),
    `select application_name from pg_stat_replication where state = 'streaming'`,
    { timeoutMs },
  );
  // PostgreSQL compares these names without case (syncrep.c).
  const names = new Set(rows.map((row) => row.application_name.toLowerCase()));
  const isStreaming = (node: NodeConfiguration): boolean => names.has(applicationNameOf(node).toLowerCase());
  const others = configuration.nodes.filter((node) => node.id !== primary);
  // Whoever is listed under its name need not be asked for it, nor anybody where all are told: a silent one would cost time.
  const isTold = others.filter(isStreaming).length === names.size;
  const unclear = isTold ? [] : others.filter((node) => !isStreaming(node));
  const facts = await Promise.all(unclear.map((node) => readNodeFacts(tools.sql, configuration, node, nameMs)));
  const named = withRealNames(configuration, facts);
  const streaming = named.nodes.filter((node) => node.id !== primary && isStreaming(node));
  // With nobody streaming, an empty list would let commits pass: "wait" names everybody who may come back.
  const isWaiting = streaming.length === 0 && configuration.policy.synchronous.whenNone === 'wait';
  const chosen = isWaiting ? others : streaming;
  return formatSynchronousStandbyNames(
    named,
    chosen.map((node) => node.id),
  );
}
