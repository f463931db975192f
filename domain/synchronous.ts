// Synchronous replication: who may hold the last acknowledged commit, and what the new primary waits for.
// R + W > N: of N listed standbys W had to confirm each commit; asking R of them is enough when R + W > N.

import { applicationNameOf } from './application-name';
import type { ClusterConfiguration, NodeConfiguration } from './cluster';

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
  const method = /^(?:(?:any|first)\s+)?([0-9]{1,4})\s*\((.*)\)$/is.exec(trimmed);
  const names = splitNames(method ? method[2]! : trimmed);
  const required = method ? Number(method[1]) : 1;
  return names === null || required === 0 ? null : { required, names };
}

/** A name in double quotes may hold anything (syncrep_scanner.l); a bare one ends where a list goes on. */
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

/**
 * Do `reachable` standbys, none of them ahead of the candidate, hold the last acknowledged commit for certain? Null = yes, else the sentence that says why not.
 * The set in force is the former primary's own if readable, and the cluster file's; the stricter wins.
 */
export function hasLastCommit(
  configuration: ClusterConfiguration,
  formerSetting: string | null,
  reachable: readonly number[],
  formerPrimary: number | null,
): string | null {
  const nameOf = (node: NodeConfiguration): string => applicationNameOf(node).toLowerCase();
  const standbys = configuration.nodes.filter((node) => node.id !== formerPrimary);
  const former = configuration.nodes.find((node) => node.id === formerPrimary);
  const sets: { set: SynchronousSet; source: string }[] = [
    { set: { required: configuration.policy.synchronous.standbys, names: ['*'] }, source: 'policy.synchronous' },
  ];
  if (formerSetting !== null) {
    const set = parseSynchronousStandbyNames(formerSetting);
    // Unreadable text must not pass as "asynchronous".
    sets.push({ set: set ?? { required: 1, names: ['*'] }, source: `synchronous_standby_names '${formerSetting}'` });
  }
  for (const { set, source } of sets) {
    // PostgreSQL compares names without case (syncrep.c, SyncRepGetStandbyPriority); a primary never confirms to itself,
    // and a listed standby that the cluster file does not know may hold a commit as well.
    const isListed = (node: NodeConfiguration): boolean => names.has('*') || names.has(nameOf(node));
    const names = new Set(set.names.map((name) => name.toLowerCase()));
    if (former) names.delete(nameOf(former));
    const strangers = [...names].filter((name) => name !== '*' && !standbys.some((node) => nameOf(node) === name));
    const members = standbys.filter(isListed).length + (names.has('*') ? 0 : strangers.length);
    const asked = standbys.filter((node) => reachable.includes(node.id) && isListed(node)).length;
    if (set.required > 0 && members > 0 && asked + set.required <= members) {
      const unknown = strangers.length === 0 ? '' : `; no node is known as ${strangers.join(', ')}`;
      return `${String(asked)} of the ${String(members)} standbys of ${source} answer without being ahead of the candidate${unknown}: the last acknowledged commit may be on another one; bring it back`;
    }
  }
  return null;
}

/** The value that lets a new primary commit with these standbys streaming; '' = asynchronous. */
export function formatSynchronousStandbyNames(
  configuration: ClusterConfiguration,
  streaming: readonly number[],
): string {
  const { standbys, whenNone } = configuration.policy.synchronous;
  if (standbys === 0) return '';
  const names = configuration.nodes
    .filter((node) => streaming.includes(node.id))
    .map((node) => `"${applicationNameOf(node).replaceAll('"', '""')}"`);
  const required = whenNone === 'wait' ? standbys : Math.min(standbys, names.length);
  return required === 0 || names.length === 0 ? '' : `ANY ${String(required)} (${names.join(', ')})`;
}
