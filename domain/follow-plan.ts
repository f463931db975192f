// How one standby comes to follow the primary: pure, from facts. Rewind and rebuild are planned only where they are built.

import { type ClusterConfiguration, findNode, getNode } from './cluster';
import type { ReasonCode } from './outcome';
import { isDiverged } from './wal';
import { factsOf, type Facts, writableNodes } from './witness';

export type FollowPlan =
  | { readonly rung: 'none'; readonly line: string }
  | { readonly rung: 'repoint'; readonly line: string }
  | { readonly rung: 'refuse'; readonly reason: ReasonCode; readonly line: string };

/** What to do with `node`, given that `primary` is to be followed. */
export function planFollow(
  configuration: ClusterConfiguration,
  facts: Facts,
  node: number,
  primary: number,
): FollowPlan {
  const name = `node ${String(node)}`;
  if (!findNode(configuration, node)) {
    return refuse('node-not-configured', `${name} is not in the cluster file of ${configuration.cluster}`);
  }
  if (node === primary) return refuse('node-not-standby', `${name} is the primary itself: it follows nobody`);
  const source = writableNodes(facts).find((entry) => entry.node === primary);
  if (!source?.position) return refuse('primary-missing', `node ${String(primary)} does not answer as the primary`);
  const own = factsOf(facts, node);
  if (own?.sql !== 'answered' || !own.position) {
    return refuse(
      'node-unreachable',
      `${name} does not answer (${own?.sqlSeen ?? 'not asked'}): start it, the rest happens by itself`,
    );
  }
  if (own.isInRecovery !== true) {
    return refuse('node-not-standby', `${name} accepts writes itself: stop it before anything else`);
  }
  if (own.systemIdentifier !== source.systemIdentifier) {
    return refuse(
      'other-system',
      `${name} belongs to another cluster (system identifier ${own.systemIdentifier ?? 'unknown'})`,
    );
  }
  const upstream = getNode(configuration, primary);
  const receiver = own.walReceiver;
  if (
    receiver?.isStreaming &&
    receiver.host === upstream.host &&
    receiver.port === upstream.port &&
    receiver.timeline === source.position.timeline
  ) {
    return {
      rung: 'none',
      line: `${name} already streams from node ${String(primary)} on timeline ${String(source.position.timeline)}`,
    };
  }
  if (isDiverged(own, source)) {
    return refuse(
      'diverged',
      `${name} holds WAL that the primary, node ${String(primary)}, does not: it is at (${String(own.position.timeline)}, ${own.position.lsn}) and must be rebuilt`,
    );
  }
  return { rung: 'repoint', line: `${name} has nothing that node ${String(primary)} lacks: repoint by reload` };
}

function refuse(reason: ReasonCode, line: string): FollowPlan {
  return { rung: 'refuse', reason, line };
}
