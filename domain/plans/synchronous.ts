// Synchronous replication: which standbys may hold the last acknowledged commit, and which the new primary waits for.
// R + W > N: of N listed standbys W had to confirm each commit; asking R of them is enough when R + W > N.

import { applicationNameOf } from '../facts/application-name';
import type { ClusterConfiguration, NodeConfiguration } from '../facts/cluster';

export interface SynchronousSet {
  readonly required: number;
  /** application_name values; `*` = any. Empty = asynchronous. */
  readonly names: readonly string[];
}

const asynchronous: SynchronousSet = { required: 0, names: [] };

/**
 * synchronous_standby_names (PostgreSQL documentation, 20.6.2): `ANY k (a, b)`, `FIRST k (a, b)`, `k (a, b)`, `a, b`.
 * Null if malformed.
 */
export function parseSynchronousStandbyNames(text: string): SynchronousSet | null {
  const trimmed = text.trim();
  if (trimmed === '') return asynchronous;
  const method = /^(?:(?:any|first)\s+)?([0-9]{1,4})\s*\((.*)\)$/is.exec(trimmed);
  const names = splitNames(method ? method[2]! : trimmed);
  const required = method ? Number(method[1]) : 1;
  return names === null || required === 0 ? null : { required, names };
}

/** Splits a list of names. A quoted name may hold anything (syncrep_scanner.l); a bare one ends at the comma. */
function splitNames(text: string): string[] | null {
  const names: string[] = [];
  const pattern = /\s*(?:"((?:[^"]|"")+)"|([^\s",()]+))\s*(,|$)/gy;
  for (;;) {
    const match = pattern.exec(text);
    if (!match) return null;
    names.push(match[1]?.replaceAll('""', '"') ?? match[2]!);
    if (match[3] === '') return names;
  }
}

export interface CommitQuestion {
  /** synchronous_standby_names of the former primary; null = unreadable. */
  readonly inForce: string | null;
  /** The standbys' own values of the setting: not in force there, and perhaps old. */
  readonly copies: readonly { readonly node: number; readonly names: string }[];
  /** Standbys that answer and are not ahead of the candidate. */
  readonly reachable: readonly number[];
  readonly formerPrimary: number | null;
}

/**
 * Do the reachable standbys certainly hold the last acknowledged commit? Null = yes, else the sentence that says why
 * not. Where the set in force is unknown, the policy's set and every copy must be satisfied.
 */
export function hasLastCommit(
  configuration: ClusterConfiguration,
  { inForce, copies, reachable, formerPrimary }: CommitQuestion,
): string | null {
  const nameOf = (node: NodeConfiguration): string => applicationNameOf(node).toLowerCase();
  const standbys = configuration.nodes.filter((node) => node.id !== formerPrimary);
  const former = configuration.nodes.find((node) => node.id === formerPrimary);
  // Unreadable text must not pass as "asynchronous".
  const parse = (text: string): SynchronousSet => parseSynchronousStandbyNames(text) ?? { required: 1, names: ['*'] };
  const byPolicy = { required: configuration.policy.synchronous.standbys, names: ['*'] };
  const sets =
    inForce !== null
      ? [{ set: parse(inForce), source: `synchronous_standby_names '${inForce}'` }]
      : [
          { set: byPolicy, source: 'policy.synchronous' },
          ...copies.map(({ node, names }) => ({
            set: parse(names),
            source: `synchronous_standby_names '${names}' (node ${node}'s copy)`,
          })),
        ];
  for (const { set, source } of sets) {
    // PostgreSQL compares names without case (syncrep.c, SyncRepGetStandbyPriority); a primary never confirms to
    // itself, and a listed standby that the cluster file does not know may hold a commit as well.
    const isListed = (node: NodeConfiguration): boolean => names.has('*') || names.has(nameOf(node));
    const names = new Set(set.names.map((name) => name.toLowerCase()));
    if (former) names.delete(nameOf(former));
    const strangers = [...names].filter((name) => name !== '*' && !standbys.some((node) => nameOf(node) === name));
    const members = standbys.filter(isListed).length + (names.has('*') ? 0 : strangers.length);
    const asked = standbys.filter((node) => reachable.includes(node.id) && isListed(node)).length;
    if (set.required > 0 && members > 0 && asked + set.required <= members) {
      const unknown = strangers.length === 0 ? '' : `; no node is known as ${strangers.join(', ')}`;
      return `${asked} of the ${members} standbys of ${source} answer without being ahead of the candidate${unknown}: the last acknowledged commit may be on another one; bring it back`;
    }
  }
  return null;
}

/**
 * The value that makes commits wait for these standbys; '' = for none. It never requires more standbys than it names,
 * because commits would then wait for ever.
 */
export function formatSynchronousStandbyNames(configuration: ClusterConfiguration, named: readonly number[]): string {
  const names = configuration.nodes
    .filter(({ id }) => named.includes(id))
    .map((node) => `"${applicationNameOf(node).replaceAll('"', '""')}"`);
  const required = Math.min(configuration.policy.synchronous.standbys, names.length);
  return required === 0 ? '' : `ANY ${required} (${names.join(', ')})`;
}
