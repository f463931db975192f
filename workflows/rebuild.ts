// The article's rebuild, made safe: copy and verify beside the old data, then stop, set aside, put in place, restore, start, prove.
// Each line is an activity that recognises its own finished work, so that after a failure the runbook is simply read from the top.

import { uuid4 } from '@temporalio/workflow';
import type { Observation } from '../activities/look/observe';
import type { SaveDivergedWalResult } from '../activities/data/save-diverged-wal';
import { type ClusterConfiguration, getNode } from '../domain/facts/cluster';
import {
  asidePath,
  type DivergedRange,
  freshSuffix,
  type RebuildPlan,
  rebuildIdPattern,
} from '../domain/facts/data-directory';
import { planRebuild } from '../domain/plans/rebuild';
import { factsOf } from '../domain/facts/facts';
import * as acts from './activity-options';
import type { FollowInput } from './messages';
import { type Parking, Repetition } from './parking';
import type { Steps } from './step';

interface Done {
  readonly line: string;
}

/** An activity that takes at least what the rebuild's steps are given. */
interface Verb<Input, Result> {
  executeWithOptions(options: { summary: string }, args: [Input]): Promise<Result>;
}

export class Rebuild {
  /** This run has stopped the node: it may start it again. */
  hasStopped = false;
  private rebuildId: string | null = null;
  /** The copy was started once: should the node need another one, the next copy is a new one. */
  private isPlaced = false;
  private plan: RebuildPlan | null = null;
  /** What its data held that is in no other copy now, and where the old data is: for the report. */
  private readonly discarded = new Map<'wal' | 'archive' | 'data', string>();
  /** A person has let go what it holds up to here. */
  private discardedTo: string | null = null;
  private readonly repetition = new Repetition();
  private readonly name: string;
  private tell: (step: string) => void = () => undefined;

  constructor(
    private readonly input: FollowInput,
    private readonly steps: Steps,
    private readonly parking: Parking,
  ) {
    this.name = `node ${input.node}`;
  }

  /** A rebuild has begun: its steps cost too much to be repeated without being asked. */
  get isCostly(): boolean {
    return this.plan !== null;
  }

  /** Sentences for the report: which WAL was discarded, and where it and the old data are. Empty without a rebuild. */
  get report(): string {
    return [...this.discarded.values()].map((line) => `; ${line}`).join('');
  }

  /**
   * Null when a person has changed what forbade it: it is to be planned again, from a fresh look and the cluster file as it is now.
   * @throws the failure of the step that `tell` named last
   */
  async run(observation: Observation, hasLostWal: boolean, tell: (step: string) => void): Promise<Done | null> {
    const { configuration, facts } = observation;
    const { node, primary } = this.input;
    this.tell = tell;
    if (this.isPlaced) [this.rebuildId, this.isPlaced] = [null, false];
    const rebuild = await this.makePlan(observation, hasLostWal);
    if (!rebuild) return null;
    const input = { configuration, node, primary, rebuild };
    const act = <T extends Done>(step: string, title: string, why: string, verb: Verb<typeof input, T>): Promise<T> =>
      this.step(step, title, why, (options) => verb.executeWithOptions(options, [input]));

    await this.step('save-configuration', 'Save the configuration', 'its own files, for after the copy', (options) =>
      acts.saveConfiguration.executeWithOptions(options, [{ configuration, node, rebuildId: rebuild.rebuildId }]),
    );
    await this.saveDivergedWal(observation, rebuild);
    if (rebuild.mode === 'removeFirst') {
      await this.stop(observation, rebuild);
      const removed = await act(
        'remove-data',
        'Remove the old data',
        'by policy.replacedData: removeFirst',
        acts.removeData,
      );
      this.discarded.set('data', removed.line);
    }
    await act('base-backup', 'Base backup', `copy node ${primary}`, acts.baseBackup);
    await act('verify-backup', 'Verify the copy', 'every file against its checksum', acts.verifyBackup);
    if (rebuild.mode === 'sibling') await this.stop(observation, rebuild);
    const aside = await act('set-data-aside', 'Set the old data aside', 'nothing is removed yet', acts.setDataAside);
    if (rebuild.mode === 'sibling') this.discarded.set('data', aside.line);
    await act('place-data', 'Put the copy in place', 'by rename', acts.placeData);
    await act('restore-configuration', 'Restore the configuration', 'its own files', acts.restoreConfiguration);
    await act('configure-standby', 'Write the replication settings', `for node ${primary}`, acts.configureStandby);
    await act('start', 'Start', 'it comes up as a standby', acts.start);
    this.isPlaced = true;
    const { timeline } = factsOf(facts, primary)!.position!;
    return await this.step('confirm-streaming', 'Prove streaming', 'both ends must say so', (options) =>
      acts.confirmStreaming.executeWithOptions(options, [{ ...input, timeline }]),
    );
  }

  /** What a rebuild has left, of this run or of one that was cut off after the node had come up: the mark, old data beyond policy, jobs. */
  async clear(configuration: ClusterConfiguration, leftMark: string | null = null): Promise<void> {
    const rebuild = this.plan ?? (leftMark === null ? null : planOfMark(configuration, this.input.node, leftMark));
    if (!rebuild) return;
    const { node, primary } = this.input;
    const question = {
      stepId: `node${node}.clear-replaced-data`,
      title: `Clear up after the rebuild of ${this.name}`,
      choices: ['retry', 'abort'] as const,
    };
    const cleared = await this.parking.runOrPark(question, () =>
      this.step(
        'clear-replaced-data',
        'Clear up',
        `policy.replacedData: ${configuration.policy.replacedData}`,
        (options) => acts.clearReplacedData.executeWithOptions(options, [{ configuration, node, primary, rebuild }]),
      ),
    );
    // With removeFirst nothing was set aside: that the old data is gone is the news.
    if (cleared && this.plan?.mode === 'sibling') this.discarded.set('data', cleared.line);
    this.plan = null;
  }

