// The article's rebuild, made safe: copy and verify beside the old data, then stop, set aside, put in place, restore, start, prove.
// Each verb recognises its own finished work, so that after a failure the list is simply read from the top.

import type { SaveDivergedWalResult } from '../../activities/data/save-diverged-wal';
import type { Observation } from '../../activities/look/observe';
import { type ClusterConfiguration, getNode } from '../../domain/facts/cluster';
import {
  asidePath,
  type DivergedRange,
  freshSuffix,
  type RebuildPlan,
  rebuildIdPattern,
} from '../../domain/facts/data-directory';
import { factsOf } from '../../domain/facts/facts';
import { planRebuild } from '../../domain/plans/rebuild';
import { askOrAbort, nextPauseMs, untilDone } from './asking';
import type { Ground } from './ground';

/** The verbs in order, as docs/runbooks.md has them, after `inspectData` has made the plan. */
export const beside = [
  ...(['saveConfiguration', 'saveDivergedWal', 'baseBackup', 'verifyBackup'] as const),
  ...(['stop', 'saveDivergedWal', 'saveUnarchivedWal', 'setDataAside', 'placeData'] as const),
  ...(['restoreConfiguration', 'configureStandby', 'start', 'confirmStreaming'] as const),
] as const;

/** The article's literal order, for policy.replacedData: removeFirst. */
export const removeFirst = [
  ...(['saveConfiguration', 'saveDivergedWal', 'stop', 'saveDivergedWal', 'saveUnarchivedWal', 'removeData'] as const),
  ...(['baseBackup', 'verifyBackup', 'setDataAside', 'placeData'] as const),
  ...(['restoreConfiguration', 'configureStandby', 'start', 'confirmStreaming'] as const),
] as const;

type Step = (typeof beside)[number] | (typeof removeFirst)[number];

export interface Done {
  readonly line: string;
}

/** A follow's memory of its rebuilds. */
export interface Rebuilding {
  readonly ground: Ground;
  readonly node: number;
  readonly primary: number;
  /** This follow has stopped the node, so it may start it again. */
  hasStopped: boolean;
  id: string | null;
  /** The copy was started once, so a further rebuild makes a new copy. */
  isPlaced: boolean;
  /** Set while a rebuild goes on: its steps cost too much to be repeated without asking. */
  plan: RebuildPlan | null;
  /** Sentences for the report: data that no other copy has now, and the place of the old data. */
  discarded: { readonly wal?: string; readonly archive?: string; readonly data?: string };
  /** The end of the node's WAL that a person has given up. */
  discardedTo: string | null;
  pauses: number;
}

export function newRebuilding(ground: Ground, node: number, primary: number): Rebuilding {
  const nothing = { hasStopped: false, id: null, isPlaced: false, plan: null, discardedTo: null, pauses: 0 };
  return { ground, node, primary, ...nothing, discarded: {} };
}

/** Empty without a rebuild. */
export function describeDiscarded({ discarded }: Rebuilding): string {
  const { wal, archive, data } = discarded;
  return [wal, archive, data].map((line) => (line === undefined ? '' : `; ${line}`)).join('');
}

/**
 * Null when a person has removed the obstacle: plan again from a fresh look and the present cluster file.
 * @throws StepFailed of the verb that failed; Aborted
 */
export async function rebuild(
  rebuilding: Rebuilding,
  observation: Observation,
  hasLostWal: boolean,
): Promise<Done | null> {
  if (rebuilding.isPlaced) Object.assign(rebuilding, { id: null, isPlaced: false });
  const plan = await makePlan(rebuilding, observation, hasLostWal);
  if (!plan) return null;
  let done: Done | null = null;
  for (const step of plan.mode === 'sibling' ? beside : removeFirst)
    done = await take(step, rebuilding, observation, plan);
  return done;
}

