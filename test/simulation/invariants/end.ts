// Conditions that must hold once faults have stopped for some minutes.
// liveness: one node accepts writes and every node that is reached follows it, or a question or a refusal says why. rule-9: every pgpool that
// lives shows it; a dead one blocks nothing else. rule-8: what was alive when we stopped it is back.

import type { ReasonCode } from '../../../domain/facts/reasons';
import { inForce } from '../../../domain/facts/maintenance';
import { hasHost } from '../acts/run';
import { answerOf } from '../look';
import {
  canReach,
  follows,
  isUp,
  type ModelNode,
  type ModelPgpool,
  serversOf,
  type World,
  workerHost,
} from '../model/world';
import { type Simulation, violate, worldNow } from '../simulation';

/** Reasons that are wrong while a node accepts writes and answers the worker. */
const wrongBesidePrimary: readonly ReasonCode[] = [
  ...(['no-candidate', 'lag-exceeded', 'lag-unknown', 'synchronous-set-unreachable', 'cut-off', 'too-soon'] as const),
  ...(['primary-unreachable', 'promotion-failed', 'insufficient-settings'] as const),
];

export function checkEnd(sim: Simulation): void {
  const world = worldNow(sim);
  const writable = world.nodes.filter(
    (node) => node.isWritable && answerOf(world, node, workerHost) === 'answered' && node.hasData,
  );
  const { incident } = sim;
  const isRefused = (incident?.state.undecided.length ?? 0) > 0;
  const [primary] = writable;
  if (writable.length === 1 && primary) {
    // A decision that waits for a candidate says so itself.
    const isOpen = (incident?.state.decision ?? null) !== null;
    if (isRefused && !isOpen) checkRefusal(sim, primary);
    else if (!isOpen && !sim.level.isLeft) checkServed(sim, primary);
  } else if (!isRefused && sim.parked.size === 0 && !isDeciding(sim) && !isServedElsewhere(world) && !isWarned(sim)) {
    const nodes = writable.map(({ id }) => id).join(', ') || 'no node';
    const seen = world.nodes.every(({ hasStandbySignal }) => hasStandbySignal)
      ? 'every node is a standby'
      : `${nodes} accepts writes`;
    violate(sim, 'liveness', `${seen}, and nobody says why`);
  }
  for (const node of world.nodes) checkBroughtBack(sim, node, primary ?? null);
}

/** Only the worker's own way to the primary is broken. */
function isServedElsewhere(world: World): boolean {
  return world.nodes.some((node) => node.isWritable && isUp(world, node) && serversOf(world, node).length > 0);
}

/** The watch has told of it, and tells it again; or a person has decided to leave it so. */
function isWarned({ watch: { state }, level, verdicts }: Simulation): boolean {
  const isTold = ({ key }: { key: string }): boolean =>
    /^(?:primary-silent|given-up|second-writable|other-primary)[.]/.test(key);
  const isUnknown = verdicts.at(-1)?.reason === 'primary-unknown';
  return level.isLeft || isUnknown || (state?.told.some(isTold) ?? false);
}

function isDeciding({ incident }: Simulation): boolean {
  const state = incident?.state;
  if (!state) return false;
  const { decision, settling, waiting, open } = state;
  return decision !== null || settling !== null || waiting.length > 0 || open.length > 0;
}

function checkRefusal(sim: Simulation, primary: ModelNode): void {
  const { reason, at = 0 } = sim.verdicts.at(-1) ?? {};
  // A promotion, a start or a firewall's rule that has ended since is seen by the next look.
  if (Math.max(primary.historyAt, primary.upAt, primary.closedUntil) > at) return;
  // A node that a person has promoted, while the one that standbys follow is only silent.
  const isFollowedElsewhere = sim.world.nodes.some(
    ({ receiver }) => receiver?.isStreaming === true && receiver.from !== primary.id,
  );
  if (reason === 'primary-unreachable' && isFollowedElsewhere) return;
  if (wrongBesidePrimary.some((wrong) => wrong === reason))
    violate(sim, 'liveness', `node ${primary.id} accepts writes and answers, and the last word is ${String(reason)}`);
}

