// The watch's words while no node accepts writes.

import { type ClusterConfiguration, findNodeAt } from '../facts/cluster';
import type { ClusterRecord } from '../facts/record';
import type { NodeSample, WatchSamples } from '../facts/watch';
import { type Answering, type Condition, condition, longMs, shownBy, twoLooks } from './condition';

interface Unserved {
  readonly configuration: ClusterConfiguration;
  readonly samples: WatchSamples;
  readonly record: ClusterRecord | null;
  readonly answering: readonly Answering[];
}

/** No node accepts writes: an event where pgpool has given up the primary, or the watch may act by itself, else a warning. */
export function findUnserved(unserved: Unserved): Condition[] {
  const { samples, record, configuration } = unserved;
  const { takenAt: seenAt } = samples;
  const last = findLastPrimary(samples);
  const primary = record?.primary ?? last ?? findUpstream(unserved);
  if (primary === null) return findWithoutPrimary(unserved);
  const givenUp = samples.pgpools.filter((sample) => shownBy(sample, primary)?.status === 'down');
  const own = samples.nodes.find(({ node }) => node === primary);
  const seen = `no node accepts writes; node ${primary}, the primary by ${record ? 'the record' : last === null ? 'its standbys' : 'its last word'}: ${own?.seen ?? 'not asked'}`;
  if (givenUp.length > 0) {
    const line = `${seen}; given up by pgpool ${givenUp.map(({ pgpool }) => pgpool).join(', ')}`;
    return [condition('given-up', primary, { seenAt, lastingMs: twoLooks, line })];
  }
  if (configuration.policy.actOn === 'watch') {
    const line = `${seen}; no pgpool says that it has failed, and policy.actOn is watch`;
    return [condition('given-up', primary, { seenAt, lastingMs: longMs, line })];
  }
  const line = `${seen}; no pgpool says that it has failed, so nothing is done`;
  return [condition('primary-silent', primary, { seenAt, lastingMs: longMs, line })];
}

/** A watch without memory, without a record, and no standby receives from a primary. A cluster of standbys streams from abroad. */
function findWithoutPrimary({ configuration, samples, answering }: Unserved): Condition[] {
  const { nodes, takenAt: seenAt } = samples;
  if (answering.some(({ said: { receiver } }) => receiver !== null && !findNodeAt(configuration, receiver))) return [];
  const seen = nodes.map(({ node, seen: words }) => `node ${node}: ${words}`).join('; ');
  const line = `no node accepts writes, and nothing says which node is the primary: ${seen}`;
  return [condition('primary-silent', null, { seenAt, lastingMs: longMs, line })];
}

/** Without a record: the node that accepted writes when it last answered, on the newest timeline. */
function findLastPrimary({ nodes }: WatchSamples): number | null {
  const timelineOf = ({ said }: NodeSample): number => said?.position?.timeline ?? 0;
  const [last] = nodes
    .filter(({ said }) => said?.isInRecovery === false)
    .sort((left, right) => timelineOf(right) - timelineOf(left));
  return last?.node ?? null;
}

/** The node from which a standby receives. */
function findUpstream({ configuration, answering }: Unserved): number | null {
  const isReceived = ({ host, port }: { readonly host: string; readonly port: number }): boolean =>
    answering.some(({ said: { receiver } }) => receiver?.host === host && receiver.port === port);
  const isStandby = (id: number): boolean => answering.some(({ node, said }) => node === id && said.isInRecovery);
  return configuration.nodes.find((node) => isReceived(node) && !isStandby(node.id))?.id ?? null;
}