async function take(
  step: Step,
  rebuilding: Rebuilding,
  observation: Observation,
  plan: RebuildPlan,
): Promise<Done | null> {
  const { ground, node, primary } = rebuilding;
  const { configuration, facts } = observation;
  const input = { configuration, node, primary, rebuild: plan };
  switch (step) {
    case 'saveConfiguration': {
      const { rebuildId } = plan;
      return await ground.act.saveConfiguration(
        { configuration, node, rebuildId },
        'its own files, for after the copy',
      );
    }
    case 'saveDivergedWal':
      return await saveDivergedWal(rebuilding, observation, plan);
    case 'saveUnarchivedWal':
      return await saveUnarchivedWal(rebuilding, configuration);
    case 'stop':
      // Even without proof the node may be stopped.
      rebuilding.hasStopped = true;
      return await ground.act.stop({ configuration, node, primary });
    case 'removeData':
      return keepData(rebuilding, await ground.act.removeData(input));
    case 'setDataAside': {
      const aside = await ground.act.setDataAside(input);
      return plan.mode === 'sibling' ? keepData(rebuilding, aside) : aside;
    }
    case 'baseBackup':
      return await ground.act.baseBackup(input, `copy node ${primary}`);
    case 'configureStandby':
      return await ground.act.configureStandby(input, `it is to stream from node ${primary}`);
    case 'start': {
      const started = await ground.act.start(input);
      rebuilding.isPlaced = true;
      return started;
    }
    case 'confirmStreaming': {
      const { timeline } = factsOf(facts, primary)!.position!;
      return await ground.act.confirmStreaming({ ...input, timeline });
    }
    case 'verifyBackup':
    case 'placeData':
    case 'restoreConfiguration':
      return await ground.act[step](input);
  }
}

function keepData(rebuilding: Rebuilding, done: Done): Done {
  rebuilding.discarded = { ...rebuilding.discarded, data: done.line };
  return done;
}

/**
 * Clears up after a rebuild of this follow, or of one that was cut off after the node had come up: the mark, old data
 * beyond policy, jobs.
 */
export async function clearUpRebuild(
  rebuilding: Rebuilding,
  configuration: ClusterConfiguration,
  leftMark: string | null = null,
): Promise<void> {
  const { ground, node, primary } = rebuilding;
  const plan = rebuilding.plan ?? (leftMark === null ? null : planOfMark(configuration, node, leftMark));
  if (!plan) return;
  const question = {
    stepId: `node${node}.clear-replaced-data`,
    title: `Clear up after the rebuild of node ${node}`,
    choices: ['retry', 'abort'] as const,
  };
  const why = `policy.replacedData: ${configuration.policy.replacedData}`;
  const cleared = await untilDone(ground, question, () =>
    ground.act.clearReplacedData({ configuration, node, primary, rebuild: plan }, why),
  );
  // With removeFirst nothing was set aside; the report already says that the old data is gone.
  if (cleared && rebuilding.plan?.mode === 'sibling') keepData(rebuilding, cleared);
  rebuilding.plan = null;
}

async function makePlan(
  rebuilding: Rebuilding,
  { configuration, facts }: Observation,
  hasLostWal: boolean,
): Promise<RebuildPlan | null> {
  const { ground, node, primary } = rebuilding;
  const { facts: data } = await ground.act.inspectData({ configuration, node, primary });
  // Continue with a copy that an earlier follow has verified and put in place but not started.
  const isUnfinished = data.own?.state === 'copied' && !hasLostWal && rebuildIdPattern.test(data.rebuildMark ?? '');
  rebuilding.id ??= isUnfinished ? data.rebuildMark! : newRebuildId(ground.now());
  const plan = planRebuild(configuration, { node, primary, rebuildId: rebuilding.id }, facts, data);
  ground.note('Plan', plan.line);
  if (plan.action === 'rebuild') {
    rebuilding.plan = plan.plan;
    return plan.plan;
  }
  const stepId = `node${node}.plan-rebuild`;
  const problem = `${plan.reason}: ${plan.line}`;
  // Repeat only for the cluster's state, which may change without a person; the node's directories do not.
  const isPassing = plan.reason === 'primary-missing' || plan.reason === 'two-primaries';
  const againMs = isPassing ? nextPauseMs(rebuilding.pauses++) : null;
  const question = { stepId, title: `Rebuild node ${node}`, problem, choices: ['retry', 'abort'] as const };
  await askOrAbort(ground, question, againMs, plan.line);
  return null;
}

