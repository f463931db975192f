// The differences between the record and one look, each with the time that it must last before it is told.

import { withRealNames } from '../facts/application-name';
import { type ClusterConfiguration, findNodeAt } from '../facts/cluster';
import { isShownAsPrimary } from '../facts/facts';
import type { ClusterRecord, Recorded } from '../facts/record';
import { type PgpoolSample, silentMisses, type WatchSamples } from '../facts/watch';
import { type Answering, atOnce, type Condition, condition, longMs, shownBy, twoLooks } from './condition';
import { isVoidBySamples } from './record';
import { findUnserved } from './unserved';
import { formatSynchronousStandbyNames, parseSynchronousStandbyNames } from './synchronous';

const synchronousMs = 2000;
const notStreamingMs = 30_000;
/** Age after which a lost node is no news for an incident that opens now. */
const lostMs = 30_000;

interface World {
  readonly configuration: ClusterConfiguration;
  readonly samples: WatchSamples;
  readonly record: ClusterRecord | null;
  readonly answering: readonly Answering[];
  readonly writable: readonly Answering[];
  /** The record's primary, else the only node that accepts writes. */
  readonly primary: number | null;
  /** The primary, if it is the only node that accepts writes. */
  readonly served: Answering | undefined;
}

/** Nodes that stream from the one primary, and that every pgpool showing it uses: their return need not be told. */
export function findWell(
  configuration: ClusterConfiguration,
  samples: WatchSamples,
  recorded: ClusterRecord | null,
): number[] {
  return listWell(seeWorld(configuration, samples, recorded));
}

function listWell(world: World): number[] {
  const { served, samples } = world;
  if (!served) return [];
  const isUsed = (node: number): boolean => samples.pgpools.every((sample) => shownBy(sample, node)?.status !== 'down');
  const streaming = world.answering.filter((entry) => entry.said.isInRecovery && isStreaming(world, entry, served));
  return streaming.map(({ node }) => node).filter(isUsed);
}

/**
 * @param recorded a record that rests or is void counts as none; `left`: nodes that a person has chosen to leave as
 * they are
 */
export function findConditions(
  configuration: ClusterConfiguration,
  samples: WatchSamples,
  { record: recorded, left }: Pick<Recorded, 'record' | 'left'>,
): Condition[] {
  const world = seeWorld(configuration, samples, recorded);
  const { served, writable, record } = world;
  return [
    ...findStrangers(world),
    ...(served ? [...findNotShown(world, served), ...findStandbys(world, served), ...findSet(world, served)] : []),
    ...(writable.length === 0 ? findUnserved(world) : []),
    ...findChanges(world),
    ...(served ? findTakenUp(world, served, left) : []),
    ...(record === null ? findSettled(world) : []),
  ];
}

function seeWorld(configuration: ClusterConfiguration, samples: WatchSamples, recorded: ClusterRecord | null): World {
  const answering = samples.nodes.filter((entry): entry is Answering => entry.misses === 0 && entry.said !== null);
  const writable = answering.filter(({ said }) => !said.isInRecovery);
  const record = recorded && !isVoidBySamples(configuration, answering, recorded) ? recorded : null;
  const primary = record?.primary ?? (writable.length === 1 ? writable[0]!.node : null);
  const served = writable.length === 1 ? writable.find(({ node }) => node === primary) : undefined;
  return { configuration, samples, record, answering, writable, primary, served };
}

/** Nodes that accept writes beside the primary, or in its place. */
function findStrangers({ writable, record, primary, samples: { takenAt: seenAt } }: World): Condition[] {
  const timelineOf = ({ said }: Answering): number => said.position?.timeline ?? 0;
  const [newest] = [...writable].sort((left, right) => timelineOf(right) - timelineOf(left) || left.node - right.node);
  const first = writable.find(({ node }) => node === primary) ?? newest;
  if (!first) return [];
  if (writable.length > 1)
    return writable
      .filter((entry) => entry !== first)
      .map((entry) => {
        const line = `node ${entry.node} accepts writes on timeline ${timelineOf(entry)}, beside node ${first.node} on timeline ${timelineOf(first)}`;
        return condition('second-writable', entry.node, { seenAt, lastingMs: atOnce, line });
      });
  if (record === null || first.node === record.primary) return [];
  const line = `node ${first.node} accepts writes, and the record names node ${record.primary}, which does not`;
  return [condition('other-primary', first.node, { seenAt, lastingMs: longMs, line })];
}

function showsPrimary(sample: PgpoolSample, node: number): boolean {
  const shown = shownBy(sample, node);
  return shown !== undefined && isShownAsPrimary(shown);
}

function findNotShown({ samples }: World, { node }: Answering): Condition[] {
  return samples.pgpools.flatMap((sample) => {
    const shown = shownBy(sample, node);
    if (!shown || showsPrimary(sample, node)) return [];
    const line = `pgpool ${sample.pgpool} shows node ${node}, which accepts writes, as ${shown.role}, ${shown.status}`;
    return [condition('not-shown', node, { subject: sample.pgpool, seenAt: sample.at, lastingMs: twoLooks, line })];
  });
}

