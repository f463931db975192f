// Facts: what was measured, at a time, including "unknown"; and what the witnesses among them say about a primary.
// A silent node is a fact, not an error.

import type { FenceMark } from './rebuild';
import type { TimelineEnd, WalPosition } from './wal';

/**
 * How a node answered a query. `recovering` = SQLSTATE 57P03 (starting up, shutting down or in crash recovery);
 * `refused` = a TCP reset; `rejected` = PostgreSQL answered with another error; `silent` = nothing within the bound.
 */
export type SqlAnswer = 'answered' | 'recovering' | 'refused' | 'rejected' | 'silent';

/** PostgreSQL's processes on the node; `orphans` = backends whose postmaster is gone, which go on committing. */
export type ProcessAnswer = 'running' | 'orphans' | 'none' | 'unknown';

export interface HostFacts {
  readonly ssh: 'answered' | 'refused' | 'rejected' | 'silent';
  readonly seen: string;
  readonly processes: ProcessAnswer;
  /** The node's clock minus the worker's, so that deadlines can be given in the node's time. */
  readonly clockOffsetMs: number | null;
  /** False only where it is certain that there is none: no such path, or no PG_VERSION or control file in it. */
  readonly hasDataDirectory: boolean | null;
  readonly hasStandbySignal: boolean | null;
  readonly fenceMark: FenceMark | null;
  /** From pg_controldata while no process runs. */
  readonly controlFile: {
    readonly state: string;
    readonly systemIdentifier: string;
    readonly checkpoint: WalPosition;
  } | null;
}

export interface WalReceiverFacts {
  readonly isStreaming: boolean;
  readonly host: string | null;
  readonly port: number | null;
  readonly timeline: number | null;
  /** By the node's own clock. `streaming` stays true for 60 s after the sender's host dies; this does not lie. */
  readonly lastMessageAgeMs: number | null;
}

export interface NodeFacts {
  readonly node: number;
  readonly sql: SqlAnswer;
  readonly sqlSeen: string;
  readonly isInRecovery: boolean | null;
  readonly systemIdentifier: string | null;
  /** Timeline and last byte of WAL: written by a primary, received or replayed by a standby. */
  readonly position: WalPosition | null;
  /** How far a standby has replayed; null = nothing yet, or no standby. */
  readonly replayedLsn: string | null;
  /** What a standby's receiver has received since its server started; null = it has not asked anybody since then, or no standby. */
  readonly receivedLsn: string | null;
  readonly history: readonly TimelineEnd[];
  /** Since this timeline's history file appeared here, that is since the last promotion; null on timeline 1. */
  readonly timelineAgeMs: number | null;
  readonly isReplayPaused: boolean | null;
  readonly synchronousStandbyNames: string | null;
  /** Of its primary_conninfo; for a standby without one the name that PostgreSQL gives it. Null = it has none, or did not say. */
  readonly applicationName: string | null;
  readonly walReceiver: WalReceiverFacts | null;
  /** Null when there was no need to look: SQL had answered. */
  readonly host: HostFacts | null;
}

/** A standby's host asked the suspected primary for a read-only query. */
export interface ProbeFacts {
  readonly from: number;
  readonly about: number;
  readonly answer: SqlAnswer | 'unknown';
  readonly seen: string;
}

export interface PgpoolNodeFacts {
  readonly node: number;
  readonly status: 'unused' | 'waiting' | 'up' | 'down';
  readonly role: string;
  /** pgpool's own live look at the node: up, down or unknown. */
  readonly liveStatus: string;
}

export interface PgpoolFacts {
  readonly pgpool: string;
  readonly nodes: readonly PgpoolNodeFacts[];
  /** Empty when every node was answered for. */
  readonly seen: string;
}

export interface Facts {
  readonly takenAt: string;
  readonly nodes: readonly NodeFacts[];
  readonly probes: readonly ProbeFacts[];
  readonly pgpools: readonly PgpoolFacts[];
}

export type WitnessAnswer = 'alive' | 'dead' | 'unknown';

export interface Witness {
  readonly from: string;
  readonly answer: WitnessAnswer;
  readonly seen: string;
}

/** working: leave it alone; recovering: give it time; hung and dead: fence; the rest: no evidence either way. */
export type PrimaryState = 'working' | 'recovering' | 'hung' | 'dead' | 'unreachable' | 'rejecting' | 'unknown';

export interface PrimaryJudgement {
  readonly state: PrimaryState;
  readonly witnesses: readonly Witness[];
}

/** Of a node's PostgreSQL. */
interface Address {
  readonly host: string;
  readonly port: number;
}

export function factsOf(facts: Facts, node: number): NodeFacts | undefined {
  return facts.nodes.find((entry) => entry.node === node);
}

