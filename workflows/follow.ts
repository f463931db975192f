// The workflow of one standby's follow: the runbook on Temporal's ground. The workflow outlives the run of the incident
// that started it, and tells the incident when it ends.

import { CancellationScope, isCancellation, upsertSearchAttributes, workflowInfo } from '@temporalio/workflow';
import type { FollowReport } from '../domain/facts/outcome';
import { openGround } from './ground';
import { followedSignal, type FollowInput, streamsSignal } from './messages';
import { Parking, tellParent } from './parking';
import { follow as followRunbook } from './runbooks/follow';
import { searchAttributes } from './search-attributes';
import { Steps } from './step';

export async function follow(input: FollowInput): Promise<FollowReport> {
  const { cluster, node, primary, number } = input;
  const startedAt = workflowInfo().startTime.getTime();
  upsertSearchAttributes(searchAttributes({ cluster, operation: 'follow' }));
  const steps = new Steps(`${cluster}: node ${node} follows node ${primary}`);
  const parking = new Parking(steps);
  parking.listen();
  const tellStreaming = (): Promise<void> => tellParent((parent) => parent.signal(streamsSignal, node));
  const tellEnd = (report: FollowReport | null): Promise<void> =>
    CancellationScope.nonCancellable(() => tellParent((parent) => parent.signal(followedSignal, node, number, report)));
  try {
    const told = await followRunbook(openGround(steps, parking), input, tellStreaming);
    const report = { ...told, ms: Date.now() - startedAt };
    parking.showOutcome(report.outcome);
    await tellEnd(report);
    return report;
  } catch (error) {
    if (isCancellation(error)) await tellEnd(null);
    throw error;
  }
}
