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

/** The verbs in order, as docs/runbooks.md has them; `inspectData` has made the plan. */
export const beside = [
  ...(['saveConfiguration', 'saveDivergedWal', 'baseBackup', 'verifyBackup'] as const),
  ...(['stop', 'saveDivergedWal', 'saveUnarchivedWal', 'setDataAside', 'placeData'] as const),
  ...(['restoreConfiguration', 'configureStandby', 'start', 'confirmStreaming'] as const),
] as const;

/** The article's literal order, by policy.replacedData: removeFirst. */
export const removeFirst = [
  ...(['saveConfiguration', 'saveDivergedWal', 'stop', 'saveDivergedWal', 'saveUnarchivedWal', 'removeData'] as const),
  ...(['baseBackup', 'verifyBackup', 'setDataAside', 'placeData'] as const),
  ...(['restoreConfiguration', 'configureStandby', 'start', 'confirmStreaming'] as const),
] as const;

type Step = (typeof beside)[number] | (typeof removeFirst)[number];

export interface Done {
  readonly line: string;
}

/** What a follow remembers of its rebuilds. */
export interface Rebuilding {
  readonly ground: Ground;
  readonly node: number;
  readonly primary: number;
  /** This follow has stopped the node: it may start it again. */
  hasStopped: boolean;
  id: string | null;
  /** The copy was started once: should the node need another one, the next copy is a new one. */
  isPlaced: boolean;
  /** Set while a rebuild is under way: its steps cost too much to be repeated without being asked. */
  plan: RebuildPlan | null;
  /** Sentences for the report: what the data held that is in no other copy now, and where the old data is. */
  discarded: { readonly wal?: string; readonly archive?: string; readonly data?: string };
  /** A person has let go what the node holds up to here. */
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
 * Null when a person has changed what forbade it: it is to be planned again, from a fresh look and the cluster file as it is now.
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
      // Also if the proof fails: it may have been stopped.
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

/** What a rebuild has left, of this follow or of one that was cut off after the node had come up: the mark, old data beyond policy, jobs. */
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
  // With removeFirst nothing was set aside: that the old data is gone is the news.
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
  // A copy that an earlier follow has verified and put in place, and that was never started, is brought up by this one.
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
  // What the cluster does may change by itself; what the node's directories are like does not.
  const isPassing = plan.reason === 'primary-missing' || plan.reason === 'two-primaries';
  const againMs = isPassing ? nextPauseMs(rebuilding.pauses++) : null;
  const question = { stepId, title: `Rebuild node ${node}`, problem, choices: ['retry', 'abort'] as const };
  await askOrAbort(ground, question, againMs, plan.line);
  return null;
}

/** Acknowledged writes are never silently thrown away: they are saved, and a person is asked where nobody can vouch for them. */
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
    : 'nobody has decided that they may be lost';
  const problem = `${saved.line}; ${why}, so clients may have been told that these writes are safe. skip: replace its data all the same (the WAL is saved); abort: leave it as it is`;
  const stepId = `node${node}.diverged-writes`;
  const title = `Diverged writes of node ${node}`;
  await askOrAbort(ground, { stepId, title, problem, choices: ['abort', 'skip'] }, null, saved.line);
  rebuilding.discardedTo = saved.range.toLsn;
  return saved;
}

/** Of a stopped node; also before it is started as a standby. A person may let the node go on without it. */
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
 * Commits past the fork, or what may be some. What the failover itself has fenced before it promoted is vouched for: its loss was
 * weighed then. Records without a commit were promised to nobody.
 */
function isQuestion(saved: SaveDivergedWalResult): saved is SaveDivergedWalResult & { readonly range: DivergedRange } {
  return saved.range !== null && saved.range.commits !== 0 && saved.fenceMark !== 'before-promotion';
}

/** Enough to clear up after: what else it replaced is found by its links. */
function planOfMark(configuration: ClusterConfiguration, node: number, rebuildId: string): RebuildPlan | null {
  if (!rebuildIdPattern.test(rebuildId)) return null;
  const current = getNode(configuration, node).dataDirectory;
  const data = { kind: 'data', link: null, sourceLocation: null, current } as const;
  const directories = [{ ...data, fresh: `${current}${freshSuffix}`, aside: asidePath(current, rebuildId) }];
  return { rebuildId, mode: 'sibling', directories };
}

/** Begins with the time, so that names sort by age. Temporal makes Math.random() the same in every replay. */
function newRebuildId(now: number): string {
  const time = new Date(now).toISOString().replaceAll(/[-:]|[.][0-9]+/g, '');
  return `${time}-${Math.random().toString(36).slice(2, 10).padEnd(8, '0')}`;
}
