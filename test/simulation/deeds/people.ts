// Deeds of people, on purpose or by mistake, and their answers.

import { startMaintenance, stopMaintenance } from '../../../domain/facts/maintenance';
import { after } from '../clock';
import { degenerate, promoteView } from '../model/pgpool';
import { shutDown, start, tellToPromote } from '../model/processes';
import { follows, isUp, type ModelNode, type ModelPgpool } from '../model/world';
import { type Simulation, worldNow } from '../simulation';
import { deed, pgpoolOf, primaryOf, whoOf } from './deed';

function eventOf(sim: Simulation, kind: 'rejoin' | 'returned', node: number, id: string) {
  return { eventId: id, kind, node, mainNode: null, oldPrimary: null, at: new Date(sim.clock.now).toISOString() };
}

/** Stopped, then closed for a moment, then it recovers. */
function restart(sim: Simulation, node: ModelNode, closedMs: number, recoveryMs: number): void {
  const world = worldNow(sim);
  shutDown(world, node, 'person');
  after(sim.clock, closedMs, () => {
    const now = worldNow(sim);
    if (node.process !== 'none') return;
    start(now, node, recoveryMs);
    now.version += 1;
  });
}

function maintain(sim: Simulation, node: number | null): void {
  const { world, clock } = sim;
  const since = new Date(clock.now).toISOString();
  const started = { node, operator: 'ann@db', reason: 'a test', since, until: null };
  world.maintenance = startMaintenance(world.maintenance, started);
  world.version += 1;
}

/** The workflow `cluster` tells the incident that a node, or the cluster, is given back. */
function giveBack(sim: Simulation, node: number | null): string | null {
  const { world } = sim;
  if (!world.maintenance.some((entry) => entry.node === node)) return null;
  world.maintenance = stopMaintenance(world.maintenance, node);
  world.version += 1;
  const whom = node ?? world.record?.primary ?? 0;
  sim.signal(eventOf(sim, 'returned', whom, `given-back-${whom}-${sim.clock.now}`));
  return node === null ? 'the pause is over' : `node ${node} is given back`;
}

/**
 * Of a primary pgpool says no more than that it has failed; a standby that does not stream is brought back as one that failed; a hook that comes late is
 * overtaken; and once a refusal is over, every node is looked after.
 */
function isToldApart({ world, incident }: Simulation, pgpool: ModelPgpool, node: ModelNode): boolean {
  const primary = world.nodes.find(({ id }) => id === pgpool.primary);
  const isWell = primary !== undefined && primary !== node && follows(world, node, primary);
  return isWell && world.hookTroubles.length === 0 && !incident?.state.undecided.length;
}

