// Rules of the record: which conclusion replaces it, when it is void, and when a person must confirm it because the
// facts contradict it.

import type { ClusterConfiguration } from '../facts/cluster';
import { type Facts, factsOf, isShownAsPrimary, type NodeFacts, writableNodes } from '../facts/facts';
import type { NodeWords, WatchSamples } from '../facts/watch';
import { type ClusterRecord, type Conclusion, type RecordedNode, recordedNodes } from '../facts/record';
import type { OpenedTimeline } from '../facts/wal';

/**
 * The record after a conclusion. An older conclusion (by timeline, then time) is ignored, unless the facts have shown
 * the record to be void.
 */
export function conclude(record: ClusterRecord | null, conclusion: Conclusion): ClusterRecord {
  const isVoid = record?.systemIdentifier !== conclusion.systemIdentifier || conclusion.voids === record.at;
  if (isVoid) return { ...conclusion, since: conclusion.at };
  const isOlder =
    conclusion.timeline < record.timeline ||
    (conclusion.timeline === record.timeline && Date.parse(conclusion.at) < Date.parse(record.at));
  if (isOlder) return record;
  const isSame = record.primary === conclusion.primary && record.timeline === conclusion.timeline;
  if (!isSame) return { ...conclusion, since: conclusion.at };
  // Keep what the incident that opened the timeline has recorded: it knows best who opened it and which node it fenced.
  const { since, openedBy, former } = record;
  return { ...conclusion, since, openedBy, former: conclusion.former ?? former };
}

/**
 * A person says which node is the primary; the earlier record does not count.
 * @returns the record, or why the facts contradict the person, in words
 */
export function accept(
  configuration: ClusterConfiguration,
  facts: Facts,
  { node, operator }: { readonly node: number; readonly operator: string },
): ClusterRecord | string {
  const own = factsOf(facts, node);
  if (!own) return `node ${node} is not in the cluster file of ${configuration.cluster}`;
  if (own.isInRecovery !== false || !own.position || own.systemIdentifier === null)
    return `node ${node} does not accept writes (${own.sqlSeen}): only a primary can be accepted`;
  const before = facts.record?.primary ?? node;
  const former = before === node ? null : { node: before, isFenceConfirmed: false };
  const conclusion = concludeFacts(configuration, facts, node, { openedBy: 'others', former, by: operator });
  return conclusion ? { ...conclusion, since: conclusion.at } : `node ${node} does not say what it is`;
}

/** The conclusion from the facts of a decision; null where the primary itself did not answer. */
export function concludeFacts(
  configuration: ClusterConfiguration,
  facts: Facts,
  primary: number,
  more: Pick<Conclusion, 'openedBy' | 'former' | 'by'>,
): Conclusion | null {
  const own = factsOf(facts, primary);
  if (!own?.position || own.systemIdentifier === null) return null;
  const { systemIdentifier, position } = own;
  const away = facts.nodes.filter(({ sql }) => sql !== 'answered').map(({ node }) => node);
  const { record, takenAt } = facts;
  const voids = record && explainVoid(configuration, facts, record) !== null ? record.at : null;
  const where = { nodes: recordedNodes(configuration), at: takenAt, voids };
  return { systemIdentifier, primary, timeline: position.timeline, away, ...where, ...more };
}

/** A recorded node that is not where the cluster file has it. */
function findMoved(nodes: ClusterConfiguration['nodes'], record: ClusterRecord): RecordedNode | undefined {
  return record.nodes.find(({ id, host, port }) => {
    const node = nodes.find((entry) => entry.id === id);
    return node?.host !== host || node.port !== port;
  });
}

