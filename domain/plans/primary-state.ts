// Judges a primary by the witnesses among the facts: does it work, and if not, is it dead, hung, or only out of our
// reach?

import {
  type Address,
  factsOf,
  type Facts,
  type HostFacts,
  type NodeFacts,
  type ProbeFacts,
  receivesFrom,
  type SqlAnswer,
} from '../facts/facts';
import { lastAnswerAgeMs } from './last-sample';

export type WitnessAnswer = 'alive' | 'dead' | 'unknown';

export interface Witness {
  readonly from: string;
  readonly answer: WitnessAnswer;
  readonly seen: string;
}

/**
 * working: leave it alone; recovering: give it time; hung and dead: fence it; closed: its port refuses connections and
 * its host could not be looked at; the rest: no evidence either way.
 */
export type PrimaryState =
  'working' | 'recovering' | 'hung' | 'dead' | 'closed' | 'unreachable' | 'rejecting' | 'unknown';

export interface PrimaryJudgement {
  readonly state: PrimaryState;
  /** Number of hosts, with the worker's, that get no answer from the primary. */
  readonly failing: number;
  readonly witnesses: readonly Witness[];
}

/** Greatest age of a WAL message that counts: a receiver shows the age of its last message for as long as it lives. */
const freshMs = 5000;

/**
 * Is this node still working as the primary? Alive = a read-only query answered now, from any host.
 * @param sinceEventMs age of the event: only a younger WAL message is a sign of life
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
      from: `node ${probe.from}, SQL`,
      answer: probe.answer === 'unknown' ? ('unknown' as const) : sqlWitness(probe.answer, probe.answer === 'refused'),
      seen: probe.seen,
    })),
    ...receivers.map((entry) => {
      const age = entry.walReceiver?.lastMessageAgeMs ?? null;
      const isFresh = age !== null && age < Math.min(sinceEventMs, freshMs);
      return {
        from: `node ${entry.node}, WAL receiver`,
        answer: isFresh ? ('alive' as const) : ('unknown' as const),
        seen: age === null ? 'no message' : `last message ${Math.round(age)} ms ago`,
      };
    }),
    ...pgpoolWitnesses(facts, node),
    ...watchWitness(facts, node, sinceEventMs),
  ];
  const failing = 1 + probes.filter(({ answer }) => answer === 'silent' || answer === 'refused').length;
  return { state: judgeState(own, probes, witnesses, failing), witnesses, failing };
}

/** The watch may run on another worker than this look. */
function watchWitness(facts: Facts, node: number, sinceEventMs: number): Witness[] {
  const ageMs = lastAnswerAgeMs(facts, node);
  if (ageMs === null) return [];
  const answer = ageMs < Math.min(sinceEventMs, freshMs) ? 'alive' : 'unknown';
  return [{ from: 'watch', answer, seen: `last answer ${ageMs} ms ago` }];
}

/**
 * pgpool connects to the node when PCP asks it (pcp_worker.c, inform_node_info). Its "down" is no evidence: that is why
 * we were called.
 */
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
  failing: number,
): PrimaryState {
  const isStandby = ({ answer, isInRecovery }: ProbeFacts): boolean => answer === 'answered' && isInRecovery === true;
  const answers = [own?.sql ?? 'silent', ...probes.filter((probe) => !isStandby(probe)).map(({ answer }) => answer)];
  const processes = own?.host?.processes ?? 'unknown';
  if (answers.includes('answered')) return 'working';
  // A node that answers another host as a standby is alive, and is no working primary.
  if (probes.some(isStandby)) return 'unknown';
  if (answers.includes('recovering')) return 'recovering';
  if (answers.includes('rejected')) return 'rejecting';
  if (processes === 'none' || processes === 'orphans') return 'dead';
  // pgpool or a WAL receiver heard from the node after the event, so silence or a reset is the fault of our network.
  if (witnesses.some((witness) => witness.answer === 'alive')) return 'unknown';
  // A restart refuses connections for a moment, and so does a firewall.
  if (answers.includes('refused') && processes === 'unknown') return 'closed';
  if (processes === 'running') return 'hung';
  return failing >= 2 ? 'unreachable' : 'unknown';
}

/** An answer by ssh, or a TCP reset, proves that the host is up. */
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
