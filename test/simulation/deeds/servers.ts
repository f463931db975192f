// Faults of servers, hosts and links.

import { acknowledge, append } from '../model/physics';
import { restart } from '../model/pgpool';
import { crash, orphan, start } from '../model/processes';
import { isUp, type ModelNode, workerHost } from '../model/world';
import { after } from '../clock';
import { type Simulation, worldNow } from '../simulation';
import type { Entry } from '../schedule';
import { deed, pgpoolOf, primaryOf, whoOf } from './deed';

/** The last bytes that a primary writes: some standbys get them, or part of a record, or nobody does. */
function writeTail(sim: Simulation, node: ModelNode, { ms, other, isWide }: Entry): string {
  const { world } = sim;
  if (!node.isWritable || !isUp(world, node) || ms > 2000) return '';
  const followers = world.nodes.filter(({ receiver }) => receiver?.from === node.id && receiver.lastAt === world.now);
  const left = followers.filter((_, index) => ((other >> index) & 1) === 1);
  append(node, ms);
  for (const one of left) one.receiver = null;
  const kept = followers.filter((one) => !left.includes(one));
  for (const one of kept) Object.assign(one, { flushed: node.flushed, whole: node.flushed, replayed: node.flushed });
  if (isWide) for (const one of left) one.flushed += 40;
  acknowledge(world, node);
  return `, after ${ms} bytes that node ${left.map(({ id }) => id).join(', ') || 'nobody'} lacks`;
}