/** Why a record no longer applies to this cluster; null when it does. */
export function explainVoid({ nodes }: ClusterConfiguration, facts: Facts, record: ClusterRecord): string | null {
  const moved = findMoved(nodes, record);
  if (moved) return `node ${moved.id} was at ${moved.host}:${moved.port}, and the cluster file says something else`;
  const known = facts.nodes.filter((entry) => identifierOf(entry) !== null);
  const other = known.find((entry) => identifierOf(entry) !== record.systemIdentifier);
  if (other) return `node ${other.node} belongs to another system (${String(identifierOf(other))})`;
  const knows = (entry: NodeFacts): boolean =>
    timelinesOf(entry).includes(record.timeline) || entry.host?.walTimeline === record.timeline;
  if (known.length > 0 && !known.some(knows)) return `no node that is reached knows timeline ${record.timeline}`;
  return null;
}

function identifierOf({ systemIdentifier, host }: NodeFacts): string | null {
  return systemIdentifier ?? host?.controlFile?.systemIdentifier ?? null;
}

function timelinesOf({ position, history, host }: NodeFacts): number[] {
  const own = [position?.timeline, host?.controlFile?.checkpoint.timeline].filter((one) => one !== undefined);
  return [...own, ...history.map(({ timeline }) => timeline)];
}

/** The record that decisions may rely on; null without one, or when it is void. */
export function findRecord(configuration: ClusterConfiguration, facts: Facts): ClusterRecord | null {
  const { record } = facts;
  return record && explainVoid(configuration, facts, record) === null ? record : null;
}

/**
 * The other writable node, served by pgpool or on a timeline that the record does not know, while the recorded primary
 * is away: only a person can say which is right, because somebody else has promoted that node. Null without such a
 * node, or when our fence stopped the recorded primary for its successor, which decides it.
 * @param opened timelines that promotions of ours have opened since the record was written
 */
export function findRivalOfRecord(
  facts: Facts,
  record: ClusterRecord,
  opened: readonly OpenedTimeline[],
): NodeFacts | null {
  const own = factsOf(facts, record.primary);
  const mark = own?.host?.fenceMark;
  if (own?.sql === 'answered' || mark === 'after-return' || mark === 'before-promotion') return null;
  const isServed = ({ node }: NodeFacts): boolean =>
    facts.pgpools.some((pgpool) => pgpool.nodes.some((entry) => entry.node === node && isShownAsPrimary(entry)));
  const isOurs = ({ node, position }: NodeFacts): boolean =>
    opened.some((one) => one.node === node && one.timeline === position?.timeline);
  const isUnknown = ({ position }: NodeFacts): boolean => (position?.timeline ?? 0) >= record.timeline;
  return (
    writableNodes(facts).find(
      (entry) => entry.node !== record.primary && !isOurs(entry) && (isServed(entry) || isUnknown(entry)),
    ) ?? null
  );
}

/** The record that the samples of a watch make where all is quiet; null where the primary's own word is missing. @param voids `at` of the record that it replaces */
export function concludeSamples(
  configuration: ClusterConfiguration,
  { nodes, takenAt: at }: WatchSamples,
  primary: number,
  voids: string | null,
): Conclusion | null {
  const said = nodes.find(({ node }) => node === primary)?.said;
  if (!said?.position) return null;
  const away = nodes.filter(({ misses }) => misses > 0).map(({ node }) => node);
  const found = { openedBy: 'others', former: null, by: 'watch', voids } as const;
  const where = { nodes: recordedNodes(configuration), at };
  return {
    systemIdentifier: said.systemIdentifier,
    primary,
    timeline: said.position.timeline,
    away,
    ...found,
    ...where,
  };
}

/**
 * The record is void if the system identifier or a node's address differs, or if every node answers and none has
 * reached the recorded timeline.
 */
export function isVoidBySamples(
  { nodes }: ClusterConfiguration,
  answering: readonly { readonly said: NodeWords }[],
  record: ClusterRecord,
): boolean {
  const { systemIdentifier, timeline } = record;
  const isOther = answering.some(({ said }) => said.systemIdentifier !== systemIdentifier);
  const isOlder = answering.every(({ said }) => (said.position?.timeline ?? timeline) < timeline);
  return findMoved(nodes, record) !== undefined || isOther || (isOlder && answering.length === nodes.length);
}