/**
 * Saves diverged WAL, and asks a person unless the loss is already decided: acknowledged writes are never silently
 * dropped.
 */
async function saveDivergedWal(
  rebuilding: Rebuilding,
  { configuration, facts }: Observation,
  { rebuildId }: RebuildPlan,
): Promise<Done> {
  const { ground, node, primary } = rebuilding;
  const source = factsOf(facts, primary)!;
  const primaryTimeline = source.position!.timeline;
  const saved = await ground.act.saveDivergedWal({
    ...{ configuration, node, primary, rebuildId, primaryTimeline },
    primaryHistory: source.history,
  });
  if (saved.range) rebuilding.discarded = { ...rebuilding.discarded, wal: saved.line };
  if (!isQuestion(saved) || configuration.policy.divergedWrites === 'discard') return saved;
  if (rebuilding.discardedTo === saved.range.toLsn) return saved;
  const why = saved.wasPrimary
    ? 'it was not proven to be stopped before its successor was promoted'
    : 'no decision allows their loss';
  const problem = `${saved.line}; ${why}, so clients may have been told that these writes are safe. skip: replace its data all the same (the WAL is saved); abort: leave it as it is`;
  const stepId = `node${node}.diverged-writes`;
  const title = `Diverged writes of node ${node}`;
  await askOrAbort(ground, { stepId, title, problem, choices: ['abort', 'skip'] }, null, saved.line);
  rebuilding.discardedTo = saved.range.toLsn;
  return saved;
}

/** Saves WAL that a stopped node has not archived; also before it starts as a standby. A person may skip it. */
export async function saveUnarchivedWal(
  rebuilding: Rebuilding,
  configuration: ClusterConfiguration,
): Promise<Done | null> {
  const { ground, node } = rebuilding;
  const name = `node ${node}`;
  const stepId = `node${node}.save-unarchived-wal`;
  const title = `Save the WAL that its archive does not have, ${name}`;
  const saved = await untilDone(ground, { stepId, title, choices: ['retry', 'skip', 'abort'] }, () =>
    ground.act.saveUnarchivedWal({ configuration, node }),
  );
  const archive = saved ? saved.line : `${name}: by decision, WAL that its archive lacks was not saved`;
  if (saved?.files !== 0) rebuilding.discarded = { ...rebuilding.discarded, archive };
  return saved;
}

/**
 * Commits past the fork, or possible ones, need a person. A node fenced before the promotion does not: its loss was
 * weighed then. Nor do records without a commit, which no client was promised.
 */
function isQuestion(saved: SaveDivergedWalResult): saved is SaveDivergedWalResult & { readonly range: DivergedRange } {
  return saved.range !== null && saved.range.commits !== 0 && saved.fenceMark !== 'before-promotion';
}

/** A plan with enough to clear up after: links lead to the rest. */
function planOfMark(configuration: ClusterConfiguration, node: number, rebuildId: string): RebuildPlan | null {
  if (!rebuildIdPattern.test(rebuildId)) return null;
  const current = getNode(configuration, node).dataDirectory;
  const data = { kind: 'data', link: null, sourceLocation: null, current } as const;
  const directories = [{ ...data, fresh: `${current}${freshSuffix}`, aside: asidePath(current, rebuildId) }];
  return { rebuildId, mode: 'sibling', directories };
}

/**
 * An id that begins with the time, so that names sort by age. Temporal makes Math.random() the same in every replay.
 */
function newRebuildId(now: number): string {
  const time = new Date(now).toISOString().replaceAll(/[-:]|[.][0-9]+/g, '');
  return `${time}-${Math.random().toString(36).slice(2, 10).padEnd(8, '0')}`;
}