/** Standbys beside a primary that works: whether they stream, and whether pgpool uses those that do. */
function findStandbys(world: World, served: Answering): Condition[] {
  const { answering, samples, configuration } = world;
  const { reattachMs, rejoin } = configuration.policy;
  return answering.flatMap((entry): Condition[] => {
    const { node, said } = entry;
    if (!said.isInRecovery) return [];
    if (!isStreaming(world, entry, served)) {
      const line = `standby node ${node} does not stream from node ${served.node}`;
      const isOnce = rejoin === 'manual';
      return [condition('not-streaming', node, { seenAt: samples.takenAt, lastingMs: notStreamingMs, line, isOnce })];
    }
    // Nodes that come back are left to people, and pgpool's own hook reports one that it detaches.
    if (rejoin === 'manual') return [];
    return samples.pgpools.flatMap((sample) => {
      if (!showsPrimary(sample, served.node) || shownBy(sample, node)?.status !== 'down') return [];
      const line = `standby node ${node} streams, and pgpool ${sample.pgpool} does not use it`;
      const more = {
        subject: `${node}.${sample.pgpool}`,
        seenAt: sample.at,
        lastingMs: Math.max(reattachMs, twoLooks),
      };
      return [condition('detached', node, { ...more, line })];
    });
  });
}

/**
 * Streaming the primary's timeline, in the end from the primary: an address that no node has may be another name of its
 * host, and the stream from a standby that only the worker does not hear is believed. A circle of standbys receives nothing.
 */
function isStreaming({ configuration, answering }: World, entry: Answering, served: Answering): boolean {
  const passed = [entry.node];
  for (let current = entry; ;) {
    const { receiver } = current.said;
    if (receiver?.timeline !== served.said.position?.timeline) return false;
    const upstream = receiver ? findNodeAt(configuration, receiver)?.id : undefined;
    if (upstream === undefined || upstream === served.node) return true;
    if (passed.includes(upstream)) return false;
    passed.push(upstream);
    const next = answering.find(({ node }) => node === upstream);
    if (!next) return true;
    current = next;
  }
}

/** The standbys that commits wait for differ from those that policy.synchronous wants. */
function findSet({ configuration, samples }: World, { node, said }: Answering): Condition[] {
  const { standbys, whenNone } = configuration.policy.synchronous;
  if (standbys === 0) return [];
  const names = samples.nodes.map((entry) => ({
    node: entry.node,
    applicationName: entry.said?.applicationName ?? null,
  }));
  const named = withRealNames(configuration, names);
  const chosen = named.nodes.filter(
    (entry) =>
      entry.id !== node && (whenNone === 'wait' || said.followers.includes(entry.applicationName?.toLowerCase() ?? '')),
  );
  const wanted = formatSynchronousStandbyNames(
    named,
    chosen.map(({ id }) => id),
  );
  if (isSameSet(wanted, said.synchronousStandbyNames)) return [];
  const line = `node ${node} has synchronous_standby_names '${said.synchronousStandbyNames}', and policy.synchronous with the standbys that stream makes '${wanted}'`;
  return [condition('synchronous', node, { seenAt: samples.takenAt, lastingMs: synchronousMs, line })];
}

function isSameSet(left: string, right: string): boolean {
  const [one, other] = [parseSynchronousStandbyNames(left), parseSynchronousStandbyNames(right)];
  if (one?.required !== other?.required) return false;
  const sorted = (names: readonly string[] = []): string =>
    JSON.stringify(names.map((name) => name.toLowerCase()).sort());
  return one?.required === 0 || sorted(one?.names) === sorted(other?.names);
}

/** A node that a person has left as it was works again. */
function findTakenUp(world: World, served: Answering, left: readonly number[]): Condition[] {
  const well = left.length > 0 ? [served.node, ...listWell(world)] : [];
  return well
    .filter((node) => left.includes(node))
    .map((node) => {
      const line = `node ${node}, which a person had chosen to leave as it was, works again`;
      return condition('taken-up', node, { seenAt: world.samples.takenAt, lastingMs: atOnce, line });
    });
}

function findChanges({ samples: { nodes, takenAt: seenAt } }: World): Condition[] {
  return nodes.flatMap(({ node, misses, isNews, seen, answeredAt }): Condition[] => {
    if (misses === 0)
      return isNews
        ? [condition('answers', node, { seenAt, lastingMs: atOnce, line: `node ${node} is back: ${seen}` })]
        : [];
    const isYoung = answeredAt !== null && Date.parse(seenAt) - Date.parse(answeredAt) < lostMs;
    if (misses < silentMisses || !isYoung) return [];
    return [condition('lost', node, { seenAt, lastingMs: atOnce, line: `node ${node} does not answer: ${seen}` })];
  });
}

/**
 * A cluster without a record gets one when one node accepts writes, every standby that streams follows it, and every
 * pgpool that answers shows it as primary.
 */
function findSettled({ configuration, samples, answering, writable }: World): Condition[] {
  const [primary, ...others] = writable;
  if (!primary?.said.position || others.length > 0) return [];
  const { host, port } = configuration.nodes.find(({ id }) => id === primary.node) ?? {};
  const isElsewhere = answering.some(
    ({ said: { receiver, systemIdentifier } }) =>
      systemIdentifier !== primary.said.systemIdentifier ||
      (receiver !== null && (receiver.host !== host || receiver.port !== port)),
  );
  const asked = samples.pgpools.filter(({ nodes }) => nodes.length > 0);
  const isShown = asked.every((sample) => showsPrimary(sample, primary.node));
  if (isElsewhere || !isShown || (asked.length === 0 && configuration.pgpool.length > 0)) return [];
  const line = `node ${primary.node} is the primary: followed by every standby that streams, shown by every pgpool that answers`;
  return [condition('no-record', primary.node, { seenAt: samples.takenAt, lastingMs: longMs, line })];
}
