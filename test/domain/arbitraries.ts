// Any facts at all about a three- or four-node cluster, well formed but free of sense; deep-frozen.

import fc from 'fast-check';
import type { ClusterConfiguration } from '../../domain/facts/cluster';
import type { FailoverRequest } from '../../domain/plans/failover-request';
import { formatLsn, type TimelineEnd, type WalPosition } from '../../domain/facts/wal';
import type { Facts, HostFacts, NodeFacts, PgpoolFacts, ProbeFacts, WalReceiverFacts } from '../../domain/facts/facts';
import { deepFreeze, makeConfiguration } from './builders';
import { identifiers } from './plans/candidate-stories';

export interface Situation {
  readonly configuration: ClusterConfiguration;
  readonly facts: Facts;
  readonly request: FailoverRequest;
}

const often = <Value>(usual: fc.Arbitrary<Value>, rare: fc.Arbitrary<Value>): fc.Arbitrary<Value> =>
  fc.oneof({ weight: 9, arbitrary: usual }, { weight: 1, arbitrary: rare });
// Few values, so that ties, equal timelines and forks happen often.
const lsn = fc.oneof(
  fc.constantFrom('0/5000000', '0/5000001', '0/9000000', '0/10000000', '1/0'),
  fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }).map(formatLsn),
);
const position: fc.Arbitrary<WalPosition> = fc.record({ timeline: fc.integer({ min: 1, max: 3 }), lsn });
const age = fc.option(fc.integer({ min: -1000, max: 100_000 }));
const flag = fc.option(fc.boolean());
const identifier = often(fc.constant(identifiers[0]), fc.constant(identifiers[1]));
const someNode = fc.integer({ min: 0, max: 4 });
const setting = often<string | null>(
  fc.constantFrom(null, ''),
  fc.constantFrom('*', 'ANY 1 (node0, node1, node2)', 'FIRST 2 (node1, node2)', 'node9', 'ANY 0 (node1)', 'broken ('),
);

const receiver: fc.Arbitrary<WalReceiverFacts> = fc.record({
  isStreaming: fc.boolean(),
  host: fc.option(someNode.map((node) => `10.0.0.${10 + node}`)),
  port: fc.option(fc.constantFrom(5432, 5433)),
  timeline: fc.option(fc.integer({ min: 1, max: 3 })),
  lastMessageAgeMs: age,
});

const controlState = fc.constantFrom('shut down', 'in archive recovery', 'in production');

const host: fc.Arbitrary<HostFacts> = fc.record({
  ssh: fc.constantFrom('answered', 'refused', 'rejected', 'silent'),
  seen: fc.constant('host'),
  processes: fc.constantFrom('running', 'orphans', 'none', 'unknown'),
  clockOffsetMs: age,
  hasDataDirectory: flag,
  hasStandbySignal: flag,
  fenceMark: fc.constantFrom('before-promotion', 'after-return', 'none', null),
  walTimeline: fc.option(fc.integer({ min: 1, max: 3 })),
  synchronousStandbyNames: setting,
  neededSettings: often<Record<string, number> | null>(fc.constant(null), fc.constant({ max_connections: 200 })),
  controlFile: fc.option(fc.record({ state: controlState, systemIdentifier: identifier, checkpoint: position })),
});

/** Complete positions most of the time: the timeline's ancestors are in its history. */
const branch = position.chain((at) =>
  fc.record({
    position: fc.constant(at),
    history: often<TimelineEnd[]>(
      fc.constant(
        Array.from({ length: at.timeline - 1 }, (_, index) => ({ timeline: index + 1, endLsn: '0/5000000' })),
      ),
      fc.array(fc.record({ timeline: fc.integer({ min: 1, max: 3 }), endLsn: lsn }), { maxLength: 3 }),
    ),
  }),
);

const answers = fc.oneof(
  { weight: 6, arbitrary: fc.constant({ sql: 'answered', isInRecovery: true } as const) },
  { weight: 1, arbitrary: fc.constant({ sql: 'answered', isInRecovery: false } as const) },
  {
    weight: 4,
    arbitrary: fc.record({
      sql: fc.constantFrom('refused', 'silent', 'recovering', 'rejected'),
      isInRecovery: fc.constant(null),
    }),
  },
  { weight: 1, arbitrary: fc.record({ sql: fc.constantFrom('answered', 'silent'), isInRecovery: flag }) },
);

function nodeFacts(node: number): fc.Arbitrary<NodeFacts> {
  return fc
    .record({
      answer: answers,
      branch,
      hasPosition: often(fc.constant(true), fc.constant(false)),
      systemIdentifier: often<string | null>(identifier, fc.constant(null)),
      timelineAgeMs: age,
      isReplayPaused: flag,
      synchronousStandbyNames: setting,
      applicationName: often<string | null>(fc.constant(null), fc.constantFrom('node1', 'walreceiver')),
      walReceiver: fc.option(receiver),
      host: fc.option(host),
      replayedLsn: often<string | null | undefined>(fc.constant(undefined), fc.option(lsn)),
      receivedLsn: often<string | null | undefined>(fc.constant(undefined), fc.option(lsn)),
      applyDelayMs: often<number | null>(fc.constantFrom(0, null), fc.constant(3_600_000)),
      ownSettings: often<Record<string, number> | null>(fc.constant(null), fc.constant({ max_connections: 100 })),
      fenceMark: often(
        fc.constant<'none' | null>('none'),
        fc.constantFrom('before-promotion' as const, 'after-return' as const),
      ),
      upstream: fc.option(fc.record({ host: someNode.map((node) => `10.0.0.${10 + node}`), port: fc.constant(5432) })),
      clients: fc.option(fc.integer({ min: 0, max: 3 })),
      followers: fc.option(fc.integer({ min: 0, max: 3 })),
    })
    .map(({ answer, branch: { position: at, history }, hasPosition, replayedLsn, receivedLsn, ...rest }) => ({
      node,
      sqlSeen: answer.sql,
      position: hasPosition ? at : null,
      replayedLsn: replayedLsn === undefined ? at.lsn : replayedLsn,
      receivedLsn: receivedLsn === undefined ? at.lsn : receivedLsn,
      history,
      ...answer,
      ...rest,
    }));
}

