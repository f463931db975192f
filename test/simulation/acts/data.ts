// The verbs of a rebuild on the model: the copy beside the old data, its proof, and the exchange.

import type { DivergedRange } from '../../../domain/facts/data-directory';
import type { InputOf } from '../../../workflows/runbooks/ground';
import { dataFacts } from '../../workflows/fake-rebuild';
import { checkReplaced, checkStandbyAct } from '../invariants/acts';
import { lookAtHost, lookAtNode } from '../look';
import { leaves, textOf } from '../model/wal';
import { canReach, isAlive, isUp, type ModelNode, nodeOf, type World } from '../model/world';
import { worldNow } from '../simulation';
import { acted, done, fail, pause, reachHost, type Run, type VerbBodies } from './run';

type DataVerb =
  | 'inspectData'
  | 'saveConfiguration'
  | 'saveDivergedWal'
  | 'saveUnarchivedWal'
  | 'baseBackup'
  | 'verifyBackup'
  | 'removeData'
  | 'setDataAside'
  | 'placeData'
  | 'restoreConfiguration'
  | 'clearReplacedData';

const copyMs = 4000;

export const dataVerbs: Pick<VerbBodies, DataVerb> = {
  inspectData: async (run, input) => {
    const node = await reachHost(run, input.node);
    return { changed: false, line: 'inspected', facts: inspect(worldNow(run.sim), node, input.primary) };
  },
  saveConfiguration: async (run, { node: id }) => {
    const { placed } = await reachHost(run, id);
    return { ...done('saved'), set: 'set1', mark: placed };
  },
  saveDivergedWal: async (run, input) => {
    const node = await reachHost(run, input.node);
    return divergedWal(worldNow(run.sim), node, input);
  },
  saveUnarchivedWal: async (run, { node: id }) => {
    await reachHost(run, id);
    return { ...done('the archive lacks nothing', false), files: 0 };
  },
  baseBackup: async (run, input) => {
    const node = await reachHost(run, input.node);
    const { rebuildId } = input.rebuild;
    if (node.copy?.id !== rebuildId && node.placed !== rebuildId) {
      const isOfLiving = isAlive(node);
      await pause(run, copyMs);
      const world = worldNow(run.sim);
      const source = nodeOf(world, input.primary);
      const facts = lookAtNode(world, input.primary);
      if (facts.isInRecovery === true) throw fail('worldChanged', `node ${source.id} is in recovery`);
      if (facts.sql !== 'answered') throw fail('unreachable', `node ${source.id}: ${facts.sqlSeen}`);
      if (!canReach(world, node.host, source.host) || !canReach(world, source.host, node.host))
        throw fail('unreachable', `node ${node.id} does not reach node ${source.id}`);
      node.copy = { id: rebuildId, branch: source.branch, lsn: source.flushed, isVerified: false, isOfLiving };
      acted(run, `node ${node.id} has a copy of node ${source.id}`);
    }
    return { ...done('copied'), bytes: 1024 };
  },
  verifyBackup: async (run, { node: id, rebuild }) => {
    const node = await reachHost(run, id);
    await pause(run, 300);
    if (node.placed === rebuild.rebuildId) return done('verified', false);
    if (node.copy?.id !== rebuild.rebuildId) throw fail('worldChanged', `node ${id} has no copy`);
    node.copy.isVerified = true;
    return done('verified');
  },
  removeData: async (run, { node: id, primary, rebuild }) => {
    const node = await reachHost(run, id);
    if (node.copy?.id === rebuild.rebuildId || node.placed === rebuild.rebuildId) return done('removed', false);
    replaceGuard(run, node, primary);
    node.hasData = false;
    acted(run, `node ${id}: its data is removed`);
    return done('removed');
  },
  setDataAside: async (run, { node: id, primary, rebuild }) => {
    const node = await reachHost(run, id);
    if (node.placed === rebuild.rebuildId || rebuild.mode === 'removeFirst') return done('set aside', false);
    if (node.copy?.isVerified !== true) throw fail('worldChanged', `node ${id} has no verified copy`);
    replaceGuard(run, node, primary);
    node.hasData = false;
    acted(run, `node ${id}: its data is set aside`);
    return done('set aside');
  },
  placeData: async (run, { node: id, rebuild }) => {
    const node = await reachHost(run, id);
    const { copy } = node;
    if (node.placed === rebuild.rebuildId) return done('placed', false);
    if (copy?.id !== rebuild.rebuildId || !copy.isVerified || node.hasData)
      throw fail('worldChanged', `node ${id}: something else is in its place`);
    place(node, copy, worldNow(run.sim));
    acted(run, `node ${id} has the copy in place`);
    return done('placed');
  },
  restoreConfiguration: async (run, { node: id }) => {
    await reachHost(run, id);
    return { ...done('restored') };
  },
  clearReplacedData: async (run, { node: id }) => {
    const node = await reachHost(run, id);
    [node.placed, node.copy] = [null, null];
    return { ...done('the replaced data is kept'), kept: null };
  },
};

