// The world of the simulation: nodes, hosts, links and pgpools in memory, as they truly are. What the product may see of it is in look.ts.

import type { ClusterConfiguration } from '../../../domain/facts/cluster';
import type { DataFacts } from '../../../domain/facts/data-directory';
import type { ClusterEvent } from '../../../domain/facts/event';
import type { FenceMark } from '../../../domain/facts/facts';
import type { Maintenance } from '../../../domain/facts/maintenance';
import type { ClusterRecord } from '../../../domain/facts/record';
import type { HoldUpKind } from '../../../activities/io/sql/promotion-progress';
import { type Branch, firstLsn, newBranch } from './wal';

/** Obstacles that keep a node that was told to promote from ending its recovery. */
export interface PromotionTrouble {
  readonly kind: HoldUpKind | null;
  readonly ms: number;
}

/** A copy of a rebuild, beside the data. */
export interface Copy {
  readonly id: string;
  readonly branch: Branch;
  readonly lsn: number;
  isVerified: boolean;
  /** The node ran when its copy was begun: it is to run again, whatever befalls the old data meanwhile. */
  readonly isOfLiving: boolean;
}

export interface ModelNode {
  readonly id: number;
  readonly host: string;
  // On disk.
  hasData: boolean;
  systemId: string;
  branch: Branch;
  /** Received or written; up to here whole records; replayed. */
  flushed: number;
  whole: number;
  replayed: number;
  checkpoint: { branch: Branch; lsn: number };
  controlState: string;
  hasStandbySignal: boolean;
  mark: FenceMark;
  /** Where primary_conninfo leads. */
  upstream: number | 'abroad' | null;
  syncNames: string;
  /** WAL before this was recycled. */
  oldestWal: number;
  /** Timeline numbers whose history files lie in its pg_wal, its own and its ancestors' aside. */
  reserved: number[];
  copy: Copy | null;
  placed: string | null;
  isPlacedForLiving: boolean;
  /** Stands in the way of a copy. */
  quirk: ((facts: DataFacts) => Partial<DataFacts>) | null;
  /** A setting that is smaller than the primary's. */
  isUnfit: boolean;
  /** A line of its configuration is wrong: a server that is started there ends at once. */
  isSpoilt: boolean;
  /** Not readable for the worker by ssh. */
  hidden: 'processes' | 'controlFile' | 'wal' | null;
  historyAt: number;
  // The server's processes.
  process: 'running' | 'orphans' | 'none';
  isHung: boolean;
  isRejecting: boolean;
  isWritable: boolean;
  /** Starting, stopping or in crash recovery until then; Infinity = it never accepts connections. */
  upAt: number;
  /** Accepts nobody until then: between the stop and the start of a restart. */
  closedUntil: number;
  isReplayPaused: boolean;
  delayMs: number;
  hasStreamed: boolean;
  receiver: { from: number | 'abroad'; timeline: number; isStreaming: boolean; lastAt: number } | null;
  /** Sessions of clients that do not come by pgpool. */
  clients: number;
  trouble: PromotionTrouble;
  /** pg_promote was sent, as the model knows it. */
  toldAt: number | null;
  toldBy: 'us' | 'person';
  /** An attempt to promote it died: nobody can know whether it was told. */
  mayBeTold: boolean;
  clockOffsetMs: number;
  /** Why it does not run. `us` = it was alive when we stopped it. */
  downBy: 'us' | 'crash' | 'person' | null;
  /** The last look before it was stopped took it for dead. */
  wasSeenDead: boolean;
  /** The act that stopped it was late. */
  wasLate: boolean;
  /** A person has asked for it since it went down. */
  isAsked: boolean;
}

export interface ModelPgpool {
  readonly name: string;
  readonly host: string;
  isRunning: boolean;
  status: ('up' | 'down')[];
  primary: number;
  failures: number[];
  /** pgpool looks for a primary until then. */
  searchUntil: number;
  /** The node that was given up as the primary; pgpool acts on it when a search ends. */
  searchFor: number;
  /** A person detached this node there: when. */
  detachedAt: (number | null)[];
}

/** Troubles of the next calls of pgpool's hooks. */
export interface HookTrouble {
  kind: 'lost' | 'late' | 'twice';
  ms: number;
}

export interface World {
  now: number;
  advancedAt: number;
  readonly configuration: ClusterConfiguration;
  readonly nodes: ModelNode[];
  readonly pgpools: ModelPgpool[];
  readonly branches: Branch[];
  readonly awayHosts: Set<string>;
  /** "from>to": nobody on `from` reaches `to`. */
  readonly cuts: Set<string>;
  /** Hosts whose ssh refuses the worker. */
  readonly sshBroken: Set<string>;
  readonly hookTroubles: HookTrouble[];
  record: ClusterRecord | null;
  maintenance: Maintenance[];
  /** Nodes that a person has let go. */
  left: readonly number[];
  /** Grows with everything that is not our own act, and not ordinary traffic. */
  version: number;
  /** Bytes of WAL that clients write in a millisecond. */
  readonly writeRate: number;
  /** Tells the incident; filled in by the run. */
  hook: (pgpool: ModelPgpool, event: Omit<ClusterEvent, 'eventId' | 'at'>) => void;
  later: (ms: number, body: () => void) => void;
}

