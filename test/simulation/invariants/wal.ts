// rule-6: nobody is promoted without WAL that a node which answers holds, nor one that is shown not to have streamed; acknowledged commits that only
// a node holds are a question before its data is replaced. lost-commit: what a synchronous set has confirmed is in the candidate.

import type { Facts } from '../../../domain/facts/facts';
import { inForce } from '../../../domain/facts/maintenance';
import { isAsSeen, type Run } from '../acts/run';
import { answerOf } from '../look';
import { heldOf, lostBy, type Place } from '../model/wal';
import { type ModelNode, systemIdentifier, type World, workerHost } from '../model/world';
import { violate } from '../simulation';

function placeOf({ branch, whole }: ModelNode): Place {
  return { branch, lsn: whole };
}

export function checkKept(run: Run, candidate: ModelNode): void {
  const { sim } = run;
  const { world } = sim;
  // One that may have been told already may accept writes at any moment: it is believed first.
  if (!isAsSeen(run) || candidate.mayBeTold) return;
  // A branch that a person has opened, and that no client used or the record does not name, is decided about when its node is rebuilt.
  const { record } = world;
  const lines = world.branches.filter(
    ({ openedBy, wasServed, timeline }) =>
      openedBy !== 'person' || (wasServed && (!record || record.timeline === timeline)),
  );
  const lost = lostBy(placeOf(candidate), lines);
  if (!lost) return;
  const own = heldOf(placeOf(candidate), lost.branch);
  for (const other of world.nodes) {
    const more = Math.min(heldOf(placeOf(other), lost.branch), lost.branch.acked) - own;
    const isThere = other !== candidate && !other.isWritable && answerOf(world, other, workerHost) === 'answered';
    if (!isThere || other.systemId !== candidate.systemId || more <= 0) continue;
    const isFit = isEligible(run, world, other);
    const { maximumLagBytes } = world.configuration.policy;
    if (!isFit && more <= maximumLagBytes) continue;
    const line = `node ${candidate.id} is promoted without ${more} bytes of acknowledged commits that node ${other.id} holds`;
    violate(sim, 'rule-6', line);
    violate(sim, 'lost-commit', line);
  }
}

/** Could have been promoted itself, as far as anybody knows. */
function isEligible({ sim, actor }: Run, world: World, node: ModelNode): boolean {
  const at = new Date(sim.clock.now).toISOString();
  const isInHand = inForce(world.maintenance, at).some((entry) => entry.node === node.id);
  const { priority } = world.configuration.nodes[node.id]!;
  const isFree = node.delayMs === 0 && !node.isReplayPaused && !node.mayBeTold && !actor.failed.has(node.id);
  return priority > 0 && !isInHand && isFree;
}

/** Of what a synchronous set has confirmed nothing may be missing. */
export function checkSynchronous({ sim }: Run, candidate: ModelNode): void {
  const { branches } = sim.world;
  for (const branch of branches) {
    const wanted = Math.min(branch.ackedBySet, branch.givenUp);
    const held = heldOf(placeOf(candidate), branch);
    if (wanted > branch.fork && wanted > held) {
      const foreign = candidate.systemId === systemIdentifier ? '' : ', which holds data of another cluster,';
      const line = `node ${candidate.id}${foreign} is promoted without ${wanted - held} bytes that the synchronous set had confirmed`;
      violate(sim, 'lost-commit', line);
    }
  }
}

/** Nobody who answers has streamed since its start, and where the primary's WAL ends is unknown. */
export function checkShown({ sim, actor }: Run, candidate: ModelNode): void {
  const { facts } = actor;
  if (!facts) return;
  const standbys = facts.nodes.filter(({ sql, isInRecovery }) => sql === 'answered' && isInRecovery === true);
  const isEndKnown =
    standbys.length === facts.nodes.length ||
    facts.nodes.some(({ node, host }) => host?.controlFile?.state === 'shut down' || actor.fenced.has(node));
  if (isEndKnown || standbys.some(({ receivedLsn }) => receivedLsn !== null) || wasWatched(facts)) return;
  violate(sim, 'rule-6', `node ${candidate.id} is promoted, and nobody has streamed since it was started`);
}

const togetherMs = 5000;

/** Somebody streamed when the watch last heard of a primary. */
function wasWatched({ watch }: Facts): boolean {
  const heardAt = ({ answeredAt }: { readonly answeredAt: string | null }): number => Date.parse(answeredAt ?? '');
  const primaries = watch?.nodes.filter(({ said }) => said?.isInRecovery === false) ?? [];
  return primaries.some((primary) =>
    watch?.nodes.some(({ streamedAt }) => Date.parse(streamedAt ?? '') >= heardAt(primary) - togetherMs),
  );
}

export function checkReplaced({ sim }: Run, node: ModelNode, primary: ModelNode): void {
  const { world } = sim;
  if (!node.hasData || node.placed !== null) return;
  const isVouched = node.hasStandbySignal && node.mark === 'before-promotion';
  const isDiscarded = world.configuration.policy.divergedWrites === 'discard';
  const isDecided = isDiscarded || isVouched || sim.letGo.has(node.id);
  for (const branch of world.branches) {
    const kept = heldOf(placeOf(primary), branch);
    const only = Math.min(branch.acked, heldOf(placeOf(node), branch)) - kept;
    if (only > 0 && isDecided) branch.givenUp = Math.min(branch.givenUp, kept);
    // A shutdown's checkpoint is no commit.
    else if (only > 120)
      violate(
        sim,
        'rule-6',
        `node ${node.id} is replaced, with ${only} bytes of acknowledged commits that nobody else holds`,
      );
  }
}
