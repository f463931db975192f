// Measures every node and every pgpool at once, within one bound. A silent node is a fact, not an error.

import { type ClusterConfiguration, findNode, type NodeConfiguration } from '../domain/cluster';
import { suspectPrimary } from '../domain/failover-plan';
import type { Facts, NodeFacts, PgpoolFacts, ProbeFacts } from '../domain/witness';
import { messageOf } from './io/failures';
import { probeFrom, readHostFacts } from './io/host-facts';
import { readNodeFacts } from './io/node-facts';
import { readNodeInfo } from './io/pcp';
import type { Tools } from './io/tools';

export interface ObserveInput {
  readonly cluster: string;
  /** Who was the primary as far as the caller knows: looked at through ssh and, when silent, through the standbys' hosts. */
  readonly suspect: number | null;
}

export interface Observation {
  readonly configuration: ClusterConfiguration;
  readonly facts: Facts;
}

/** All of it takes at most twice this, whatever is down. */
const boundMs = 1000;

export async function observe(tools: Tools, input: ObserveInput): Promise<Observation> {
  const configuration = tools.readConfiguration(input.cluster);
  const takenAt = new Date().toISOString();
  const pgpoolsReading = readPgpools(configuration);
  const hosts = new Map<number, ReturnType<typeof readHostFacts>>();
  const lookAt = (node: NodeConfiguration): ReturnType<typeof readHostFacts> => {
    const look = hosts.get(node.id) ?? readHostFacts(tools, configuration, node, boundMs);
    hosts.set(node.id, look);
    return look;
  };
  const suspect = findNode(configuration, input.suspect);
  // The suspect is looked at without waiting for its silence.
  if (suspect) void lookAt(suspect);
  const nodes = await Promise.all(
    configuration.nodes.map(async (node): Promise<NodeFacts> => {
      const facts = await readNodeFacts(tools.sql, configuration, node, boundMs);
      return facts.sql === 'answered' && node !== suspect ? facts : { ...facts, host: await lookAt(node) };
    }),
  );
  const withoutProbes: Facts = { takenAt, nodes, probes: [], pgpools: [] };
  const probes = await probeSuspect(tools, configuration, withoutProbes, input.suspect);
  return { configuration, facts: { takenAt, nodes, probes, pgpools: await pgpoolsReading } };
}

/** Only where the direct look settled nothing: a psql on every standby's host costs more than all the rest. */
async function probeSuspect(
  tools: Tools,
  configuration: ClusterConfiguration,
  facts: Facts,
  hint: number | null,
): Promise<ProbeFacts[]> {
  const id = suspectPrimary(configuration, facts, { oldPrimary: hint, failedNode: hint, fencedNode: null });
  const about = findNode(configuration, id);
  const own = facts.nodes.find((entry) => entry.node === id);
  if (!about || !own || own.sql === 'answered' || own.sql === 'recovering') return [];
  if (own.host?.processes === 'none' || own.host?.processes === 'orphans') return [];
  const askers = configuration.nodes.filter((node) => node.id !== id);
  return await Promise.all(askers.map((from) => probeFrom(tools, configuration, from, about, boundMs)));
}

async function readPgpools(configuration: ClusterConfiguration): Promise<PgpoolFacts[]> {
  return await Promise.all(
    configuration.pgpool.map(async (pgpool): Promise<PgpoolFacts> => {
      const seen: string[] = [];
      const nodes = await Promise.all(
        // Asked one by one: with one dead host "all nodes" takes 10 s (measured), a single one 20 ms.
        configuration.nodes.map(async ({ id }) => {
          try {
            const info = await readNodeInfo(pgpool, id, { timeoutMs: boundMs });
            return [{ node: id, status: info.status, role: info.role, liveStatus: info.pgStatus }];
          } catch (error) {
            seen.push(messageOf(error));
            return [];
          }
        }),
      );
      return { pgpool: pgpool.name, nodes: nodes.flat(), seen: [...new Set(seen)].join('; ') };
    }),
  );
}
