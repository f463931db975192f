// Measures every node and every pgpool at once, within one bound. A silent node is a fact, not an error.

import { type ClusterConfiguration, findNode, type NodeConfiguration } from '../../domain/facts/cluster';
import { findRecord } from '../../domain/plans/record';
import { findHeir, findSuccessors } from '../../domain/plans/rival-primaries';
import { suspectPrimary } from '../../domain/plans/suspect';
import {
  answeringStandbys,
  factsOf,
  type Facts,
  type NodeFacts,
  type PgpoolFacts,
  type ProbeFacts,
  writableNodes,
} from '../../domain/facts/facts';
import { messageOf } from '../io/failures';
import { probeFrom, readHostFacts } from '../io/host/host-facts';
import { nodeFactsBoundMs, readNodeFacts } from '../io/sql/node-facts';
import { PcpFailure } from '../io/pcp/pcp';
import type { Tools, WorkerTools } from '../io/tools';

export interface ObserveInput {
  readonly cluster: string;
  /** The primary as far as the caller knows: looked at through ssh and, when silent, through the standbys' hosts. */
  readonly suspect: number | null;
  /** Nodes to ask, where not all of them matter: one that is silent for reasons of its own would only cost time. */
  readonly only?: readonly number[];
  /** Every pgpool is asked, whatever the nodes say: for people. */
  readonly isWhole?: boolean;
  /** No pgpool has reported the primary: where no node accepts writes, the pgpools are asked whether they have given it up. */
  readonly isUnreported?: boolean;
}

export interface Observation {
  readonly configuration: ClusterConfiguration;
  readonly facts: Facts;
}

/** Bounds each look. */
const lookMs = 1000;
/** A node that works answers sooner. */
const promptMs = 50;
/** When a node is silent for so long, the pgpools are asked, and for the suspect the others' hosts, too, before its time is over. */
const silentMs = 200;
/** Sums SQL with the look at the host beside it, then the probes and the pgpools at once, then the host of a node whose replay is paused. */
export const boundMs = Math.max(nodeFactsBoundMs(lookMs), promptMs + lookMs) + lookMs + lookMs;

export async function observe(tools: Tools, input: ObserveInput): Promise<Observation> {
  const configuration = tools.readConfiguration(input.cluster);
  const recalling = tools.recall(configuration);
  const takenAt = new Date().toISOString();
  const hosts = new Map<number, ReturnType<typeof readHostFacts>>();
  const lookAt = (node: NodeConfiguration): ReturnType<typeof readHostFacts> => {
    const look = hosts.get(node.id) ?? readHostFacts(tools, configuration, node, lookMs);
    hosts.set(node.id, look);
    return look;
  };
  const suspect = findNode(configuration, input.suspect);
  const early: { probes?: Promise<ProbeFacts[]>; pgpools?: Promise<PgpoolFacts[]> } = {};
  // The suspect is looked at without waiting for its silence.
  if (suspect) void lookAt(suspect);
  const { only } = input;
  const asked = only ? configuration.nodes.filter(({ id }) => only.includes(id)) : configuration.nodes;
  const nodes = await Promise.all(
    asked.map(async (node): Promise<NodeFacts> => {
      const reading = readNodeFacts(tools.sql, configuration, node, lookMs);
      // Start the host look early for any other slow node, too: one silence after the other would break the bound.
      const timer = setTimeout(() => void lookAt(node), promptMs);
      const later = setTimeout(() => {
        if (node === suspect) early.probes = probeFromOthers(tools, configuration, node);
        early.pgpools ??= readPgpools(tools, configuration);
      }, silentMs);
      const facts = await reading;
      clearTimeout(timer);
      clearTimeout(later);
      return facts.sql === 'answered' && node !== suspect ? facts : { ...facts, host: await lookAt(node) };
    }),
  );
  const { watch, ...recorded } = await recalling;
  const direct: Facts = { takenAt, ...recorded, watch: watch?.samples ?? null, nodes, probes: [], pgpools: [] };
  const about = findSuspect(configuration, direct, input.suspect);
  // An answer that was asked for early is older than one that came late: it counts only beside a silence that lasted.
  const isSilent = suspect && factsOf(direct, suspect.id)?.sql === 'silent';
  const probe = (node: NodeConfiguration): Promise<ProbeFacts[]> =>
    (isSilent && node === suspect && early.probes) || probeFromOthers(tools, configuration, node);
  const isSettled = writableNodes(direct).length > 0 || (about !== undefined && isProvenDead(direct, about.id));
  const hasSilent = nodes.some(({ node, sql }) => sql === 'silent' && node !== about?.id);
  if (isSettled && !needsPgpools(input, configuration, direct, hasSilent))
    return { configuration, facts: await explainPauses(direct, configuration, lookAt) };
  const [probes, pgpools] = await Promise.all([
    !isSettled && about && needsProbes(direct, about.id) ? probe(about) : [],
    ((isSilent || hasSilent) && early.pgpools) || readPgpools(tools, configuration),
  ]);
  return { configuration, facts: await explainPauses({ ...direct, probes, pgpools }, configuration, lookAt) };
}

