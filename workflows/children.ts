// The children of an incident: follows, which outlive its run and have one id for each node.

import {
  CancellationScope,
  ChildWorkflowCancellationType,
  getExternalWorkflowHandle,
  isCancellation,
  ParentClosePolicy,
  sleep,
  startChild,
} from '@temporalio/workflow';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { followWorkflowId, workflowTypes } from '../domain/facts/names';
import type { FollowReport } from '../domain/facts/outcome';
import type { FollowMove, Message, NodeState } from '../domain/plans/incident-state';
import { type FollowInput, stepResumedSignal } from './messages';
import type { Parking } from './parking';
import { sentenceOf } from './runbooks/ground';

type Followed = Omit<Extract<Message, { on: 'followed' }>, 'now'>;
type Tell = (followed: Followed) => void;

/** Time in which a follow left by another run ends, once it is cancelled. */
const endingMs = 2000;

/**
 * Starts the node's follow, and tells of its end. A follow left behind by a terminated incident is cancelled and waited
 * for first.
 */
export async function runFollow(
  move: FollowMove & { readonly cluster: string },
  parking: Parking,
  tell: Tell,
): Promise<void> {
  const { cluster, node, number, primary } = move;
  const { isStartAllowed, attachNotBefore, isDetached } = move;
  const input: FollowInput = { cluster, node, number, primary, isStartAllowed, attachNotBefore, isDetached };
  const workflowId = followWorkflowId(cluster, node);
  const report = await untilStarted(input)
    .then((child) => child.result())
    .catch((error: unknown) => (isCancellation(error) ? null : failed(node, sentenceOf(error))));
  parking.forgetChild(workflowId);
  tell({ on: 'followed', node, number, report });
}

async function untilStarted(input: FollowInput) {
  for (;;) {
    try {
      return await startChild<(input: FollowInput) => Promise<FollowReport>>(workflowTypes.follow, {
        args: [input],
        workflowId: followWorkflowId(input.cluster, input.node),
        staticSummary: `node ${input.node} follows node ${input.primary}`,
        cancellationType: ChildWorkflowCancellationType.ABANDON,
        // The incident may continue as new while the follow runs.
        parentClosePolicy: ParentClosePolicy.ABANDON,
        workflowTaskTimeout: '2s',
      });
    } catch (error) {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
      await cancelFollow(input.cluster, input.node);
      await sleep(endingMs, { summary: `until the last follow of node ${input.node} has ended` });
    }
  }
}

function failed(node: number, line: string): FollowReport {
  return { node, rung: 'none', outcome: 'incomplete', reason: 'step-failed', line, ms: 0 };
}

/** A follow is closed only when none of its acts runs on the node any more. */
export async function cancelFollow(cluster: string, node: number): Promise<void> {
  await CancellationScope.nonCancellable(async () => {
    // A follow that has ended need not be cancelled.
    await getExternalWorkflowHandle(followWorkflowId(cluster, node))
      .cancel()
      .catch(() => undefined);
  });
}

/** A long interval, because each question adds events to the history of a follow that may be parked for weeks. */
const carriedMs = 3_600_000;

/**
 * Watches a follow of the run before this one. The follow tells of its end itself, except when it was terminated; so
 * now and then it is asked whether it runs.
 */
export async function watchCarried(
  cluster: string,
  { id, number }: NodeState,
  parking: Parking,
  tell: Tell,
): Promise<void> {
  const workflowId = followWorkflowId(cluster, id);
  for (;;) {
    await sleep(carriedMs, { summary: `does the follow of node ${id} still run?` });
    try {
      // No step has this name, so the signal changes nothing.
      await getExternalWorkflowHandle(workflowId).signal(stepResumedSignal, 'none');
    } catch (error) {
      if (isCancellation(error)) throw error;
      parking.forgetChild(workflowId);
      tell({ on: 'followed', node: id, number, report: failed(id, 'its follow has ended without a report') });
      return;
    }
  }
}