function place(node: ModelNode, { id, branch, lsn, isOfLiving }: NonNullable<ModelNode['copy']>, world: World): void {
  Object.assign(node, { hasData: true, branch, flushed: lsn, whole: lsn, replayed: lsn, placed: id, copy: null });
  node.isPlacedForLiving = isOfLiving;
  Object.assign(node, { isSpoilt: false, hidden: null });
  Object.assign(node, { mark: 'none', hasStandbySignal: false, controlState: 'in production', historyAt: world.now });
  node.checkpoint = { branch, lsn: lsn - 4096 };
  node.systemId = world.nodes.find((other) => other.branch === branch && other !== node)?.systemId ?? node.systemId;
}

function replaceGuard(run: Run, node: ModelNode, primary: number): void {
  const world = worldNow(run.sim);
  if (node.process !== 'none') throw fail('worldChanged', `node ${node.id}: processes work in its data directory`);
  if (lookAtNode(world, primary).isInRecovery !== false) throw fail('worldChanged', `node ${primary} is no primary`);
  checkStandbyAct(run, node, 'replace its data');
  checkReplaced(run, node, nodeOf(world, primary));
}

function inspect(world: World, node: ModelNode, primary: number) {
  const source = nodeOf(world, primary);
  if (!isUp(world, source)) throw fail('unreachable', `node ${primary} does not answer`);
  const { hasData, placed } = node;
  const state = placed === null ? node.controlState : 'copied';
  const own = { systemIdentifier: node.systemId, state, timeline: node.branch.timeline };
  const plain = dataFacts();
  const facts = {
    ...plain,
    ...{ exists: hasData, isEmpty: !hasData, version: hasData ? '15' : null, hasControlFile: hasData },
    host: lookAtHost(world, node.id),
    own: hasData ? own : null,
    rebuildMark: placed,
    source: {
      ...plain.source,
      systemIdentifier: source.systemId,
      timeline: source.branch.timeline,
      isInRecovery: !source.isWritable,
    },
  };
  return { ...facts, ...node.quirk?.(facts) };
}

function divergedWal(world: World, node: ModelNode, { primary }: InputOf<'saveDivergedWal'>) {
  const isReplaced = node.placed !== null || !node.hasData;
  const wasPrimary =
    !isReplaced && node.controlState !== 'in archive recovery' && !node.controlState.includes('recovery');
  const fenceMark = isReplaced || !node.hasStandbySignal ? ('none' as const) : node.mark;
  const end = isReplaced ? Infinity : (leaves(nodeOf(world, primary).branch, node.branch) ?? node.branch.fork);
  if (node.whole <= end) return { ...done('holds nothing past the fork', false), range: null, wasPrimary, fenceMark };
  const bytes = node.whole - end;
  const range: DivergedRange = {
    ...{ timeline: node.branch.timeline, fromLsn: textOf(end), toLsn: textOf(node.whole), bytes },
    ...{ commits: bytes > 120 ? Math.ceil(bytes / 1000) : 0, lastCommitAt: null, savedTo: '~/saved' },
  };
  return { ...done(`holds ${bytes} bytes past the fork`), range, wasPrimary, fenceMark };
}