export const peopleDeeds = {
  restart: deed('fault', 5, (sim, entry) => {
    const node = whoOf(sim, entry);
    if (!isUp(worldNow(sim), node)) return null;
    const [closedMs, recoveryMs] = [Math.min(entry.ms, 5000), entry.isWide ? 1000 : 200];
    restart(sim, node, closedMs, recoveryMs);
    return `a person restarts node ${node.id}: closed for ${closedMs} ms`;
  }),
  stop: deed('fault', 3, (sim, entry) => {
    const node = whoOf(sim, entry);
    if (!isUp(worldNow(sim), node)) return null;
    decideAgainst(node);
    shutDown(sim.world, node, 'person');
    return `a person stops node ${node.id}`;
  }),
  start: deed('fault', 4, (sim, entry) => {
    const node = worldNow(sim).nodes.find((one) => one.process === 'none' && one.hasData) ?? whoOf(sim, entry);
    if (node.process !== 'none' || !node.hasData) return null;
    start(sim.world, node, 500);
    return `a person starts node ${node.id}${node.isWritable ? ', which comes up as a primary' : ''}`;
  }),
  promoteByHand: deed('fault', 4, (sim, entry) => {
    const node = whoOf(sim, entry.who === 'primary' ? { ...entry, who: 'standby' } : entry);
    if (node.isWritable || !isUp(worldNow(sim), node)) return null;
    tellToPromote(sim.world, node, 'person');
    return `a person promotes node ${node.id}`;
  }),
  turnBack: deed('fault', 2, (sim) => {
    const world = worldNow(sim);
    const primary = primaryOf(sim);
    const node = world.nodes.find((one) => one !== primary && one.isWritable && isUp(world, one));
    if (!node) return null;
    shutDown(world, node, 'person');
    decideAgainst(node);
    Object.assign(node, { hasStandbySignal: true, upstream: primary.id, mark: 'none' });
    start(world, node, 300);
    return `a person turns node ${node.id} back into a standby by standby.signal`;
  }),
  pauseReplay: deed('fault', 2, (sim, entry) => {
    const node = whoOf(sim, entry);
    if (node.isWritable || node.process !== 'running') return null;
    node.isReplayPaused = !node.isReplayPaused || node.isUnfit;
    return `a person ${node.isReplayPaused ? 'pauses' : 'resumes'} the replay of node ${node.id}`;
  }),
  lead: deed('fault', 2, (sim, entry) => {
    const node = whoOf(sim, entry);
    if (node.isWritable || node.process !== 'running') return null;
    const others = sim.world.nodes.filter((one) => one !== node);
    node.upstream = entry.isWide ? others[entry.other % others.length]!.id : 'abroad';
    if (entry.isWide) return `a person makes node ${node.id} follow node ${node.upstream}`;
    return `a person makes node ${node.id} follow a host outside the cluster file`;
  }),
  connect: deed('fault', 2, (sim, entry) => {
    const node = whoOf(sim, entry);
    if (!isUp(worldNow(sim), node)) return null;
    node.clients = node.clients > 0 ? 0 : 4;
    return `clients ${node.clients > 0 ? 'connect to' : 'leave'} node ${node.id} directly`;
  }),
  setNames: deed('fault', 2, (sim, { other, isWide }) => {
    const node = primaryOf(sim);
    const [one, next] = [`node${other % 4}`, `node${(other + 1) % 4}`];
    const written = [
      `ANY 1 ("${one}", "${next}")`,
      `FIRST 1 (${one}, ${next})`,
      one,
      '*',
      `2 (${one}, "${next}")`,
      `ANY 1 ("a ""quoted"" name", ${one})`,
    ];
    node.syncNames = isWide ? '' : written[other % written.length]!;
    return `a person sets synchronous_standby_names = '${node.syncNames}' on node ${node.id}`;
  }),
  detach: deed('person', 6, (sim, entry) => {
    const [node, pgpool, world] = [whoOf(sim, entry), pgpoolOf(sim, entry), worldNow(sim)];
    if (!pgpool.isRunning || pgpool.status[node.id] === 'down') return null;
    world.version += 1;
    const isTellable = isToldApart(sim, pgpool, node);
    degenerate(world, pgpool, node.id);
    if (isTellable) {
      pgpool.detachedAt[node.id] = sim.clock.now;
      sim.detached.set(`${pgpool.name} ${node.id}`, { at: sim.clock.now, version: world.version });
    }
    return `a person detaches node ${node.id} in ${pgpool.name}`;
  }),
  promoteView: deed('person', 2, (sim, entry) => {
    const [node, pgpool, world] = [whoOf(sim, entry), pgpoolOf(sim, entry), worldNow(sim)];
    if (!pgpool.isRunning || pgpool.primary === node.id || pgpool.status[node.id] === 'down') return null;
    world.version += 1;
    promoteView(world, pgpool, node.id);
    return `a person makes ${pgpool.name} take node ${node.id} for the primary`;
  }),
  pause: deed('person', 2, (sim) => {
    if (sim.world.maintenance.some(({ node }) => node === null)) return giveBack(sim, null);
    maintain(sim, null);
    return 'a person pauses the cluster';
  }),
  resume: deed('person', 3, (sim) => giveBack(sim, null)),
  maintain: deed('person', 3, (sim, entry) => {
    const { id } = whoOf(sim, entry);
    maintain(sim, id);
    return `a person takes node ${id} in hand`;
  }),
  release: deed('person', 3, (sim) => {
    const [first] = sim.world.maintenance.filter(({ node }) => node !== null);
    return first ? giveBack(sim, first.node) : null;
  }),
  rejoin: deed('person', 6, (sim, entry) => {
    if (entry.other === 23) {
      sim.signal(eventOf(sim, 'rejoin', 7, `rejoin-7-${sim.clock.now}`));
      return 'a person wants node 7 back, which is in no cluster file';
    }
    const node = whoOf(sim, entry);
    node.isAsked = true;
    sim.signal(eventOf(sim, 'rejoin', node.id, `rejoin-${node.id}-${sim.clock.now}`));
    return `a person wants node ${node.id} back`;
  }),
  answer: deed('person', 5, (sim, { other }) => {
    const [parked] = sim.parked.values();
    if (!parked) return null;
    const { choices, stepId } = parked.question;
    const choice = choices[other % choices.length]!;
    const node = /^node([0-9])\.diverged-writes$/.exec(stepId)?.[1];
    if (node !== undefined && choice === 'skip') sim.letGo.add(Number(node));
    if (choice === 'rebuild' || (node !== undefined && choice === 'skip')) {
      const id = Number(/^node([0-9])/.exec(stepId)![1]);
      sim.world.nodes[id]!.isAsked = true;
    }
    if (stepId === 'failover' && choice === 'abort') sim.level.isLeft = true;
    parked.answer(choice);
    return `a person answers ${stepId}: ${choice}`;
  }),
};

/** The person has decided against the node's branch, whoever has used it: its commits are decided about when the node is rebuilt. */
function decideAgainst({ isWritable, branch }: ModelNode): void {
  if (isWritable && branch.openedBy === 'person') branch.wasServed = false;
}