export const serverDeeds = {
  crash: deed('fault', 8, (sim, entry) => {
    const node = whoOf(sim, entry);
    if (node.process === 'none') return null;
    const tail = writeTail(sim, node, entry);
    crash(node, 'crash');
    return `node ${node.id} crashes${tail}`;
  }),
  hang: deed('fault', 5, (sim, entry) => {
    const node = whoOf(sim, entry);
    if (node.process !== 'running' || node.isHung) return null;
    const tail = writeTail(sim, node, entry);
    node.isHung = true;
    return `node ${node.id} hangs${tail}`;
  }),
  thaw: deed('fault', 4, (sim) => {
    const hung = worldNow(sim).nodes.filter(({ isHung }) => isHung);
    for (const node of hung) node.isHung = false;
    return hung.length > 0 ? `node ${hung.map(({ id }) => id).join(', ')} thaws` : null;
  }),
  vanish: deed('fault', 7, (sim, entry) => {
    const node = whoOf(sim, entry);
    if (sim.world.awayHosts.has(node.host)) return null;
    const tail = writeTail(sim, node, entry);
    sim.world.awayHosts.add(node.host);
    return `the host of node ${node.id} vanishes from the network${tail}`;
  }),
  heal: deed('fault', 5, (sim) => {
    const { awayHosts } = worldNow(sim);
    if (awayHosts.size === 0) return null;
    const [host] = awayHosts;
    awayHosts.delete(host!);
    return `host ${host!} is back on the network`;
  }),
  cut: deed('fault', 5, (sim, entry) => {
    const node = whoOf(sim, entry);
    const { nodes, pgpools, cuts } = sim.world;
    const hosts = [workerHost, workerHost, ...nodes.map(({ host }) => host), ...pgpools.map(({ host }) => host)];
    const other = hosts[entry.other % hosts.length]!;
    if (other === node.host) return null;
    cuts.add(`${other}>${node.host}`);
    if (entry.isWide) cuts.add(`${node.host}>${other}`);
    return `${other} no longer reaches node ${node.id}${entry.isWide ? ', nor the other way' : ''}`;
  }),
  divide: deed('fault', 2, (sim, entry) => {
    const { nodes, pgpools, cuts } = worldNow(sim);
    const hosts = [...new Set([...nodes, ...pgpools].map(({ host }) => host))];
    const far = hosts.filter((_, index) => ((entry.other >> (index % 5)) & 1) === 1);
    if (far.length === 0) return null;
    const near = [workerHost, ...hosts.filter((host) => !far.includes(host))];
    for (const one of near)
      for (const other of far) {
        cuts.add(`${one}>${other}`);
        cuts.add(`${other}>${one}`);
      }
    return `the network parts: ${near.join(', ')} here, ${far.join(', ')} there`;
  }),
  mend: deed('fault', 5, (sim) => {
    const { cuts } = worldNow(sim);
    if (cuts.size === 0) return null;
    cuts.clear();
    return 'every link is mended';
  }),
  recover: deed('fault', 3, (sim, entry) => {
    const node = whoOf(sim, entry);
    if (node.process !== 'running' || node.isHung) return null;
    const ms = entry.ms === 60_000 ? Infinity : entry.ms;
    node.upAt = sim.clock.now + ms;
    node.receiver = null;
    return `a backend of node ${node.id} is killed: it recovers for ${ms} ms`;
  }),
  orphan: deed('fault', 2, (sim, entry) => {
    const node = whoOf(sim, entry);
    if (node.process !== 'running' || !node.isWritable || node.isHung) return null;
    orphan(node);
    return `the postmaster of node ${node.id} is killed, its backends go on`;
  }),
  reject: deed('fault', 2, (sim, entry) => {
    const node = whoOf(sim, entry);
    node.isRejecting = !node.isRejecting;
    return `node ${node.id} ${node.isRejecting ? 'has too many clients' : 'has room for clients again'}`;
  }),
  breakSsh: deed('fault', 3, (sim, entry) => {
    const { host, id } = whoOf(sim, entry);
    const { sshBroken } = sim.world;
    if (!sshBroken.delete(host)) sshBroken.add(host);
    return `the worker's ssh to node ${id} ${sshBroken.has(host) ? 'is refused' : 'works again'}`;
  }),
  wipe: deed('fault', 1, (sim, entry) => {
    const node = whoOf(sim, entry);
    if (node.process !== 'none' || node === primaryOf(sim)) return null;
    node.hasData = false;
    return `the data directory of node ${node.id} is gone`;
  }),
  recycle: deed('fault', 2, (sim) => {
    const node = primaryOf(sim);
    for (const one of sim.world.nodes) if (one === node) one.oldestWal = one.flushed;
    return `node ${node.id} recycles its old WAL`;
  }),
  boot: deed('fault', 3, (sim, entry) => {
    const node = whoOf(sim, entry);
    if (node.process !== 'none' || !node.hasData) return null;
    start(worldNow(sim), node, entry.ms > 5000 ? 1000 : entry.ms);
    return `node ${node.id} is started by its init system`;
  }),
  pgpoolDies: deed('fault', 2, (sim, entry) => {
    const pgpool = pgpoolOf(sim, entry);
    if (!pgpool.isRunning) return null;
    pgpool.isRunning = false;
    return `${pgpool.name} dies`;
  }),
  pgpoolReturns: deed('fault', 3, (sim) => {
    const world = worldNow(sim);
    const dead = world.pgpools.filter(({ isRunning }) => !isRunning);
    for (const pgpool of dead) restart(world, pgpool);
    return dead.length > 0 ? `${dead.map(({ name }) => name).join(', ')} runs again` : null;
  }),
  close: deed('fault', 2, (sim, entry) => {
    const node = whoOf(sim, entry);
    if (!isUp(worldNow(sim), node)) return null;
    node.closedUntil = sim.clock.now + entry.ms;
    after(sim.clock, entry.ms, () => {
      worldNow(sim).version += 1;
    });
    return `a firewall refuses every connection to node ${node.id} for ${entry.ms} ms`;
  }),
  flap: deed('fault', 2, (sim, entry) => {
    const { host, id } = whoOf(sim, entry);
    const { awayHosts } = sim.world;
    if (awayHosts.has(host)) return null;
    awayHosts.add(host);
    after(sim.clock, Math.min(entry.ms, 5000), () => {
      worldNow(sim);
      awayHosts.delete(host);
      sim.world.version += 1;
    });
    return `the host of node ${id} is away for ${Math.min(entry.ms, 5000)} ms`;
  }),
};
