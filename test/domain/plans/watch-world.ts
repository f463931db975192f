// A world for the watch to look at, second by second, as its activity does: SQL each second, pgpool every ten and after each change.

import type { ClusterConfiguration } from '../../../domain/facts/cluster';
import type { Maintenance } from '../../../domain/facts/maintenance';
import type { ClusterRecord } from '../../../domain/facts/record';
import type { Difference, NodeWords, PgpoolSample, ShownNode, WatchState } from '../../../domain/facts/watch';
import { observeSample, tellDue } from '../../../domain/plans/watch';
import { deepFreeze, makeConfiguration, systemIdentifier, wellLsn } from '../builders';
import { makeRecord } from './record-stories';

/** Each node's words, null = none, and each pgpool's view, null = none. */
export interface World {
  readonly nodes: Readonly<Record<number, NodeWords | null>>;
  readonly pgpools: Readonly<Record<string, readonly ShownNode[] | null>>;
}

export const startedAt = Date.parse('2026-01-01T00:00:00.000Z');
export const recordOf0 = makeRecord({ primary: 0, timeline: 1, former: null, away: [] });

export function primarySays(more: Partial<NodeWords> = {}): NodeWords {
  return {
    isInRecovery: false,
    systemIdentifier,
    position: { timeline: 1, lsn: wellLsn },
    synchronousStandbyNames: '',
    applicationName: null,
    followers: ['node1', 'node2'],
    receiver: null,
    ...more,
  };
}

export function standbySays(node: number, more: Partial<NodeWords> = {}): NodeWords {
  const receiver = { host: '10.0.0.10', port: 5432, timeline: 1 };
  return { ...primarySays(), isInRecovery: true, applicationName: `node${node}`, followers: [], receiver, ...more };
}

/** Node 0 has the role primary; these are down. */
export function shows(primary: number | null, ...down: readonly number[]): ShownNode[] {
  return [0, 1, 2].map((node) => ({
    node,
    status: down.includes(node) ? 'down' : 'up',
    role: node === primary ? 'primary' : 'standby',
  }));
}

export const well: World = deepFreeze({
  nodes: { 0: primarySays(), 1: standbySays(1), 2: standbySays(2) },
  pgpools: { pgpool0: shows(0) },
});

export function wellBut(nodes: World['nodes'], pgpools: World['pgpools'] = {}): World {
  return deepFreeze({ nodes: { ...well.nodes, ...nodes }, pgpools: { ...well.pgpools, ...pgpools } });
}

export interface Sight extends Difference {
  readonly second: number;
}

export interface Watched {
  readonly told: readonly Sight[];
  readonly state: WatchState;
  /** Seconds at which a heartbeat is sent because something has changed. */
  readonly changes: readonly number[];
}

export interface Terms {
  readonly record?: ClusterRecord | null;
  readonly configuration?: ClusterConfiguration;
  readonly isIncidentOpen?: boolean;
  readonly maintenance?: readonly Maintenance[];
  readonly left?: readonly number[];
  /** The state that an earlier watch has left. */
  readonly state?: WatchState | null;
  /** The first second. */
  readonly from?: number;
}

/** Looks at `worldAt(second)` for so many seconds. */
export function watchFor(seconds: number, worldAt: (second: number) => World, terms: Terms = {}): Watched {
  const {
    record = recordOf0,
    configuration = makeConfiguration(),
    isIncidentOpen = false,
    maintenance = [],
    left = [],
  } = terms;
  const told: Sight[] = [];
  const changes: number[] = [];
  let state: WatchState | null = terms.state ?? null;
  let pgpools: PgpoolSample[] = [];
  let isStale = true;
  const { from = 0 } = terms;
  for (let second = from; second < from + seconds; second += 1) {
    const world = worldAt(second);
    const at = new Date(startedAt + second * 1000).toISOString();
    if (isStale || second % 10 === 0) pgpools = samplesOf(world, at);
    const nodes = Object.entries(world.nodes).map(([id, said]) => ({
      node: Number(id),
      said,
      seen: said ? 'answers' : 'silent',
    }));
    const seen = observeSample(state, { at, nodes, pgpools }, { record, maintenance, left }, configuration);
    const answer = tellDue(seen.state, seen.due, isIncidentOpen);
    told.push(...answer.told.map((difference) => ({ ...difference, second })));
    state = deepFreeze(JSON.parse(JSON.stringify(answer.state)) as WatchState);
    isStale = seen.isChange;
    if (seen.isChange) changes.push(second);
  }
  return { told, state: state!, changes };
}

function samplesOf({ pgpools }: World, at: string): PgpoolSample[] {
  return Object.entries(pgpools).map(([pgpool, nodes]) => ({
    pgpool,
    at,
    isReached: nodes !== null,
    nodes: nodes ?? [],
    seen: '',
  }));
}
