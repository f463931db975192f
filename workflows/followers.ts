// The follow children of an incident, one per node, and the nodes that are away. A newer primary cancels the follows of the last one.

import {
  CancellationScope,
  ChildWorkflowCancellationType,
  executeChild,
  isCancellation,
  ParentClosePolicy,
  sleep,
  workflowInfo,
} from '@temporalio/workflow';
import { followWorkflowId, workflowTypes } from '../domain/facts/names';
import type { FollowReport } from '../domain/facts/outcome';
import type { ReasonCode } from '../domain/facts/reasons';
import type { OpenedTimeline } from '../domain/facts/wal';
import type { AwaitInput, FollowInput } from './messages';
import { MissingNodes } from './missing-nodes';
import type { Parking } from './parking';
import { messageOf, type Steps } from './step';

/** An await workflow ends within two workflow tasks of its signal. */
const endingMs = 2000;
/** While a pgpool does not take a node that is well, or a node comes and goes, the incident must come to its end. */
const repeatPauseMs = 60_000;

interface Running {
  readonly scope: CancellationScope;
  readonly done: Promise<void>;
  readonly isStartAllowed: boolean;
  /** It may wait before it attaches, and nobody asked for it. */
  readonly isPatient: boolean;
}

export class Followers {
  private readonly running = new Map<number, Running>();
  private readonly byNode = new Map<number, FollowReport>();
  private readonly missing = new MissingNodes();
  /** pgpool called follow again after a node was attached: its "up" may be older than that call. */
  private readonly doubted = new Set<number>();
  /** Asked for while a follow that must not start a stopped node was running. */
  private readonly askedAgain = new Set<number>();
  /** By the decisions of this run. */
  opened: readonly OpenedTimeline[] = [];
  private childCounter = 0;
  private attachNotBefore = 0;

  constructor(
    private readonly steps: Steps,
    private readonly cluster: string,
    private readonly parking: Parking,
    private readonly onReport: (report: FollowReport) => void,
  ) {}

  get isBusy(): boolean {
    return this.running.size > 0;
  }

  get reports(): FollowReport[] {
    return [...this.byNode.values()];
  }

  /** Older follows are about a world that is gone. No node is attached before `attachNotBefore`. */
  forgetPrimary(attachNotBefore: number): void {
    this.attachNotBefore = attachNotBefore;
    for (const { scope } of this.running.values()) scope.cancel();
    this.byNode.clear();
    this.doubted.clear();
    this.missing.forgetFollowers();
  }

  /** For follows that start from now on: the same node may have been promoted once more. */
  delayAttach(attachNotBefore: number): void {
    this.attachNotBefore = Math.max(this.attachNotBefore, attachNotBefore);
  }

  /** Nodes whose attachment must be looked at once more; each is told once. */
  takeDoubted(): number[] {
    const nodes = [...this.doubted].filter((node) => this.byNode.get(node)?.outcome === 'completed');
    this.doubted.clear();
    return nodes;
  }

  /** The node answers again: it may be followed up. */
  stopAwaiting(node: number): void {
    this.missing.markReturned(node);
  }

  /** It is back and policy.rejoin is manual: a person calls. */
  leaveToPerson(node: number): void {
    const line = `node ${node} is back, and policy.rejoin is manual: pgpool-runbook rejoin ${node} makes it follow`;
    this.steps.note(`Node ${node}`, line);
    this.byNode.set(node, { node, rung: 'none', outcome: 'incomplete', reason: 'rejoin-manual', line, ms: 0 });
  }

  /** Starts the node's follow child; one that runs already for this primary is joined, one for another is waited for. */
  startFollow(node: number, primary: number, isStartAllowed = false, isDetached = false): void {
    const earlier = this.running.get(node);
    // One that a person asked for is wanted under the next primary, too.
    const isWanted = isStartAllowed || earlier?.isStartAllowed === true;
    // Who was stopped on the way is wanted, too; who is silent is looked after when it answers.
    if (!isWanted && !earlier && this.missing.isSilent(node)) return;
    // A person does not wait for a pause.
    if (isStartAllowed && earlier?.isPatient) earlier.scope.cancel();
    if (earlier && !earlier.scope.consideredCancelled) {
      this.doubted.add(node);
      if (isStartAllowed && !earlier.isStartAllowed) this.askedAgain.add(node);
      return;
    }
    const scope = new CancellationScope();
    // The follow before may have been cancelled after it had stopped the node.
    const input = {
      cluster: this.cluster,
      node,
      primary,
      isStartAllowed: isStartAllowed || earlier !== undefined,
      attachNotBefore: this.attachNotBefore,
      isDetached: isDetached && !isStartAllowed && !earlier,
    };
    const done = scope
      .run(() => this.runFollow(scope, input, earlier?.done))
      // Nobody awaits it: a rejection would fail the workflow's task for ever.
      .catch((error: unknown) => {
        if (!isCancellation(error)) this.steps.note(`Follow node ${node}`, messageOf(error));
      })
      .finally(() => {
        if (this.running.get(node)?.scope === scope) this.running.delete(node);
        if (this.askedAgain.delete(node) && !scope.consideredCancelled) this.startFollow(node, primary, true);
      });
    this.running.set(node, { scope, done, isStartAllowed: input.isStartAllowed, isPatient: input.isDetached });
  }

