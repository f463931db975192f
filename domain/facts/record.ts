// The record: what the last decision about a cluster left as true. It lives in the workflow `cluster`, and in that workflow's memo, where looks read it.

import type { ClusterConfiguration } from './cluster';
import { type Maintenance, parseMaintenance } from './maintenance';

export interface RecordedNode {
  readonly id: number;
  readonly host: string;
  readonly port: number;
}

/** A node that was the primary before. */
export interface FormerPrimary {
  readonly node: number;
  /** Stopped with proof before its successor accepted writes. */
  readonly isFenceConfirmed: boolean;
}

/** What an incident has found true at its end, or a person has said. */
export interface Conclusion {
  readonly systemIdentifier: string;
  /** The node that accepts writes. */
  readonly primary: number;
  readonly timeline: number;
  /** `us`: a promotion of ours opened the timeline; `others`: it was found so, or a person said so. */
  readonly openedBy: 'us' | 'others';
  readonly former: FormerPrimary | null;
  /** Nodes that did not answer, or could not be made to follow. */
  readonly away: readonly number[];
  /** ISO time of the decision. */
  readonly at: string;
  /** `<workflow id>/<run id>` of the incident, or the person who said so. */
  readonly by: string;
  /** `at` of a record that the facts have shown to be void, as after a restore; null = none was. */
  readonly voids: string | null;
  /** Where each node is, by the cluster file. */
  readonly nodes: readonly RecordedNode[];
}

export interface ClusterRecord extends Conclusion {
  /** ISO time since when this node is the primary on this timeline. */
  readonly since: string;
}

export function recordedNodes({ nodes }: ClusterConfiguration): RecordedNode[] {
  return nodes.map(({ id, host, port }) => ({ id, host, port }));
}

/** Null for anything but a record: a memo may have been written by another version, or by hand. */
export function parseRecord(value: unknown): ClusterRecord | null {
  if (typeof value !== 'object' || value === null) return null;
  const fields = value as Partial<Record<keyof ClusterRecord, unknown>>;
  const isRecord =
    typeof fields.systemIdentifier === 'string' &&
    Number.isInteger(fields.primary) &&
    Number.isInteger(fields.timeline) &&
    (fields.openedBy === 'us' || fields.openedBy === 'others') &&
    [fields.at, fields.by, fields.since].every((text) => typeof text === 'string') &&
    Array.isArray(fields.away) &&
    Array.isArray(fields.nodes);
  return isRecord ? (value as ClusterRecord) : null;
}

/** What the workflow `cluster` knows, and its memo holds. */
export interface Recorded {
  readonly record: ClusterRecord | null;
  readonly maintenance: readonly Maintenance[];
  /** Nodes about which a person has decided, on a question, that nothing is to be done: until they come back, or the primary changes. */
  readonly left: readonly number[];
}

/** Nothing for anything else: a memo may have been written by another version, or by hand. */
export function parseRecorded(value: unknown): Recorded {
  const { record, maintenance, left } = (value ?? {}) as Partial<Record<keyof Recorded, unknown>>;
  const nodes = Array.isArray(left) ? left.filter((node): node is number => Number.isInteger(node)) : [];
  return { record: parseRecord(record), maintenance: parseMaintenance(maintenance), left: nodes };
}

export const nothingRecorded: Recorded = { record: null, maintenance: [], left: [] };
