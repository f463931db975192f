// Synchronous replication: who may hold the last acknowledged commit, and what the new primary waits for.
// R + W > N: of N listed standbys W had to confirm each commit; asking R of them is enough when R + W > N.

import { type ClusterConfiguration } from './cluster';

export interface SynchronousSet {
  readonly required: number;
  /** application_name values; `*` = any. Empty = asynchronous. */
  readonly names: readonly string[];
}

const asynchronous: SynchronousSet = { required: 0, names: [] };

/** synchronous_standby_names (PostgreSQL documentation, 20.6.2): `ANY k (a, b)`, `FIRST k (a, b)`, `k (a, b)`, `a, b`. Null if malformed. */
export function parseSynchronousStandbyNames(text: string): SynchronousSet | null {
  const trimmed = text.trim();
  if (trimmed === '') return asynchronous;
  const method = /^(?:(?:any|first)\s+)?([0-9]{1,4})\s*\(([^()]*)\)$/i.exec(trimmed);
  const names = splitNames(method ? method[2]! : trimmed);
  const required = method ? Number(method[1]) : 1;
  return names === null || required === 0 ? null : { required, names };
}

function splitNames(text: string): string[] | null {
  const names: string[] = [];
  for (const part of text.split(',')) {
    const match = /^\s*(?:"((?:[^"]|"")+)"|([^\s"()]+))\s*$/.exec(part);
    if (!match) return null;
    names.push(match[1]?.replaceAll('""', '"') ?? match[2]!);
  }
  return names;
}

export interface CommitQuestion {
  /** synchronous_standby_names of the former primary; null = unreadable. */
  readonly inForce: string | null;
  /** The standbys' own values of it: not in force there, and perhaps old. */
  readonly copies: readonly { readonly node: number; readonly names: string }[];
  /** Standbys that answer and are not ahead of the candidate. */
  readonly reachable: readonly number[];
  readonly formerPrimary: number | null;
}

/**
 * Do the reachable standbys hold the last acknowledged commit for certain? Null = yes, else the sentence that says why not. Where the set in force is
 * unknown, the policy's and every copy must be satisfied.
 */
export function hasLastCommit(
  configuration: ClusterConfiguration,
  { inForce, copies, reachable, formerPrimary }: CommitQuestion,
): string | null {
  const standbys = configuration.nodes.filter((node) => node.id !== formerPrimary);
  const allNames = standbys.map((node) => node.applicationName);
  const formerName = configuration.nodes.find((node) => node.id === formerPrimary)?.applicationName.toLowerCase();
  // Unreadable text must not pass as "asynchronous".
  const parse = (text: string): SynchronousSet =>
    parseSynchronousStandbyNames(text) ?? { required: 1, names: allNames };
  const sets =
    inForce !== null
      ? [{ set: parse(inForce), source: `synchronous_standby_names '${inForce}'` }]
      : [
          {
            set: { required: configuration.policy.synchronous.standbys, names: allNames },
            source: 'policy.synchronous',
          },
          ...copies.map(({ node, names }) => ({
            set: parse(names),
            source: `synchronous_standby_names '${names}' (node ${node}'s copy)`,
          })),
        ];
  for (const { set, source } of sets) {
    // PostgreSQL compares names without case (syncrep.c, SyncRepGetStandbyPriority); a primary never confirms to itself,
    // and a listed standby that the cluster file does not know may hold a commit as well.
    const listed = (set.names.includes('*') ? allNames : set.names).map((name) => name.toLowerCase());
    const members = new Set(listed.filter((name) => name !== formerName));
    const asked = standbys.filter(
      (node) => reachable.includes(node.id) && members.has(node.applicationName.toLowerCase()),
    ).length;
    if (set.required > 0 && members.size > 0 && asked + set.required <= members.size) {
      return `${asked} of the ${members.size} standbys of ${source} answer without being ahead of the candidate: the last acknowledged commit may be on another one; bring it back`;
    }
  }
  return null;
}

/**
 * The value that makes commits wait for these standbys; '' = for nobody. Never more are required than are named: that would
 * release nobody, ever.
 */
export function formatSynchronousStandbyNames(configuration: ClusterConfiguration, named: readonly number[]): string {
  const names = configuration.nodes.filter(({ id }) => named.includes(id)).map((node) => `"${node.applicationName}"`);
  const required = Math.min(configuration.policy.synchronous.standbys, names.length);
  return required === 0 ? '' : `ANY ${String(required)} (${names.join(', ')})`;
}