  private async runFollow(
    scope: CancellationScope,
    input: FollowInput,
    earlier: Promise<void> | undefined,
  ): Promise<void> {
    const { node } = input;
    await earlier;
    this.childCounter += 1;
    const workflowId = followWorkflowId(this.cluster, node, workflowInfo().runId, this.childCounter);
    try {
      const report = (await executeChild(workflowTypes.follow, {
        args: [input],
        workflowId,
        staticSummary: `node ${node} follows node ${input.primary}`,
        cancellationType: ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
        parentClosePolicy: ParentClosePolicy.REQUEST_CANCEL,
        workflowTaskTimeout: '2s',
      })) as FollowReport;
      this.steps.note(`Follow node ${node}`, `${report.outcome} (${report.reason}): ${report.line}`);
      // It ended before the cancellation reached it: what it did was for another primary.
      if (!scope.consideredCancelled) await this.take(report, input.isStartAllowed);
    } catch (error) {
      if (isCancellation(error)) {
        this.steps.note(`Follow node ${node}`, 'cancelled: a newer failover decides again');
        return;
      }
      const line = messageOf(error);
      this.steps.note(`Follow node ${node}`, `failed: ${line}`);
      await this.take({ node, rung: 'none', outcome: 'incomplete', reason: 'step-failed', line, ms: 0 }, false);
    } finally {
      this.parking.forgetChild(workflowId);
    }
  }

  private async take(report: FollowReport, wasStarted: boolean): Promise<void> {
    const { node, outcome, reason } = report;
    // A later look that found nothing left to do is no news: what this run has done for the node is.
    const isNews = reason !== 'already-following' || this.byNode.get(node)?.outcome !== 'completed';
    if (isNews) this.byNode.set(node, report);
    if (outcome === 'completed') {
      // It did not come back, it was brought back: its await has not noticed yet.
      if (wasStarted || this.missing.hasWait(node)) await this.missing.stopWaiting(this.cluster, node);
    }
    // Waiting helps nobody whom the cluster file does not name.
    else if (reason !== 'node-not-configured') {
      const isSlow = reason === 'step-failed' || this.missing.isRepeated(node);
      await this.awaitReturn(node, untilOf(reason), isSlow ? repeatPauseMs : 0);
    }
    // Asked for meanwhile: the next follow is the answer.
    if (!this.askedAgain.has(node)) this.onReport(report);
  }

  /** Starts the await workflow of a missing node unless it runs already. */
  async awaitReturn(node: number, until: AwaitInput['until'], delayMs = 0): Promise<void> {
    const isNew = await this.missing.awaitReturn({
      cluster: this.cluster,
      node,
      until,
      opened: this.opened,
      delayMs,
    });
    if (isNew) this.steps.note(`Await node ${node}`, 'it will be looked after when it answers');
    // The one that told us of the return may be just about to end; another one waits as well as this would have.
    else if (this.missing.hasReturned(node)) {
      await sleep(endingMs, { summary: 'until the last wait has ended' });
      await this.awaitReturn(node, until, delayMs);
    }
  }
}

/** When a follow that has ended without its node is worth another one. */
function untilOf(reason: ReasonCode): AwaitInput['until'] {
  // It accepts writes beside the primary: whoever decides must see that at once.
  if (reason === 'node-unreachable' || reason === 'node-not-standby') return 'answers';
  // A person has let it be, and it answers: only its coming back is news.
  return reason === 'decided-by-person' ||
    reason === 'attach-unconfirmed' ||
    reason === 'rejoin-manual' ||
    reason === 'in-maintenance'
    ? 'returns'
    : 'streams';
}