function findSuspect(
  configuration: ClusterConfiguration,
  direct: Facts,
  suspect: number | null,
): NodeConfiguration | undefined {
  const suspicion = { suspect: null, oldPrimary: suspect, failedNode: suspect, fencedNode: null, opened: [] };
  return findNode(configuration, suspectPrimary(configuration, direct, suspicion));
}

/** A primary that answers, or a dead postmaster seen on its own host, settles it: asking everybody else would only cost time. */
function needsPgpools(
  { isWhole, isUnreported, suspect }: ObserveInput,
  configuration: ClusterConfiguration,
  direct: Facts,
  hasSilent: boolean,
): boolean {
  // A pgpool may hear a node that the worker does not, and as a primary.
  const isOther = direct.record !== null && direct.record.primary !== suspect;
  const isLost = writableNodes(direct).length === 0 && (isUnreported === true || hasSilent || isOther);
  return isWhole === true || isLost || isClaimed(configuration, direct);
}

/** More than one node may be the primary, or the record names another one: who is served tells them apart. */
function isClaimed(configuration: ClusterConfiguration, facts: Facts): boolean {
  const writable = writableNodes(facts);
  const standbys = answeringStandbys(facts);
  const record = findRecord(configuration, facts);
  return (
    writable.length > 1 ||
    (record !== null && writable.some(({ node }) => node !== record.primary)) ||
    writable.some((entry) => findHeir(entry, standbys) !== undefined || findSuccessors(facts, entry).length > 0)
  );
}

/** Whether PostgreSQL paused the replay of a possible candidate by itself, and why, is written in that node's control file only. */
async function explainPauses(
  facts: Facts,
  { nodes }: ClusterConfiguration,
  lookAt: (node: NodeConfiguration) => ReturnType<typeof readHostFacts>,
): Promise<Facts> {
  if (!facts.nodes.some(({ isReplayPaused }) => isReplayPaused)) return facts;
  const explained = facts.nodes.map(async (entry) => {
    const node = entry.isReplayPaused ? nodes.find(({ id }) => id === entry.node) : undefined;
    return node ? { ...entry, host: await lookAt(node) } : entry;
  });
  return { ...facts, nodes: await Promise.all(explained) };
}

function isProvenDead(facts: Facts, node: number): boolean {
  const own = factsOf(facts, node);
  return own?.sql !== 'answered' && (own?.host?.processes === 'none' || own?.host?.processes === 'orphans');
}

/** A psql on every standby's host costs more than all the rest: only where the direct look settled nothing. */
function needsProbes(facts: Facts, node: number): boolean {
  const sql = factsOf(facts, node)?.sql;
  return sql !== 'answered' && sql !== 'recovering';
}

async function probeFromOthers(
  tools: Tools,
  configuration: ClusterConfiguration,
  about: NodeConfiguration,
): Promise<ProbeFacts[]> {
  const others = configuration.nodes.filter((node) => node.id !== about.id);
  return await Promise.all(others.map((from) => probeFrom(tools, configuration, from, about, lookMs)));
}

/** Failures that are an answer of a pgpool itself, or of its host. */
const answers: readonly string[] = ['refused', 'authentication', 'rejected', 'protocol'];

async function readPgpools({ pcp }: WorkerTools, configuration: ClusterConfiguration): Promise<PgpoolFacts[]> {
  return await Promise.all(
    configuration.pgpool.map(async (pgpool): Promise<PgpoolFacts> => {
      const seen: string[] = [];
      let isReached = false;
      const nodes = await Promise.all(
        // Asked one by one: with one dead host "all nodes" takes 10 s (measured), a single one 20 ms.
        configuration.nodes.map(async ({ id }) => {
          try {
            const info = await pcp.readNodeInfo(pgpool, id, { timeoutMs: lookMs });
            isReached = true;
            return [
              { node: id, status: info.status, role: info.role, liveStatus: info.pgStatus, liveRole: info.pgRole },
            ];
          } catch (error) {
            seen.push(messageOf(error));
            isReached ||= error instanceof PcpFailure && answers.includes(error.kind);
            return [];
          }
        }),
      );
      return { pgpool: pgpool.name, nodes: nodes.flat(), isReached, seen: [...new Set(seen)].join('; ') };
    }),
  );
}
