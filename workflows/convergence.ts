// Everything that follows a decision: standbys follow, every pgpool agrees, missing nodes are awaited. Never waited for by a promotion.

import {
  CancellationScope,
  ChildWorkflowCancellationType,
  executeChild,
  isCancellation,
  ParentClosePolicy,
  sleep,
  workflowInfo,
} from '@temporalio/workflow';
import type { ClusterConfiguration } from '../domain/cluster';
import { followWorkflowId, workflowTypes } from '../domain/names';
import type { FollowReport, ReasonCode } from '../domain/outcome';
import { attach, confirmPrimary, setSynchronousStandbys } from './activity-options';
import type { AwaitInput } from './messages';
import { MissingNodes } from './missing-nodes';
import { messageOf, type Steps } from './step';

/** An await workflow ends within two workflow tasks of its signal. */
const endingMs = 2000;
/** While a pgpool does not take a node that is well, or a node comes and goes, the incident must come to its end. */
const repeatPauseMs = 60_000;

export class Convergence {
  private readonly scopes = new Map<number, { scope: CancellationScope; done: Promise<void> }>();
  private readonly reports = new Map<number, FollowReport>();
  /** pgpool's confirmations and last looks: the incident does not end before they do, and takes new events meanwhile. */
  private readonly background = new Set<CancellationScope>();
  private readonly problems = new Map<'pgpools' | 'followers' | 'synchronous', ReasonCode>();
  private primary: number | null = null;
  private childCounter = 0;
  /** pgpool called follow again after a node was attached: its "up" may be older than that call. */
  private readonly doubted = new Set<number>();

  private readonly missing = new MissingNodes();

  constructor(
    private readonly steps: Steps,
    private readonly cluster: string,
  ) {}

  get isBusy(): boolean {
    return this.scopes.size > 0 || this.background.size > 0;
  }

  get follows(): FollowReport[] {
    return [...this.reports.values()];
  }

  /** Why the primary's service is not proven although nothing failed before; null when it is. */
  get problem(): ReasonCode | null {
    return [...this.problems.values()][0] ?? null;
  }

  /** Once the primary has changed, older follows and confirmations are about a world that is gone. */
  servePrimary(primary: number): void {
    if (this.primary === primary) return;
    this.primary = primary;
    for (const { scope } of this.scopes.values()) scope.cancel();
    for (const scope of this.background) scope.cancel();
    this.reports.clear();
    this.doubted.clear();
    this.problems.clear();
    this.missing.forgetFollowers();
  }

  private inBackground(body: (scope: CancellationScope) => Promise<void>): void {
    const scope = new CancellationScope();
    this.background.add(scope);
    const done = scope
      .run(() => body(scope))
      .catch((error: unknown) => {
        // Cancelled because the primary changed; nobody awaits this, and a rejection would fail the task for ever.
        if (!isCancellation(error)) this.steps.note('In the background', messageOf(error));
      });
    void done.finally(() => this.background.delete(scope));
  }

  private judge(
    scope: CancellationScope,
    what: 'pgpools' | 'followers' | 'synchronous',
    reason: ReasonCode | null,
  ): void {
    if (scope.consideredCancelled) return;
    if (reason === null) this.problems.delete(what);
    else this.problems.set(what, reason);
  }

  /** Makes every pgpool show this primary, in the background. */
  confirmPgpools(configuration: ClusterConfiguration, primary: number): void {
    this.inBackground(async (scope) => {
      const results = await Promise.all(
        configuration.pgpool.map((pgpool) => this.confirmPgpool(configuration, pgpool.name, primary)),
      );
      this.judge(scope, 'pgpools', results.every(Boolean) ? null : 'pgpool-unconfirmed');
    });
  }

  private async confirmPgpool(configuration: ClusterConfiguration, pgpool: string, primary: number): Promise<boolean> {
    try {
      await this.steps.run(
        `Confirm ${pgpool}`,
        () =>
          confirmPrimary.executeWithOptions({ summary: `${pgpool} shows node ${String(primary)} as its primary` }, [
            { configuration, pgpool, primary },
          ]),
        (done) => done.line,
      );
      return true;
    } catch {
      return false;
    }
  }

  /** The node answers again: it may be followed up. */
  stopAwaiting(node: number): void {
    this.missing.markReturned(node);
  }