function checkServed(sim: Simulation, primary: ModelNode): void {
  const { world } = sim;
  const known = inForce(world.maintenance, new Date(world.now).toISOString()).map(({ node }) => node);
  for (const pgpool of world.pgpools) checkShown(sim, pgpool, primary, known.includes(null));
  for (const node of world.nodes) {
    if (node === primary || known.includes(node.id) || isFedFromAbroad(world, node)) continue;
    if (answerOf(world, node, workerHost) !== 'answered' || follows(world, node, primary) || isSpokenOf(sim, node.id))
      continue;
    const idle = isBehindIdle(world, node) ? ', behind standbys that receive nothing' : '';
    violate(sim, 'liveness', `node ${node.id} answers, does not follow node ${primary.id}${idle}, and nobody says why`);
  }
}

/** An address that no node has may be another name of the primary's host. */
function isFedFromAbroad({ nodes }: World, node: ModelNode): boolean {
  const passed = [node];
  for (let own = node; own.upstream !== null;) {
    if (own.upstream === 'abroad') return true;
    own = nodes[own.upstream]!;
    if (passed.includes(own)) return false;
    passed.push(own);
  }
  return false;
}

/** A standby that receives nothing itself, or a circle of standbys, feeds the node. */
function isBehindIdle({ nodes }: World, node: ModelNode): boolean {
  const passed = [node];
  for (let own = node; typeof own.upstream === 'number';) {
    own = nodes[own.upstream]!;
    if (own.isWritable) return false;
    if (passed.includes(own) || own.receiver === null) return true;
    passed.push(own);
  }
  return false;
}

function checkShown(sim: Simulation, pgpool: ModelPgpool, primary: ModelNode, isPaused: boolean): void {
  const { world } = sim;
  const isThere = pgpool.isRunning && canReach(world, workerHost, pgpool.host);
  if (!isThere || isPaused || !canReach(world, pgpool.host, primary.host)) return;
  if (pgpool.primary === primary.id && pgpool.status[primary.id] === 'up') return;
  if ([...sim.parked.keys()].some((stepId) => stepId.includes(pgpool.name)) || isDeciding(sim)) return;
  violate(sim, 'rule-9', `${pgpool.name} does not show node ${primary.id} as its primary`);
}

/** A question, a follow that is at work, a report that says why not, or somebody who waits for it. */
function isSpokenOf(sim: Simulation, id: number): boolean {
  const own = sim.incident?.state.nodes.find((node) => node.id === id);
  const isParked = [...sim.parked.keys()].some((stepId) => stepId.startsWith(`node${id}.`));
  const isAtWork =
    own !== undefined && (own.follow !== 'none' || (own.report !== null && own.report.outcome !== 'completed'));
  return isParked || isAtWork || sim.left.has(id);
}

function checkBroughtBack(sim: Simulation, node: ModelNode, primary: ModelNode | null): void {
  const { world } = sim;
  const { policy } = world.configuration;
  if (node.downBy !== 'us' || !primary || policy.rejoin === 'manual' || !hasHost(world, node)) return;
  // Whose files cannot be read is left to a person, and the follow's report says so.
  if (node.hidden !== null) return;
  const known = inForce(world.maintenance, new Date(world.now).toISOString());
  if (known.some((entry) => entry.node === node.id || entry.node === null)) return;
  if ((sim.incident?.state.undecided.length ?? 0) > 0) return;
  const own = sim.incident?.state.nodes.find(({ id }) => id === node.id);
  const isParked = [...sim.parked.keys()].some((stepId) => stepId.startsWith(`node${node.id}.`));
  if (isParked || own?.follow === 'running' || own?.follow === 'closing' || isLeftFor(sim, node.id) || isDeciding(sim))
    return;
  violate(
    sim,
    'rule-8',
    `node ${node.id} was alive when it was stopped, and is left so${node.wasSeenDead ? ', which came up while it was being stopped' : ''}${node.wasLate ? ', by an act that was late' : ''}`,
  );
}

/** A report says why; that it is stopped is no reason. */
function isLeftFor({ left }: Simulation, id: number): boolean {
  const reason = left.get(id);
  return reason !== undefined && reason !== 'node-unreachable';
}
