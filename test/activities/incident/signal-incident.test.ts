// signalIncident makes one event that every incident accepts, and the same one on every attempt.
import { signalIncident, type SignalIncidentInput } from '../../../activities/incident/signal-incident';
import type { WorkerTools } from '../../../activities/io/tools';
import type { ClusterConfiguration } from '../../../domain/facts/cluster';
import { type ClusterEvent, parseEvent } from '../../../domain/facts/event';
import { createEnvironment, inAttempt } from '../support';

const configuration = { cluster: 'shop' } as ClusterConfiguration;

async function signal(
  attempt: number,
  more?: SignalIncidentInput['more'],
): Promise<{ events: ClusterEvent[]; clusters: string[] }> {
  const events: ClusterEvent[] = [];
  const clusters: string[] = [];
  const tools = {
    readConfiguration: (cluster: string) => {
      clusters.push(cluster);
      return configuration;
    },
    signalIncident: (_: ClusterConfiguration, event: ClusterEvent) => {
      events.push(event);
      return Promise.resolve();
    },
  } as unknown as WorkerTools;
  const environment = createEnvironment({ attempt, currentAttemptScheduledTimestampMs: 1_700_000_000_000 });
  const input = { cluster: 'shop', node: 2, eventId: 'run-1.returned', ...(more && { more }) };
  await inAttempt(tools, (given) => signalIncident(given, input), environment);
  return { events, clusters };
}

it('tells the cluster’s incident once, with an event that parses', async () => {
  const { events, clusters } = await signal(1);
  expect(clusters).toEqual(['shop']);
  expect(events).toEqual([
    {
      eventId: 'run-1.returned',
      kind: 'returned',
      node: 2,
      mainNode: null,
      oldPrimary: null,
      at: '2023-11-14T22:13:20.000Z',
    },
  ]);
  expect(parseEvent(JSON.parse(JSON.stringify(events[0])))).toEqual({ event: events[0] });
});

it('tells what the watch has seen, in its words', async () => {
  const more = { kind: 'failover', oldPrimary: 2, seen: 'pgpool has given node 2 up' } as const;
  const { events } = await signal(1, more);
  expect(events).toMatchObject([{ ...more, node: 2, mainNode: null }]);
  expect(parseEvent(JSON.parse(JSON.stringify(events[0])))).toEqual({ event: events[0] });
});

it('keeps the event’s identity on a second attempt, so that it is settled once', async () => {
  const [first, second] = [await signal(1), await signal(2)];
  expect(second.events[0]!.eventId).toBe(first.events[0]!.eventId);
});