/** Its WAL receiver names this address, as the cluster file spells it; whether it streams is another question. */
export function receivesFrom({ walReceiver }: NodeFacts, { host, port }: Address): boolean {
  return walReceiver?.host === host && walReceiver.port === port;
}

/** Nodes that answered a query and are out of recovery: they accept writes now. */
export function writableNodes({ nodes }: Pick<Facts, 'nodes'>): NodeFacts[] {
  return nodes.filter((entry) => entry.sql === 'answered' && entry.isInRecovery === false);
}

/** Nodes that answered a query and are in recovery. */
export function answeringStandbys(facts: Facts): NodeFacts[] {
  return facts.nodes.filter((entry) => entry.sql === 'answered' && entry.isInRecovery === true);
}

/**
 * Is this node still working as the primary? Alive = a read-only query answered now, from anywhere.
 * @param sinceEventMs age of the event: only a WAL message younger than that is a sign of life
 */
export function judgePrimary(facts: Facts, node: number, address: Address, sinceEventMs: number): PrimaryJudgement {
  const own = factsOf(facts, node);
  const probes = facts.probes.filter((probe) => probe.about === node);
  const receivers = facts.nodes.filter((entry) => receivesFrom(entry, address));
  const witnesses: Witness[] = [
    {
      from: 'worker, SQL',
      answer: sqlWitness(own?.sql ?? 'silent', isHostAnswering(own)),
      seen: own?.sqlSeen ?? 'not asked',
    },
    ...(own?.host
      ? [
          {
            from: 'worker, ssh',
            answer: processWitness(own.host),
            seen: `${own.host.seen}; processes: ${own.host.processes}`,
          },
        ]
      : []),
    ...probes.map((probe) => ({
      from: `node ${String(probe.from)}, SQL`,
      answer: probe.answer === 'unknown' ? ('unknown' as const) : sqlWitness(probe.answer, probe.answer === 'refused'),
      seen: probe.seen,
    })),
    ...receivers.map((entry) => {
      const age = entry.walReceiver?.lastMessageAgeMs ?? null;
      const isFresh = age !== null && age < sinceEventMs;
      return {
        from: `node ${String(entry.node)}, WAL receiver`,
        answer: isFresh ? ('alive' as const) : ('unknown' as const),
        seen: age === null ? 'no message' : `last message ${String(Math.round(age))} ms ago`,
      };
    }),
    ...pgpoolWitnesses(facts, node),
  ];
  return { state: judgeState(own, probes, witnesses), witnesses };
}

/** pgpool connects to the node when PCP asks it (pcp_worker.c, inform_node_info); its "down" is why we were called. */
function pgpoolWitnesses(facts: Facts, node: number): Witness[] {
  return facts.pgpools.flatMap((pgpool) =>
    pgpool.nodes
      .filter((entry) => entry.node === node)
      .map((entry) => ({
        from: `pgpool ${pgpool.pgpool}`,
        answer: entry.liveStatus === 'up' ? 'alive' : 'unknown',
        seen: `live status ${entry.liveStatus}`,
      })),
  );
}

function judgeState(
  own: NodeFacts | undefined,
  probes: readonly ProbeFacts[],
  witnesses: readonly Witness[],
): PrimaryState {
  const answers = [own?.sql ?? 'silent', ...probes.map((probe) => probe.answer)];
  const processes = own?.host?.processes ?? 'unknown';
  if (answers.includes('answered')) return 'working';
  if (answers.includes('recovering')) return 'recovering';
  if (answers.includes('rejected')) return 'rejecting';
  if (processes === 'none' || processes === 'orphans') return 'dead';
  // pgpool or a WAL receiver heard from it after the event: silence or a reset is then our network, not its death.
  if (witnesses.some((witness) => witness.answer === 'alive')) return 'unknown';
  if (answers.includes('refused') && processes === 'unknown') return 'dead';
  if (processes === 'running') return 'hung';
  const silentHosts = 1 + probes.filter((probe) => probe.answer === 'silent').length;
  return silentHosts >= 2 ? 'unreachable' : 'unknown';
}

/** ssh, or a TCP reset, proves that the host itself is there. */
function isHostAnswering(own: NodeFacts | undefined): boolean {
  return own?.sql === 'refused' || own?.host?.ssh === 'answered' || own?.host?.ssh === 'refused';
}

function sqlWitness(answer: SqlAnswer, hostAnswers: boolean): WitnessAnswer {
  if (answer === 'answered') return 'alive';
  return answer === 'refused' && hostAnswers ? 'dead' : 'unknown';
}

function processWitness(host: HostFacts): WitnessAnswer {
  return host.processes === 'none' || host.processes === 'orphans' ? 'dead' : 'unknown';
}
