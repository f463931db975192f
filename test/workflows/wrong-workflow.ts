// An incident that acts before it looks: against a history of the real one it must fail to replay, or the replay test proves nothing.

import { proxyActivities } from '@temporalio/workflow';
import type { Activities } from '../../activities/index';

const { fence } = proxyActivities<Activities>({ startToCloseTimeout: '10s' });

export async function incident(cluster: string): Promise<void> {
  await fence({ node: 0, configuration: { cluster } } as Parameters<typeof fence>[0]);
}
