// More than one node has a claim to be the primary: which one is right, from timelines, or nobody can say.

import type { FailoverPlan, FailoverRequest } from './failover-plan';
import type { ReasonCode } from './outcome';
import { answeringStandbys, type Facts, type NodeFacts } from './witness';

/** Only a strict successor settles it: a newer timeline that descends from the other's. */
export function planWithTwoPrimaries(writable: readonly NodeFacts[], request: FailoverRequest): FailoverPlan {
  const [newest, ...others] = [...writable].sort(
    (left, right) => (right.position?.timeline ?? 0) - (left.position?.timeline ?? 0),
  );
  const former = others.find(
    (entry) =>
      entry.systemIdentifier === newest?.systemIdentifier &&
      newest.history.some((end) => end.timeline === entry.position?.timeline),
  );
  if (newest && former && others.length === 1 && request.fenceTried !== former.node) {
    const line = `node ${String(former.node)} accepts writes on timeline ${String(former.position?.timeline)}, which node ${String(newest.node)} has succeeded: it is stopped`;
    return { action: 'fence', node: former.node, line };
  }
  const names = writable
    .map((entry) => `${String(entry.node)} (timeline ${String(entry.position?.timeline ?? '?')})`)
    .join(' and ');
  return refuse('two-primaries', `nodes ${names} both accept writes: stop the one that must not, on its host`);
}

/** It accepts writes, but the standbys follow its successor, or belong to another system: serving it would lose what they hold. */
export function refuseStalePrimary(facts: Facts, living: NodeFacts, request: FailoverRequest): FailoverPlan | null {
  // pgpool served this node until now: whatever else is about, clients' writes are here.
  if (request.oldPrimary === living.node) return null;
  const standbys = answeringStandbys(facts).filter((entry) => entry.systemIdentifier !== null);
  const name = `node ${String(living.node)}`;
  if (standbys.length > 0 && standbys.every((entry) => entry.systemIdentifier !== living.systemIdentifier)) {
    return refuse(
      'other-system',
      `${name} accepts writes but belongs to another system than every standby: stop it, or correct the cluster file`,
    );
  }
  const timeline = living.position?.timeline;
  const heir = standbys.find(
    (entry) =>
      entry.systemIdentifier === living.systemIdentifier &&
      timeline !== undefined &&
      (entry.position?.timeline ?? 0) > timeline &&
      entry.history.some((end) => end.timeline === timeline),
  );
  if (!heir) return null;
  return refuse(
    'diverged-branches',
    `${name} accepts writes on timeline ${String(timeline)}, but standby node ${String(heir.node)} is on its successor ${String(heir.position?.timeline)}: ${name} is a former primary; stop it, and start the newer primary`,
  );
}

function refuse(reason: ReasonCode, line: string): FailoverPlan {
  return { action: 'refuse', reason, line };
}
