// Facts as they would be after a crash, a fence, a promotion or a follow: for a plan that is only shown, and for
// judging an act before it is done.

import { type ClusterConfiguration, getNode } from '../facts/cluster';
import type { Facts, HostFacts, NodeFacts } from '../facts/facts';
import type { WalPosition } from '../facts/wal';

/** The facts after these nodes have crashed at this moment: no process is left, and their hosts answer. */
export function assumeDown(configuration: ClusterConfiguration, facts: Facts, down: readonly number[]): Facts {
  const addresses = down.map((node) => getNode(configuration, node));
  const nodes = facts.nodes.map((entry): NodeFacts => {
    if (down.includes(entry.node)) return crash(entry);
    const receiver = entry.walReceiver;
    const isCut = addresses.some(({ host, port }) => receiver?.host === host && receiver.port === port);
    return receiver && isCut ? { ...entry, walReceiver: { ...receiver, isStreaming: false } } : entry;
  });
  return { ...facts, nodes };
}

function crash(entry: NodeFacts): NodeFacts {
  return { ...silent(entry, 'taken to be down'), host: deadHost(entry) };
}

/** Stopped with proof, as a fence leaves it. */
export function assumeFenced(facts: Facts, node: number): Facts {
  return change(facts, node, (entry) => ({ ...silent(entry, 'fenced'), host: deadHost(entry, 'shut down') }));
}

/** The candidate accepts writes on the next timeline, from the end of its WAL on. */
export function assumePromoted(facts: Facts, node: number, position: WalPosition): Facts {
  const timeline = position.timeline + 1;
  return change(facts, node, (entry) => ({
    ...entry,
    ...{ isInRecovery: false, position: { timeline, lsn: position.lsn }, walReceiver: null, upstream: null },
    ...{ replayedLsn: null, receivedLsn: null, applyDelayMs: null, timelineAgeMs: 0, clients: 0, followers: 0 },
    history: [...entry.history, { timeline: position.timeline, endLsn: position.lsn }],
  }));
}

/** The standby streams from the primary, on its timeline. */
export function assumeFollowing(
  configuration: ClusterConfiguration,
  facts: Facts,
  node: number,
  primary: number,
): Facts {
  const { host, port } = getNode(configuration, primary);
  const source = facts.nodes.find((entry) => entry.node === primary)?.position ?? null;
  return change(facts, node, (entry) => ({
    ...entry,
    ...{ sql: 'answered', sqlSeen: 'would stream', isInRecovery: true, position: source, upstream: { host, port } },
    walReceiver: { isStreaming: true, host, port, timeline: source?.timeline ?? null, lastMessageAgeMs: 0 },
  }));
}

function change(facts: Facts, node: number, to: (entry: NodeFacts) => NodeFacts): Facts {
  return { ...facts, nodes: facts.nodes.map((entry) => (entry.node === node ? to(entry) : entry)) };
}

function silent(entry: NodeFacts, sqlSeen: string): NodeFacts {
  const nothing = { isInRecovery: null, position: null, replayedLsn: null, receivedLsn: null, timelineAgeMs: null };
  const unused = { isReplayPaused: null, applyDelayMs: null, ownSettings: null, fenceMark: null, walReceiver: null };
  return {
    ...{ ...entry, ...nothing, ...unused, history: [], upstream: null, clients: null, followers: null },
    ...{ sql: 'refused', sqlSeen, synchronousStandbyNames: null },
  };
}

/** The host facts that a look would find, derived from the node's own words. */
function deadHost(entry: NodeFacts, state?: string): HostFacts {
  const { isInRecovery, position, systemIdentifier, host } = entry;
  const own = isInRecovery === true ? 'in archive recovery' : 'in production';
  const controlFile =
    position && systemIdentifier ? { state: state ?? own, systemIdentifier, checkpoint: position } : host?.controlFile;
  return {
    ...{ ssh: 'answered', seen: 'taken to answer', processes: 'none', clockOffsetMs: 0, hasDataDirectory: true },
    hasStandbySignal: isInRecovery === null ? (host?.hasStandbySignal ?? null) : isInRecovery,
    fenceMark: entry.fenceMark ?? 'none',
    walTimeline: position?.timeline ?? host?.walTimeline ?? null,
    synchronousStandbyNames: entry.synchronousStandbyNames ?? host?.synchronousStandbyNames ?? null,
    neededSettings: null,
    controlFile: controlFile ?? null,
  };
}
