// Tells the cluster's incident that a node answers again, or what the watch has seen; opens one if none is open.

import type { ClusterEvent } from '../../domain/facts/event';
import type { Tools } from '../io/tools';

export interface SignalIncidentInput {
  readonly cluster: string;
  readonly node: number | null;
  readonly eventId: string;
  /** Where it is no mere return. */
  readonly more?: Pick<ClusterEvent, 'kind' | 'oldPrimary' | 'seen'>;
}

/** Bounds the question to Temporal, the only wait. */
export const boundMs = 9000;

/** The event's id comes from the workflow, so a second attempt is the same event. */
export async function signalIncident(tools: Tools, input: SignalIncidentInput): Promise<void> {
  const configuration = tools.readConfiguration(input.cluster);
  const at = new Date(tools.attempt.orderedAt).toISOString();
  const event: ClusterEvent = {
    eventId: input.eventId,
    kind: 'returned',
    node: input.node,
    mainNode: null,
    oldPrimary: null,
    at,
    ...input.more,
  };
  await tools.signalIncident(configuration, event, boundMs);
}