const probes: fc.Arbitrary<ProbeFacts[]> = fc.array(
  fc.record({
    from: someNode,
    about: someNode,
    answer: fc.constantFrom('answered', 'recovering', 'refused', 'rejected', 'silent', 'unknown'),
    isInRecovery: flag,
    seen: fc.constant('probed'),
  }),
  { maxLength: 4 },
);

const pgpools: fc.Arbitrary<PgpoolFacts[]> = fc.array(
  fc.record({
    pgpool: fc.constantFrom('pgpool0', 'pgpool1'),
    nodes: fc.array(
      fc.record({
        node: someNode,
        status: fc.constantFrom('unused', 'waiting', 'up', 'down'),
        role: fc.constantFrom('primary', 'standby'),
        liveStatus: fc.constantFrom('up', 'down', 'unknown'),
        liveRole: fc.constantFrom('primary', 'standby', 'unknown'),
      }),
      { maxLength: 4 },
    ),
    isReached: often(fc.constant(true), fc.constant(false)),
    seen: fc.constant(''),
  }),
  { maxLength: 2 },
);

function requests(count: number): fc.Arbitrary<FailoverRequest> {
  const known = fc.integer({ min: 0, max: count - 1 });
  const hint = often<number | null>(fc.option(known), fc.integer({ min: count, max: count + 1 }));
  return fc.record({
    failedNode: hint,
    oldPrimary: hint,
    suspect: often<number | null>(fc.constant(null), known),
    rejoin: often<number | null>(fc.constant(null), known),
    notTold: often(
      fc.constant<FailoverRequest['notTold']>([]),
      fc.array(fc.record({ node: known, times: fc.integer({ min: 1, max: 3 }), line: fc.constant('x') }), {
        maxLength: 2,
      }),
    ),
    isPrimaryReported: fc.boolean(),
    givenUp: often(fc.constant<number[]>([]), fc.array(known, { maxLength: 2 })),
    told: often(fc.constant<number[]>([]), fc.array(known, { maxLength: 1 })),
    lasted: fc.option(someNode),
    opened: often(
      fc.constant<FailoverRequest['opened']>([]),
      fc.array(fc.record({ node: known, timeline: fc.integer({ min: 2, max: 3 }) }), { maxLength: 2 }),
    ),
    excluded: often(fc.constant<number[]>([]), fc.array(known, { maxLength: 2 })),
    hasWaited: fc.boolean(),
    hasLookedAgain: fc.boolean(),
    sinceEventMs: fc.integer({ min: 0, max: 50_000 }),
    formerSynchronousStandbyNames: setting,
    fencedNode: fc.option(known, { freq: 2 }),
    fenceTried: fc.constant(null),
    walOfFailedCandidates: fc.constant([]),
  });
}

const configurations = fc
  .record({
    count: fc.integer({ min: 2, max: 4 }),
    priorities: fc.array(fc.constantFrom(0, 100, 100, 200), { minLength: 4, maxLength: 4 }),
    unreachableHost: fc.constantFrom('proceed' as const, 'park' as const),
    maximumLagBytes: often(fc.constant(Number.MAX_SAFE_INTEGER), fc.constantFrom(0, 16_777_216)),
    standbys: often(fc.constant(0), fc.constantFrom(1, 2)),
  })
  .map(({ count, priorities, unreachableHost, maximumLagBytes, standbys }) =>
    makeConfiguration(
      {
        nodes: priorities.map((priority) => ({ priority })),
        policy: { unreachableHost, maximumLagBytes, synchronous: { standbys, whenNone: 'degrade' } },
      },
      count,
    ),
  );

/** Facts always belong to the configuration that they were measured with; an event's numbers may be of no node. */
export const situations: fc.Arbitrary<Situation> = configurations
  .chain((configuration) =>
    fc.record({
      configuration: fc.constant(configuration),
      facts: fc.record({
        takenAt: fc.constant('2026-01-01T00:00:00.000Z'),
        watch: fc.constant(null),
        record: fc.constant(null),
        maintenance: fc.constant([]),
        // Shuffled; now and then a node was not asked at all.
        nodes: fc
          .tuple(...configuration.nodes.map(({ id }) => nodeFacts(id)))
          .chain((all) => often(fc.shuffledSubarray(all, { minLength: all.length }), fc.shuffledSubarray(all))),
        probes,
        pgpools,
      }),
      request: requests(configuration.nodes.length),
    }),
  )
  .map(deepFreeze);
