// Everything that follows a decision: standbys follow, every pgpool agrees, missing nodes are awaited. Never waited for by a promotion.

import {
  CancellationScope,
  ChildWorkflowCancellationType,
  executeChild,
  isCancellation,
  ParentClosePolicy,
  startChild,
  workflowInfo,
} from '@temporalio/workflow';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import type { ClusterConfiguration } from '../domain/cluster';
import { awaitWorkflowId, followWorkflowId, workflowTypes } from '../domain/names';
import type { FollowReport } from '../domain/outcome';
import { attach, confirmPrimary, setSynchronousStandbys } from './activity-options';
import type { AwaitInput } from './messages';
import { messageOf, type Steps } from './step';

export class Convergence {
  private readonly scopes = new Map<number, { scope: CancellationScope; done: Promise<void> }>();
  private readonly reports = new Map<number, FollowReport>();
  private pgpoolsConfirmed: Promise<boolean> = Promise.resolve(true);
  private childCounter = 0;
  /** pgpool called follow again after a node was attached: its "up" may be older than that call. */
  private readonly doubted = new Set<number>();

  /** Missing nodes that another workflow looks after. */
  private readonly awaited = new Set<number>();

  constructor(
    private readonly steps: Steps,
    private readonly cluster: string,
  ) {}

  get isBusy(): boolean {
    return this.scopes.size > 0;
  }

  get follows(): FollowReport[] {
    return [...this.reports.values()];
  }

  /** Called again only when the primary changed: older follows are about a world that is gone. */
  cancelFollows(): void {
    for (const { scope } of this.scopes.values()) scope.cancel();
    this.reports.clear();
    this.doubted.clear();
  }

  /** Makes every pgpool show this primary, in the background. */
  confirmPgpools(configuration: ClusterConfiguration, primary: number): void {
    this.pgpoolsConfirmed = Promise.all(
      configuration.pgpool.map((pgpool) => this.confirmPgpool(configuration, pgpool.name, primary)),
    ).then((results) => results.every(Boolean));
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
    } catch (error) {
      if (isCancellation(error)) throw error;
      return false;
    }
  }

  /** The node answers again: it may be followed up. */
  stopAwaiting(node: number): void {
    this.awaited.delete(node);
  }

  /** Starts the node's follow child; one that runs already for this primary is joined, one for another is waited for. */
  startFollow(node: number, primary: number): void {
    if (this.awaited.has(node)) return;
    const earlier = this.scopes.get(node);
    if (earlier && !earlier.scope.consideredCancelled) {
      this.doubted.add(node);
      return;
    }
    const scope = new CancellationScope();
    const done = scope
      .run(() => this.runFollow(node, primary, earlier?.done))
      .finally(() => {
        if (this.scopes.get(node)?.scope === scope) this.scopes.delete(node);
      });
    this.scopes.set(node, { scope, done });
  }

  private async runFollow(node: number, primary: number, earlier: Promise<void> | undefined): Promise<void> {
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
      this.reports.set(node, report);
      this.steps.note(`Follow node ${String(node)}`, `${report.outcome} (${report.reason}): ${report.line}`);
      if (report.outcome !== 'completed')
        await this.awaitReturn(node, report.reason === 'node-unreachable' ? 'answers' : 'streams');
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
  async awaitReturn(node: number, until: AwaitInput['until']): Promise<void> {
    const input: AwaitInput = { cluster: this.cluster, node, until };
    this.awaited.add(node);
    try {
      await CancellationScope.nonCancellable(() =>
        startChild(workflowTypes.await, {
          args: [input],
          workflowId: awaitWorkflowId(this.cluster, node),
          parentClosePolicy: ParentClosePolicy.ABANDON,
          staticSummary: `waiting for node ${String(node)} to come back`,
          workflowTaskTimeout: '2s',
        }),
      );
      this.steps.note(`Await node ${String(node)}`, 'it will be looked after when it answers');
    } catch (error) {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    }
  }

  /** Once the follows are done: the synchronous set by policy, then a last look that every pgpool uses every follower. */
  async finish(configuration: ClusterConfiguration, primary: number): Promise<boolean> {
    let isConfirmed = await this.pgpoolsConfirmed;
    if (configuration.policy.synchronous.standbys > 0) {
      await this.steps.run(
        'Set the synchronous standbys',
        () =>
          setSynchronousStandbys.executeWithOptions({ summary: 'commits wait for those who stream' }, [
            { configuration, primary },
          ]),
        (done) => done.line,
      );
    }
    for (const node of [...this.doubted]) {
      this.doubted.delete(node);
      if (this.reports.get(node)?.outcome !== 'completed') continue;
      for (const { name } of configuration.pgpool)
        isConfirmed = (await this.confirmAttached(configuration, name, node, primary)) && isConfirmed;
    }
    return isConfirmed;
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
