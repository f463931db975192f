// Measures every node and every pgpool at once, within one bound. A silent node is a fact, not an error.

import { type ClusterConfiguration, findNode, getNode, type NodeConfiguration } from '../../domain/facts/cluster';
import { factsOf, type Facts, type NodeFacts, type PgpoolFacts, type ProbeFacts } from '../../domain/facts/facts';
import { type LookPurpose, planLook } from '../../domain/plans/look';
import { messageOf } from '../io/failures';
import { probeFrom, readHostFacts } from '../io/host/host-facts';
import { nodeFactsBoundMs, readNodeFacts } from '../io/sql/node-facts';
import { PcpFailure } from '../io/pcp/pcp';
import type { Tools, WorkerTools } from '../io/tools';

export interface ObserveInput extends LookPurpose {
  readonly cluster: string;
  /** Nodes to ask, where not all of them matter: one that is silent for reasons of its own would only cost time. */
  readonly only?: readonly number[];
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
  const { hasSilent, asksPgpools, probed } = planLook(configuration, direct, input);
  if (!asksPgpools) return { configuration, facts: await explainPauses(direct, configuration, lookAt) };
  // An answer that was asked for early is older than one that came late: it counts only beside a silence that lasted.
  const isSilent = suspect && factsOf(direct, suspect.id)?.sql === 'silent';
  const probe = (node: NodeConfiguration): Promise<ProbeFacts[]> =>
    (isSilent && node === suspect && early.probes) || probeFromOthers(tools, configuration, node);
  const [probes, pgpools] = await Promise.all([
    probed === null ? [] : probe(getNode(configuration, probed)),
    ((isSilent || hasSilent) && early.pgpools) || readPgpools(tools, configuration),
  ]);
  return { configuration, facts: await explainPauses({ ...direct, probes, pgpools }, configuration, lookAt) };
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
