// Facts of a node of the fake cluster, for each of its possible states.

import type { HostFacts, NodeFacts } from '../../domain/facts/facts';

export const systemIdentifier = '7400000000000000001';
export const lsn = '0/5000000';

/** Addresses without a host. */
export function hostOf(node: number): string {
  return `10.0.0.1${node}`;
}

function node(id: number, facts: Partial<NodeFacts>): NodeFacts {
  return {
    node: id,
    sql: 'answered',
    sqlSeen: 'answered',
    isInRecovery: null,
    systemIdentifier,
    position: null,
    replayedLsn: null,
    receivedLsn: null,
    history: [],
    timelineAgeMs: null,
    isReplayPaused: null,
    applyDelayMs: null,
    ownSettings: null,
    fenceMark: null,
    upstream: null,
    clients: null,
    followers: null,
    synchronousStandbyNames: '',
    applicationName: null,
    walReceiver: null,
    host: null,
    ...facts,
  };
}

function ends(timeline: number): { timeline: number; endLsn: string }[] {
  return Array.from({ length: timeline - 1 }, (_, index) => ({ timeline: index + 1, endLsn: lsn }));
}

export function primaryNode(id: number, timeline = 1): NodeFacts {
  const usage = { clients: 0, followers: 0 };
  const position = { timeline, lsn };
  return node(id, { isInRecovery: false, position, history: ends(timeline), sqlSeen: 'primary', ...usage });
}

export function standbyNode(id: number, upstream: number, timeline = 1, position = lsn): NodeFacts {
  return node(id, {
    sqlSeen: 'standby',
    isInRecovery: true,
    position: { timeline, lsn: position },
    replayedLsn: position,
    receivedLsn: position,
    history: ends(timeline),
    walReceiver: { isStreaming: true, host: hostOf(upstream), port: 5432, timeline, lastMessageAgeMs: null },
  });
}

function absent(id: number, sql: NodeFacts['sql'], sqlSeen: string, host: Partial<HostFacts>): NodeFacts {
  const seen: HostFacts = {
    ssh: 'answered',
    seen: 'answered',
    processes: 'none',
    clockOffsetMs: 0,
    hasDataDirectory: true,
    hasStandbySignal: false,
    fenceMark: 'none',
    walTimeline: null,
    synchronousStandbyNames: null,
    neededSettings: null,
    controlFile: null,
    ...host,
  };
  return node(id, { sql, sqlSeen, systemIdentifier: null, synchronousStandbyNames: null, host: seen });
}

/** The host answers, PostgreSQL does not run: it crashed as a primary. */
export function deadNode(id: number): NodeFacts {
  const controlFile = { state: 'in production', systemIdentifier, checkpoint: { timeline: 1, lsn: '0/4000000' } };
  return absent(id, 'refused', 'connection refused', { controlFile });
}

/** PostgreSQL's processes are there and say nothing. */
export function hungNode(id: number): NodeFacts {
  return absent(id, 'silent', 'no answer in 1000 ms', { processes: 'running' });
}

export function recoveringNode(id: number): NodeFacts {
  return absent(id, 'recovering', 'the database system is starting up', { processes: 'running' });
}

export function rejectingNode(id: number): NodeFacts {
  return absent(id, 'rejected', 'too many clients', { processes: 'running' });
}

/** Nothing on that host answers. */
export function vanishedNode(id: number): NodeFacts {
  const unknown = { clockOffsetMs: null, hasDataDirectory: null, hasStandbySignal: null, fenceMark: null };
  return absent(id, 'silent', 'no answer in 1000 ms', { ssh: 'silent', processes: 'unknown', ...unknown });
}
