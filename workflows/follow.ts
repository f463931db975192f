// The workflow of one standby's follow, a child of the incident: the runbook on Temporal's ground. One per node, in parallel.

import { upsertSearchAttributes, workflowInfo } from '@temporalio/workflow';
import type { FollowReport } from '../domain/facts/outcome';
import { openGround } from './ground';
import { type FollowInput, streamsSignal } from './messages';
import { Parking, tellParent } from './parking';
import { follow as followRunbook } from './runbooks/follow';
import { searchAttributes } from './search-attributes';
import { Steps } from './step';

export async function follow(input: FollowInput): Promise<FollowReport> {
  const { cluster, node, primary } = input;
  const startedAt = workflowInfo().startTime.getTime();
  upsertSearchAttributes(searchAttributes({ cluster, operation: 'follow' }));
  const steps = new Steps(`${cluster}: node ${node} follows node ${primary}`);
  const parking = new Parking(steps);
  parking.listen();
  const tellStreaming = (): Promise<void> => tellParent((parent) => parent.signal(streamsSignal, node));
  const report = await followRunbook(openGround(steps, parking), input, tellStreaming);
  parking.showOutcome(report.outcome);
  return { ...report, ms: Date.now() - startedAt };
}
