// Makes a node unable to accept writes: no process of that data directory is left and standby.signal is written, or "unconfirmed".

import { type ClusterConfiguration, getNode, type NodeConfiguration } from '../../domain/facts/cluster';
import type { FenceMark, HostFacts, NodeFacts } from '../../domain/facts/facts';
import { serviceCommands } from '../../domain/texts/service';
import { act, actBoundMs } from '../io/host/act';
import { runLocally } from '../io/command';
import { Cancelled } from '../io/attempt';
import { messageOf } from '../io/failures';
import { parseHostFacts } from '../io/host/host-facts';
import { nodeFactsBoundMs, readNodeFacts, silentNode } from '../io/sql/node-facts';
import { PcpFailure } from '../io/pcp/pcp';
import type { Tools } from '../io/tools';

export interface FenceInput {
  readonly configuration: ClusterConfiguration;
  readonly node: number;
  /** From observe; null when it did not look at the host, as SQL had answered: measured then. */
  readonly clockOffsetMs: number | null;
  /** observe found the host silent on every path: one short try is enough. */
  readonly isHostSilent: boolean;
  /** Another one takes its place also without proof that it is stopped: pgpools that use it are told not to. */
  readonly isReplaced: boolean;
  /** Left in standby.signal, for the day when this node's data is to be replaced; `after-return` is never taken back. */
  readonly mark: Exclude<FenceMark, 'none'>;
}

export interface FenceResult {
  readonly outcome: 'confirmed' | 'unconfirmed';
  readonly seen: string;
  /** The other nodes, measured after the fence: no later write can come from the fenced one. */
  readonly nodes: readonly NodeFacts[];
  /** In force on the fenced node, from its files; null when unreadable. */
  readonly synchronousStandbyNames: string | null;
}

const stopMs = 12_000;
const commandMs = 8000;
/** Bounds stop and command together: after a slow stop the command has less, because the look afterwards must fit into the 25 s, too. */
const endMs = 23_000;
const silentHostMs = 500;
const readMs = 1000;
/** The promotion waits for it. */
const detachMs = 1000;
/** Sums the stop with the question for the clock, the command, which ends by endMs, and the look at the others beside the detach. */
export const boundMs =
  Math.max(actBoundMs(stopMs), Math.min(actBoundMs(stopMs) + commandMs, endMs)) +
  Math.max(nodeFactsBoundMs(readMs), detachMs);

/** Idempotent: a second run finds nothing to stop and says so. Never throws for a host that is away: that is "unconfirmed". */
export async function fence(tools: Tools, input: FenceInput): Promise<FenceResult> {
  const { configuration } = input;
  const node = getNode(configuration, input.node);
  const endsAt = Date.now() + endMs;
  const stopped = await stopOnHost(tools, input, node);
  const commanded = stopped.isConfirmed ? null : await runFenceCommand(configuration, node, endsAt);
  const isConfirmed = stopped.isConfirmed || commanded?.isConfirmed === true;
  const others = configuration.nodes.filter((other) => other.id !== node.id);
  // Where nobody takes its place, nothing is changed.
  const isReplaced = !isConfirmed && input.isReplaced;
  const [nodes, detached] = await Promise.all([
    Promise.all(others.map((other) => readNodeFacts(tools.sql, configuration, other, readMs))),
    isReplaced ? detachEverywhere(tools, configuration, node) : null,
  ]);
  const self = stopped.host ? [{ ...silentNode(node.id, 'refused', 'fenced'), host: stopped.host }] : [];
  return {
    outcome: isConfirmed ? 'confirmed' : 'unconfirmed',
    seen: [stopped.seen, commanded?.seen, detached].filter(Boolean).join('; '),
    nodes: [...nodes, ...self],
    synchronousStandbyNames: stopped.synchronousStandbyNames,
  };
}

interface StopResult {
  readonly isConfirmed: boolean;
  readonly seen: string;
  /** As the fence left it; null when the fence is not confirmed. */
  readonly host: HostFacts | null;
  readonly synchronousStandbyNames: string | null;
}

async function stopOnHost(tools: Tools, input: FenceInput, node: NodeConfiguration): Promise<StopResult> {
  const { configuration } = input;
  const isService = configuration.postgres.service.kind !== 'pg_ctl';
  try {
    const answer = await act(tools, {
      configuration,
      node,
      script: 'fence',
      // A service manager may start a dead node again at any moment; pg_ctl never does.
      args: [
        node.dataDirectory,
        configuration.postgres.bin,
        serviceCommands(configuration, node).stop,
        isService ? 'yes' : 'no',
        input.mark,
      ],
      timeoutMs: input.isHostSilent ? silentHostMs : stopMs,
      clockOffsetMs: input.clockOffsetMs,
      // The decision to fence stands as long as somebody waits for this attempt.
      reliesOnNoLook: true,
    });
    const synchronousStandbyNames = answer.values.get('names') ?? null;
    if (answer.kind !== 'done')
      return { isConfirmed: false, seen: answer.sentence, host: null, synchronousStandbyNames };
    return {
      isConfirmed: true,
      seen: `no process left (${answer.values.get('how') ?? ''}), standby.signal written`,
      host: parseHostFacts(answer.values, Date.now()),
      synchronousStandbyNames,
    };
  } catch (error) {
    // Not a host that is away: no fenceCommand either.
    if (error instanceof Cancelled) throw error;
    return { isConfirmed: false, seen: messageOf(error), host: null, synchronousStandbyNames: null };
  }
}

/**
 * A node that may still accept writes must get none from any pgpool that has not given it up itself; its hook then calls, too. Never throws:
 * a pgpool that has given it up rejects the request, and one that is away serves nobody.
 */
async function detachEverywhere(
  { pcp }: Tools,
  { pgpool }: ClusterConfiguration,
  node: NodeConfiguration,
): Promise<string | null> {
  const answers = await Promise.all(
    pgpool.map(async (target) => {
      try {
        await pcp.requestDetach(target, node.id, { timeoutMs: detachMs });
        return `${target.name} was told to detach it`;
      } catch (error) {
        return error instanceof PcpFailure && error.kind === 'rejected' ? null : messageOf(error);
      }
    }),
  );
  return answers.filter((answer) => answer !== null).join('; ');
}

async function runFenceCommand(
  configuration: ClusterConfiguration,
  node: NodeConfiguration,
  endsAt: number,
): Promise<{ isConfirmed: boolean; seen: string } | null> {
  const [program, ...args] = configuration.policy.fenceCommand;
  if (!program) return null;
  const environment = {
    PGPOOL_RUNBOOK_CLUSTER: configuration.cluster,
    PGPOOL_RUNBOOK_NODE: String(node.id),
    PGPOOL_RUNBOOK_HOST: node.host,
  };
  // Without the lower bound a late one would have no bound at all.
  const timeoutMs = Math.max(1, Math.min(commandMs, endsAt - Date.now()));
  const result = await runLocally(program, args, { environment, timeoutMs });
  return {
    isConfirmed: result.exitCode === 0,
    seen: `fenceCommand ${result.exitCode === 0 ? 'succeeded' : `failed: ${result.seen}`}`,
  };
}
