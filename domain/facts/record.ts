// The record: what the last decision about a cluster left as true. The workflow `cluster` keeps it, also in its memo,
// where looks read it.

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
  /** The node was stopped with proof before its successor accepted writes. */
  readonly isFenceConfirmed: boolean;
}

/** A cluster's state as an incident found it at its end, or as a person said. */
export interface Conclusion {
  readonly systemIdentifier: string;
  /** The node that accepts writes. */
  readonly primary: number;
  readonly timeline: number;
  /** `us`: a promotion of ours opened the timeline; `others`: the timeline was found open, or a person said so. */
  readonly openedBy: 'us' | 'others';
  readonly former: FormerPrimary | null;
  /** Nodes that did not answer, or could not be made to follow. */
  readonly away: readonly number[];
  /** ISO time of the decision. */
  readonly at: string;
  /** `<workflow id>/<run id>` of the incident, or the person who said so. */
  readonly by: string;
  /** `at` of a record that the facts have shown to be void, as after a restore; null = no record is void. */
  readonly voids: string | null;
  /** The address of each node by the cluster file. */
  readonly nodes: readonly RecordedNode[];
}

export interface ClusterRecord extends Conclusion {
  /** ISO time at which this node became the primary on this timeline. */
  readonly since: string;
}

export function recordedNodes({ nodes }: ClusterConfiguration): RecordedNode[] {
  return nodes.map(({ id, host, port }) => ({ id, host, port }));
}

/** Null for malformed input: a memo may come from another version, or be written by hand. */
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

/** The state of the workflow `cluster`, and the contents of its memo. */
export interface Recorded {
  readonly record: ClusterRecord | null;
  readonly maintenance: readonly Maintenance[];
  /** Nodes that a person has chosen to leave as they are: until they come back, or the primary changes. */
  readonly left: readonly number[];
}

/** Empty for malformed input: a memo may come from another version, or be written by hand. */
export function parseRecorded(value: unknown): Recorded {
  const { record, maintenance, left } = (value ?? {}) as Partial<Record<keyof Recorded, unknown>>;
  const nodes = Array.isArray(left) ? left.filter((node): node is number => Number.isInteger(node)) : [];
  return { record: parseRecord(record), maintenance: parseMaintenance(maintenance), left: nodes };
}

export const nothingRecorded: Recorded = { record: null, maintenance: [], left: [] };