  /** Starts the node's follow child; one that runs already for this primary is joined, one for another is waited for. */
  startFollow(node: number, primary: number): void {
    if (this.missing.isAwaited(node)) return;
    const earlier = this.scopes.get(node);
    if (earlier && !earlier.scope.consideredCancelled) {
      this.doubted.add(node);
      return;
    }
    const scope = new CancellationScope();
    const done = scope
      .run(() => this.runFollow(scope, node, primary, earlier?.done))
      .finally(() => {
        if (this.scopes.get(node)?.scope === scope) this.scopes.delete(node);
      });
    this.scopes.set(node, { scope, done });
  }

  private async runFollow(
    scope: CancellationScope,
    node: number,
    primary: number,
    earlier: Promise<void> | undefined,
  ): Promise<void> {
    await earlier;
    this.childCounter += 1;
    try {
      const report = (await executeChild(workflowTypes.follow, {
        args: [{ cluster: this.cluster, node, primary }],
        workflowId: followWorkflowId(this.cluster, node, workflowInfo().runId, this.childCounter),
        staticSummary: `node ${String(node)} follows node ${String(primary)}`,
        cancellationType: ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
        parentClosePolicy: ParentClosePolicy.REQUEST_CANCEL,
        workflowTaskTimeout: '2s',
      })) as FollowReport;
      this.steps.note(`Follow node ${String(node)}`, `${report.outcome} (${report.reason}): ${report.line}`);
      // It ended before the cancellation reached it: what it did was for another primary.
      if (scope.consideredCancelled) return;
      this.reports.set(node, report);
      // Waiting helps nobody whom the cluster file does not name.
      if (report.outcome !== 'completed' && report.reason !== 'node-not-configured')
        await this.awaitReturn(
          node,
          report.reason === 'node-unreachable' ? 'answers' : 'streams',
          report.reason === 'attach-unconfirmed' || this.missing.isRepeated(node) ? repeatPauseMs : 0,
        );
    } catch (error) {
      if (isCancellation(error)) {
        this.steps.note(`Follow node ${String(node)}`, 'cancelled: a newer failover decides again');
        return;
      }
      const line = messageOf(error);
      this.reports.set(node, { node, rung: 'none', outcome: 'incomplete', reason: 'step-failed', line, ms: 0 });
      this.steps.note(`Follow node ${String(node)}`, `failed: ${line}`);
    }
  }

  /** Starts the await workflow of a missing node unless it runs already. */
  async awaitReturn(node: number, until: AwaitInput['until'], delayMs = 0): Promise<void> {
    const isNew = await this.missing.awaitReturn({ cluster: this.cluster, node, until, delayMs });
    if (isNew) this.steps.note(`Await node ${String(node)}`, 'it will be looked after when it answers');
    // The one that told us of the return may be just about to end; another one waits as well as this would have.
    else if (this.missing.hasReturned(node)) {
      this.inBackground(() => sleep(endingMs).then(() => this.awaitReturn(node, until, delayMs)));
    }
  }

  /** Once the follows are done, in the background: the synchronous set by policy, then a last look that every pgpool uses every follower. */
  finish(configuration: ClusterConfiguration, primary: number): void {
    this.inBackground(async (scope) => {
      this.judge(scope, 'synchronous', (await this.setSynchronous(configuration, primary)) ? null : 'step-failed');
      let isAttached = true;
      for (const node of [...this.doubted]) {
        this.doubted.delete(node);
        if (this.reports.get(node)?.outcome !== 'completed') continue;
        for (const { name } of configuration.pgpool)
          isAttached = (await this.confirmAttached(configuration, name, node, primary)) && isAttached;
      }
      if (!isAttached) this.judge(scope, 'followers', 'pgpool-unconfirmed');
    });
  }

  private async setSynchronous(configuration: ClusterConfiguration, primary: number): Promise<boolean> {
    if (configuration.policy.synchronous.standbys === 0) return true;
    try {
      await this.steps.run(
        'Set the synchronous standbys',
        () =>
          setSynchronousStandbys.executeWithOptions({ summary: 'commits wait for those who stream' }, [
            { configuration, primary },
          ]),
        (done) => done.line,
      );
      return true;
    } catch {
      return false;
    }
  }

  private async confirmAttached(
    configuration: ClusterConfiguration,
    pgpool: string,
    node: number,
    primary: number,
  ): Promise<boolean> {
    try {
      await this.steps.run(
        `Confirm node ${String(node)} in ${pgpool}`,
        () =>
          attach.executeWithOptions({ summary: `${pgpool} still uses node ${String(node)}` }, [
            { configuration, pgpool, node, primary },
          ]),
        (done) => done.line,
      );
      return true;
    } catch {
      return false;
    }
  }
}