  private async makePlan({ configuration, facts }: Observation, hasLostWal: boolean): Promise<RebuildPlan | null> {
    const { node, primary } = this.input;
    const data = (
      await this.step('inspect-data', 'Inspect the data directory', 'paths, links, space, owner', (options) =>
        acts.inspectData.executeWithOptions(options, [{ configuration, node, primary }]),
      )
    ).facts;
    // A copy that an earlier run has verified and put in place, and that was never started, is brought up by this one.
    const isUnfinished = data.own?.state === 'copied' && !hasLostWal && rebuildIdPattern.test(data.rebuildMark ?? '');
    this.rebuildId ??= isUnfinished ? data.rebuildMark! : newRebuildId();
    const plan = planRebuild(configuration, { node, primary, rebuildId: this.rebuildId }, facts, data);
    this.steps.note('Plan', plan.line);
    if (plan.action === 'rebuild') {
      this.plan = plan.plan;
      return plan.plan;
    }
    const stepId = `node${node}.plan-rebuild`;
    const title = `Rebuild ${this.name}`;
    const problem = `${plan.reason}: ${plan.line}`;
    // What the cluster does may change by itself; what the node's directories are like does not.
    const isPassing = plan.reason === 'primary-missing' || plan.reason === 'two-primaries';
    const againMs = isPassing ? this.repetition.nextMs() : null;
    await this.parking.parkOrAbort({ stepId, title, problem, choices: ['retry', 'abort'] }, againMs, plan.line);
    return null;
  }

  /** Acknowledged writes are never silently thrown away: they are saved, and a person is asked where nobody can vouch for them. */
  private async saveDivergedWal({ configuration, facts }: Observation, { rebuildId }: RebuildPlan): Promise<void> {
    const { node, primary } = this.input;
    const source = factsOf(facts, primary)!;
    const saved = await this.step('save-diverged-wal', 'Save the WAL that only it has', 'from the fork on', (options) =>
      acts.saveDivergedWal.executeWithOptions(options, [
        {
          ...{ configuration, node, primary, rebuildId },
          primaryTimeline: source.position!.timeline,
          primaryHistory: source.history,
        },
      ]),
    );
    if (saved.range) this.discarded.set('wal', saved.line);
    if (!isQuestion(saved) || configuration.policy.divergedWrites === 'discard') return;
    if (this.discardedTo === saved.range.toLsn) return;
    const why = saved.wasPrimary
      ? 'it was not proven to be stopped before its successor was promoted'
      : 'nobody has decided that they may be lost';
    const problem = `${saved.line}; ${why}, so clients may have been told that these writes are safe. skip: replace its data all the same (the WAL is saved); abort: leave it as it is`;
    const stepId = `node${node}.diverged-writes`;
    const title = `Diverged writes of ${this.name}`;
    await this.parking.parkOrAbort({ stepId, title, problem, choices: ['abort', 'skip'] }, null, saved.line);
    this.discardedTo = saved.range.toLsn;
  }

  /** What it may have written since its WAL was saved is saved, and asked about, before anything is moved. */
  private async stop(observation: Observation, rebuild: RebuildPlan): Promise<void> {
    const { configuration } = observation;
    const { node, primary } = this.input;
    // Also if the proof fails: it may have been stopped.
    this.hasStopped = true;
    await this.step('stop', 'Stop', 'immediate: its data is replaced', (options) =>
      acts.stop.executeWithOptions(options, [{ configuration, node, primary }]),
    );
    await this.saveDivergedWal(observation, rebuild);
    await this.saveUnarchivedWal(configuration);
  }

  /** Of a stopped node; also before it is started as a standby. A person may let the node go on without it. */
  async saveUnarchivedWal(configuration: ClusterConfiguration): Promise<void> {
    const { node } = this.input;
    const title = 'Save the WAL that its archive does not have';
    const stepId = `node${node}.save-unarchived-wal`;
    const saved = await this.parking.runOrPark(
      { stepId, title: `${title}, ${this.name}`, choices: ['retry', 'skip', 'abort'] },
      () =>
        this.step('save-unarchived-wal', title, 'a standby archives none of it', (options) =>
          acts.saveUnarchivedWal.executeWithOptions(options, [{ configuration, node }]),
        ),
    );
    if (saved === null)
      this.discarded.set('archive', `${this.name}: by decision, WAL that its archive lacks was not saved`);
    else if (saved.files > 0) this.discarded.set('archive', saved.line);
  }

  private async step<T extends Done>(
    name: string,
    title: string,
    why: string,
    act: (options: { summary: string }) => Promise<T>,
  ): Promise<T> {
    this.tell(name);
    return await this.steps.run(
      `${title}, ${this.name}`,
      () => act({ summary: `${this.name}: ${title.charAt(0).toLowerCase()}${title.slice(1)}: ${why}`.slice(0, 200) }),
      (done) => done.line,
    );
  }
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

/** Begins with the time, so that names sort by age. */
function newRebuildId(): string {
  const time = new Date(Date.now()).toISOString().replaceAll(/[-:]|[.][0-9]+/g, '');
  return `${time}-${uuid4().slice(0, 8)}`;
}