export const workerHost = 'worker';
export const systemIdentifier = '7400000000000000001';

/** Runs, streams from `upstream`; null = it is the primary. */
export function newNode(id: number, host: string, branch: Branch, upstream: number | null): ModelNode {
  const isPrimary = upstream === null;
  return {
    ...{ id, host, hasData: true, systemId: systemIdentifier, branch },
    ...{ flushed: firstLsn, whole: firstLsn, replayed: firstLsn, checkpoint: { branch, lsn: firstLsn - 4096 } },
    ...{ controlState: isPrimary ? 'in production' : 'in archive recovery', hasStandbySignal: !isPrimary },
    ...{
      mark: 'none',
      upstream,
      syncNames: '',
      oldestWal: 0,
      reserved: [],
      copy: null,
      placed: null,
      isPlacedForLiving: false,
      quirk: null,
    },
    ...{
      isUnfit: false,
      isSpoilt: false,
      hidden: null,
      historyAt: -Infinity,
      process: 'running',
      isHung: false,
      isRejecting: false,
      isWritable: isPrimary,
    },
    ...{ upAt: 0, closedUntil: 0, isReplayPaused: false, delayMs: 0, hasStreamed: !isPrimary, receiver: null },
    ...{ clients: 0, trouble: { kind: null, ms: 60 }, toldAt: null, toldBy: 'us', mayBeTold: false, clockOffsetMs: 0 },
    ...{ downBy: null, wasSeenDead: false, wasLate: false, isAsked: false },
  };
}

export function newPgpool(name: string, host: string, nodes: number, primary: number): ModelPgpool {
  return {
    ...{ name, host, isRunning: true, primary, searchUntil: 0, searchFor: -1 },
    status: Array.from({ length: nodes }, () => 'up' as const),
    failures: Array.from({ length: nodes }, () => 0),
    detachedAt: Array.from({ length: nodes }, () => null),
  };
}

export function newWorld(configuration: ClusterConfiguration, now: number): World {
  const branch = newBranch(null, 1, 'start');
  const nodes = configuration.nodes.map(({ id, host }) => newNode(id, host, branch, id === 0 ? null : 0));
  const pgpools = configuration.pgpool.map(({ name, host }) => newPgpool(name, host, nodes.length, 0));
  return {
    ...{ now, advancedAt: now, configuration, nodes, pgpools, branches: [branch], awayHosts: new Set() },
    ...{ cuts: new Set(), sshBroken: new Set(), hookTroubles: [], record: null, maintenance: [], left: [], version: 0 },
    ...{ writeRate: 16, hook: () => undefined, later: () => undefined },
  };
}

export function nodeOf(world: World, id: number): ModelNode {
  return world.nodes[id]!;
}

/** From this host to that one, and the way back. */
export function canReach(world: World, from: string, to: string): boolean {
  if (world.awayHosts.has(to) || world.awayHosts.has(from)) return from === to && !world.awayHosts.has(to);
  return from === to || !world.cuts.has(`${from}>${to}`);
}

/** A server whose port and queries answer. */
export function isUp(world: World, node: ModelNode): boolean {
  const { now } = world;
  return node.process === 'running' && !node.isHung && node.upAt <= now && node.closedUntil <= now;
}

export function isAlive(node: ModelNode): boolean {
  return node.process !== 'none';
}

/** Accepts writes, whoever reaches it. */
export function isWriting(world: World, node: ModelNode): boolean {
  return node.isWritable && (node.process === 'orphans' || isUp(world, node));
}

/** pgpools whose clients' writes go to this node. */
export function serversOf(world: World, node: ModelNode): ModelPgpool[] {
  return world.pgpools.filter(
    (pgpool) =>
      pgpool.isRunning &&
      pgpool.primary === node.id &&
      pgpool.status[node.id] === 'up' &&
      canReach(world, pgpool.host, node.host),
  );
}

/** By itself, or through others. */
export function follows(world: World, node: ModelNode, primary: ModelNode): boolean {
  let own: ModelNode = node;
  for (let hops = 0; hops < world.nodes.length; hops += 1) {
    const { receiver } = own;
    if (!receiver || receiver.lastAt !== world.now || typeof receiver.from !== 'number') return false;
    own = world.nodes[receiver.from]!;
    if (own === primary) return true;
  }
  return false;
}
