// Which nodes are away, and the workflow that waits for each: one per node and cluster, whichever incident started it.

import { CancellationScope, getExternalWorkflowHandle, ParentClosePolicy, startChild } from '@temporalio/workflow';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { awaitWorkflowId, workflowTypes } from '../domain/facts/names';
import type { AwaitInput } from './messages';

export class MissingNodes {
  private readonly awaited = new Map<number, AwaitInput['until']>();
  /** Nodes whose await workflow has told this run of their return. */
  private readonly returned = new Set<number>();
  private readonly returns = new Map<number, number>();
  /** Nodes for which an await was started, or found, in this run. */
  private readonly waits = new Set<number>();

  /** It is silent, so nothing can be done for it. */
  isSilent(node: number): boolean {
    return this.awaited.get(node) === 'answers';
  }

  markReturned(node: number): void {
    this.awaited.delete(node);
    this.waits.delete(node);
    this.returned.add(node);
    this.returns.set(node, (this.returns.get(node) ?? 0) + 1);
  }

  /** It has come back in this run before, and could not stay. */
  isRepeated(node: number): boolean {
    return (this.returns.get(node) ?? 0) > 1;
  }

  /** True once for each return. */
  hasReturned(node: number): boolean {
    return this.returned.delete(node);
  }

  /** Who could not follow the last primary may be able to follow the next; who is silent stays awaited. */
  forgetFollowers(): void {
    for (const [node, until] of this.awaited) if (until !== 'answers') this.awaited.delete(node);
  }

  hasWait(node: number): boolean {
    return this.waits.has(node);
  }

  /** It is well: whoever still waits for it, in this run or an older one's name, need not. */
  async stopWaiting(cluster: string, node: number): Promise<void> {
    this.awaited.delete(node);
    this.waits.delete(node);
    try {
      await CancellationScope.nonCancellable(() => getExternalWorkflowHandle(awaitWorkflowId(cluster, node)).cancel());
    } catch {
      // Nobody waits.
    }
  }

  /** False when the node is waited for already. The wait outlives the incident that started it. */
  async awaitReturn(input: AwaitInput): Promise<boolean> {
    this.awaited.set(input.node, input.until);
    this.waits.add(input.node);
    try {
      await CancellationScope.nonCancellable(() =>
        startChild(workflowTypes.await, {
          args: [input],
          workflowId: awaitWorkflowId(input.cluster, input.node),
          parentClosePolicy: ParentClosePolicy.ABANDON,
          staticSummary: `waiting for node ${input.node} to come back`,
          workflowTaskTimeout: '2s',
        }),
      );
      return true;
    } catch (error) {
      if (error instanceof WorkflowExecutionAlreadyStartedError) return false;
      throw error;
    }
  }
}
