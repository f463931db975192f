// Tells the cluster's incident that a node answers again; opens one if none is open.

import type { OpenedTimeline } from '../../domain/facts/wal';
import type { Tools } from '../io/tools';

export interface SignalIncidentInput {
  readonly cluster: string;
  readonly node: number;
  readonly eventId: string;
  /** See ClusterEvent. */
  readonly opened: readonly OpenedTimeline[];
}

/** The event's id comes from the workflow's run, so a second attempt is the same event. */
export async function signalIncident(tools: Tools, input: SignalIncidentInput): Promise<void> {
  const configuration = tools.readConfiguration(input.cluster);
  const at = new Date(tools.attempt.orderedAt).toISOString();
  await tools.signalIncident(configuration, {
    eventId: input.eventId,
    kind: 'returned',
    node: input.node,
    mainNode: null,
    oldPrimary: null,
    at,
    opened: input.opened,
  });
}
