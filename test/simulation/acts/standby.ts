// The verbs about a standby on the model: repoint, configureStandby, start, stop, proofs of streaming.

import type { InputOf } from '../../../workflows/runbooks/ground';
import { checkStandbyAct, checkStart, checkStop } from '../invariants/acts';
import { lookAtNode } from '../look';
import { start, shutDown, crash } from '../model/processes';
import { leaves } from '../model/wal';
import { isUp, type ModelNode, nodeOf } from '../model/world';
import { worldNow } from '../simulation';
import { acted, done, fail, hasHost, pause, reachHost, type Run, type VerbBodies, work } from './run';

type StandbyVerb =
  'repoint' | 'configureStandby' | 'start' | 'stop' | 'confirmStreaming' | 'releaseSlots' | 'findOwnWal';

const startMs = 300;

export const standbyVerbs: Pick<VerbBodies, StandbyVerb> = {
  repoint: async (run, input) => {
    const world = await work(run, 50);
    const node = nodeOf(world, input.node);
    const own = lookAtNode(world, input.node);
    if (own.sql !== 'answered') throw fail('unreachable', `node ${node.id}: ${own.sqlSeen}`);
    if (node.isWritable) throw fail('worldChanged', `node ${node.id} is not in recovery`);
    const changed = node.upstream !== input.primary;
    if (changed) {
      await reachHost(run, input.node);
      checkStandbyAct(run, node, 'repoint');
      node.upstream = input.primary;
      node.receiver = null;
      acted(run, `node ${node.id} is pointed at node ${input.primary}`);
    }
    await proveStreaming(run, input, 15_000);
    return done(`node ${node.id} streams`, changed);
  },
  configureStandby: async (run, { node: id, primary }) => {
    const node = await reachHost(run, id);
    if (node.process !== 'none') throw fail('worldChanged', `node ${id}: processes work in its data directory`);
    checkStandbyAct(run, node, 'configureStandby');
    node.hasStandbySignal = true;
    node.upstream = primary;
    return done(`node ${id} is configured to follow node ${primary}`);
  },
  start: async (run, { node: id }) => {
    const first = lookAtNode(worldNow(run.sim), id);
    if (first.isInRecovery === false) throw fail('worldChanged', `node ${id} accepts writes`);
    if (first.isInRecovery === true) return done(`node ${id} is up`, false);
    const node = await reachHost(run, id);
    const changed = node.process === 'none';
    if (changed) begin(run, node);
    else if (node.process === 'orphans') throw fail('unproven', `node ${id}: processes without a postmaster`);
    await confirmUp(run, node);
    return done(`node ${id} is up`, changed);
  },
  stop: async (run, { node: id, primary }) => {
    if (id === primary) throw fail('configuration', `node ${id} is the primary`);
    const world = await work(run, 50);
    if (lookAtNode(world, primary).isInRecovery !== false)
      throw fail('worldChanged', `node ${primary} is not known to accept writes`);
    if (lookAtNode(world, id).isInRecovery === false) throw fail('worldChanged', `node ${id} accepts writes`);
    const node = await reachHost(run, id);
    if (node.isWritable && isUp(world, node)) throw fail('worldChanged', `node ${id} was promoted a moment ago`);
    checkStop(run, node);
    const changed = node.process !== 'none';
    if (isUp(worldNow(run.sim), node)) shutDown(run.sim.world, node, 'us');
    else if (changed) crash(node, 'us');
    if (changed) acted(run, `node ${id} is stopped: its data is replaced`);
    return done(`node ${id} is stopped`, changed);
  },
  confirmStreaming: async (run, input) => {
    await proveStreaming(run, input, 60_000);
    return { changed: false, line: `node ${input.node} streams` };
  },
  releaseSlots: async (run) => {
    await work(run, 10);
    return done('no slot of a copy is left', false);
  },
  findOwnWal: async (run, { node: id, primaryTimeline }) => {
    const node = await reachHost(run, id);
    const primary = run.sim.world.nodes.find(
      (other) => other.isWritable && other.branch.timeline === primaryTimeline && other.id !== id,
    );
    const end = primary ? leaves(primary.branch, node.branch) : null;
    const ownWal = node.hidden === 'wal' ? 'unknown' : end === null || node.whole > end ? 'some' : 'none';
    return { changed: false, line: `own WAL: ${ownWal}`, ownWal };
  },
};

function begin(run: Run, node: ModelNode): void {
  if (!node.hasData || !node.hasStandbySignal)
    throw fail('worldChanged', `node ${node.id} would come up writable, and was not started`);
  checkStart(run, node);
  start(worldNow(run.sim), node, startMs);
  acted(run, `node ${node.id} is started`);
}

async function confirmUp(run: Run, node: ModelNode): Promise<void> {
  for (let waited = 0; waited < 600_000;) {
    const ms = waited < 2000 ? 100 : 5000;
    const world = await pause(run, ms);
    waited += ms;
    const facts = lookAtNode(world, node.id);
    if (facts.isInRecovery === false) throw fail('worldChanged', `node ${node.id} accepts writes`);
    if (facts.isInRecovery === true) return;
    if (facts.sql === 'rejected') throw fail('unproven', `node ${node.id} refuses the worker`);
    if (hasHost(world, node) && node.process === 'none') throw fail('unproven', `node ${node.id} did not come up`);
  }
  throw fail('unproven', `node ${node.id} runs, but takes no connections`);
}

/** Both ends must say so; given up when its position has not advanced for so long. */
async function proveStreaming(run: Run, input: InputOf<'confirmStreaming'>, patienceMs: number): Promise<void> {
  const { clock } = run.sim;
  let [giveUpAt, last] = [clock.now + patienceMs, -1];
  for (let waited = 0; ; waited += 1) {
    const world = await pause(run, waited < 10 ? 50 : 1000);
    const node = nodeOf(world, input.node);
    const isAnswering = lookAtNode(world, input.node).sql === 'answered';
    const receiver = isAnswering ? node.receiver : null;
    const isFrom = receiver?.from === input.primary && receiver.lastAt === world.now;
    if (isFrom && receiver.timeline === input.timeline) return;
    if (isAnswering && node.flushed > last && receiver?.from === input.primary) {
      last = node.flushed;
      giveUpAt = clock.now + patienceMs;
    }
    if (clock.now < giveUpAt) continue;
    const source = nodeOf(world, input.primary);
    if (isUp(world, source) && node.flushed < source.oldestWal && !node.isReplayPaused)
      throw fail('walMissing', `node ${node.id} needs WAL that node ${source.id} no longer has`);
    throw fail('unproven', `node ${node.id} does not stream from node ${source.id}`);
  }
}
