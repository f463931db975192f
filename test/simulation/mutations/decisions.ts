// Mutations of decisions: rules 1, 4, 5, 6 and the synchronous set.

import { answeringStandbys, type Facts, writableNodes } from '../../../domain/facts/facts';
import type { chooseCandidate } from '../../../domain/plans/candidate';
import type { ClusterConfiguration } from '../../../domain/facts/cluster';
import { changeVerb, type Mutation, withPolicy } from './mutation';
import type { Seams } from './seams';

/** A rule that is only looked at once the primary is fenced. */
function onlyAfterFence(make: (isBefore: () => boolean) => Seams): Seams {
  let isBefore = true;
  return {
    ...make(() => isBefore),
    planFailover: (real, configuration, facts, request) => {
      isBefore = request.fencedNode === null;
      return real(configuration, facts, request);
    },
  };
}

const patient = (configuration: ClusterConfiguration): ClusterConfiguration => ({
  ...configuration,
  policy: { ...configuration.policy, maximumLagBytes: Number.MAX_SAFE_INTEGER },
});

const changeNodes = (facts: Facts, change: (entry: Facts['nodes'][number]) => Facts['nodes'][number]): Facts => ({
  ...facts,
  nodes: facts.nodes.map(change),
});

const synchronous = withPolicy({ synchronous: { standbys: 1, whenNone: 'wait' } }, { isSynchronous: true });

export const decisionMutations: readonly Mutation[] = [
  {
    rule: 'rule-1',
    title: 'the synchronous set is judged after the fence only',
    seams: () =>
      onlyAfterFence((isBefore) => ({ hasLastCommit: (real, ...args) => (isBefore() ? null : real(...args)) })),
    deeds: ['hang', 'recover', 'orphan', 'crash', 'vanish'],
    topology: synchronous,
  },
  {
    rule: 'rule-1',
    title: 'the lag is judged after the fence only',
    seams: () =>
      onlyAfterFence((isBefore) => ({
        chooseCandidate: (real, configuration, ...rest) =>
          real(isBefore() ? patient(configuration) : configuration, ...rest),
      })),
    deeds: ['maintain', 'hang', 'answer', 'answer'],
    isInOrder: true,
    topology: withPolicy({ maximumLagBytes: 1 }),
  },
  {
    rule: 'rule-1',
    title: 'that no candidate is left is seen after the fence only',
    seams: () => ({
      planFailover: (real, configuration, facts, request) => {
        const plan = real(configuration, facts, request);
        const hung = facts.nodes.find(({ sql, host }) => sql !== 'answered' && host?.processes === 'running');
        if (plan.action !== 'refuse' || plan.reason !== 'no-candidate' || !hung || request.fencedNode !== null)
          return plan;
        return { action: 'fence', node: hung.node, line: 'the primary hangs' };
      },
    }),
    deeds: ['hang', 'hang', 'crash', 'maintain', 'vanish'],
  },
  {
    rule: 'rule-1',
    title: 'a copy is not verified before the node is stopped',
    subject: changeVerb('verifyBackup', () => Promise.resolve({ changed: false, line: 'not verified' })),
    deeds: ['promoteByHand', 'turnBack', 'recycle', 'cut', 'rejoin', 'hang', 'mend'],
    topology: withPolicy({ follow: ['repoint', 'rebuild'], replacedData: 'keep', divergedWrites: 'discard' }),
  },
  {
    rule: 'rule-4',
    title: 'E1: of two writable nodes the older timeline loses',
    seams: () => ({
      planWithTwoPrimaries: (_, __, facts) => {
        const [oldest] = [...writableNodes(facts)].sort((a, b) => a.position!.timeline - b.position!.timeline);
        return { action: 'fence', node: oldest!.node, line: 'the older timeline loses' };
      },
    }),
    deeds: ['promoteByHand', 'falseFailover', 'rejoin', 'crash'],
  },
  {
    rule: 'rule-4',
    title: 'neither sessions nor standbys of the older one count',
    seams: () => ({
      planWithTwoPrimaries: (real, configuration, facts, writable, request) =>
        real(
          configuration,
          changeNodes(facts, (entry) => ({ ...entry, walReceiver: null })),
          writable.map((entry) => ({ ...entry, clients: 0, followers: 0 })),
          request,
        ),
    }),
    deeds: ['promoteByHand', 'promoteView', 'connect', 'falseFailover'],
  },
  {
    rule: 'rule-4',
    title: 'every newer timeline is taken for a promotion of ours',
    seams: () => ({
      planWithTwoPrimaries: (real, configuration, facts, writable, request) => {
        const opened = writable.map(({ node, position }) => ({ node, timeline: position!.timeline }));
        return real(configuration, facts, writable, { ...request, opened });
      },
    }),
    deeds: ['promoteByHand', 'falseFailover', 'rejoin', 'detach'],
  },
  {
    rule: 'rule-5',
    title: 'how many hosts are reached is not asked',
    seams: () => ({ describeCutOff: () => null }),
    deeds: ['divide', 'divide', 'vanish', 'vanish', 'falseFailover'],
    topology: withPolicy({ unreachableHost: 'proceed', minimumIntervalMs: 0 }),
  },
  {
    rule: 'rule-5',
    title: 'a refused connection without a look at the host is not looked at again',
    seams: () => ({
      planFailover: (real, configuration, facts, request) => {
        const plan = real(configuration, facts, request);
        if (plan.action !== 'look-again' || plan.afterMs === 0) return plan;
        return real(configuration, facts, { ...request, lasted: plan.node });
      },
    }),
    deeds: ['breakSsh', 'close'],
    isInOrder: true,
    topology: withPolicy({ unreachableHost: 'proceed', minimumIntervalMs: 0 }),
  },
  {
    rule: 'rule-5',
    title: 'nobody but the worker is asked, and every probe counts as silence',
    subject: changeVerb('observe', async (body) => {
      const { configuration, facts } = await body();
      const probes = facts.probes.map((probe) => ({ ...probe, answer: 'silent' as const, isInRecovery: null }));
      const nodes = facts.nodes.map((entry) => ({ ...entry, walReceiver: null }));
      return {
        configuration,
        facts: { ...facts, nodes, probes, pgpools: facts.pgpools.map((one) => ({ ...one, nodes: [] })) },
      };
    }),
    deeds: ['cut', 'falseFailover', 'cut'],
    topology: withPolicy({ unreachableHost: 'proceed', minimumIntervalMs: 0 }),
  },
  {
    rule: 'rule-5',
    title: 'a fence is believed that has stopped nobody',
    subject: changeVerb('fence', (_, { node, configuration }) =>
      Promise.resolve({
        ...{ outcome: 'confirmed', seen: 'not done', synchronousStandbyNames: '' },
        nodes: configuration.nodes.filter(({ id }) => id !== node).length > 9 ? [] : [],
      }),
    ),
    deeds: ['hang', 'hang', 'falseFailover'],
  },
  {
    rule: 'rule-6',
    title: 'the candidate with the least WAL is chosen',
    seams: () => ({ chooseCandidate: leastFirst }),
    deeds: ['crash', 'cut', 'hang', 'lead', 'mend'],
    topology: withPolicy({ maximumLagBytes: 16_777_216, synchronous: { standbys: 0, whenNone: 'degrade' } }),
  },
  {
    rule: 'rule-6',
    title: 'a standby that is shown not to have streamed is promoted',
    seams: () => ({
      chooseCandidate: (real, configuration, facts, request) =>
        real(
          configuration,
          {
            ...changeNodes(facts, (entry) => ({ ...entry, receivedLsn: entry.position?.lsn ?? null })),
            watch: null,
          },
          request,
        ),
    }),
    deeds: ['stop', 'vanish', 'start'],
    isInOrder: true,
    topology: withPolicy({ unreachableHost: 'proceed', minimumIntervalMs: 0 }),
  },
  {
    rule: 'rule-6',
    title: 'WAL that only a node holds is not looked for before its data is replaced',
    subject: changeVerb('saveDivergedWal', async (body) => ({ ...(await body()), range: null })),
    deeds: ['vanish', 'heal', 'falseFailover', 'vanish', 'heal'],
    topology: withPolicy({
      follow: ['repoint', 'rebuild'],
      divergedWrites: 'park',
      rejoin: 'automatic',
      minimumIntervalMs: 0,
    }),
  },
  {
    rule: 'rule-6',
    title: 'every fence vouches for the loss',
    subject: changeVerb('saveDivergedWal', async (body) => ({ ...(await body()), fenceMark: 'before-promotion' })),
    deeds: ['vanish', 'heal', 'falseFailover', 'vanish', 'heal'],
    topology: withPolicy({
      follow: ['repoint', 'rebuild'],
      divergedWrites: 'park',
      rejoin: 'automatic',
      minimumIntervalMs: 0,
    }),
  },
  {
    rule: 'lost-commit',
    title: 'the synchronous set is not asked',
    seams: () => ({ hasLastCommit: () => null }),
    deeds: ['crash', 'cut', 'vanish', 'hang', 'mend'],
    topology: synchronous,
  },
  {
    rule: 'lost-commit',
    title: 'silent standbys count as asked',
    seams: () => ({
      hasLastCommit: (real, configuration, question) =>
        real(configuration, { ...question, reachable: configuration.nodes.map(({ id }) => id) }),
    }),
    deeds: ['crash', 'cut', 'vanish', 'hang', 'mend'],
    topology: synchronous,
  },
  {
    rule: 'lost-commit',
    title: 'a set that nobody can read counts as asynchronous',
    seams: () => ({
      hasLastCommit: (real, configuration, question) =>
        real(configuration, { ...question, inForce: question.inForce ?? '' }),
    }),
    deeds: ['cut', 'loseWatch', 'vanish', 'vanish'],
    isInOrder: true,
    topology: synchronous,
  },
];

function leastFirst(
  real: typeof chooseCandidate,
  ...[configuration, facts, request]: Parameters<typeof chooseCandidate>
): ReturnType<typeof chooseCandidate> {
  const best = real(configuration, facts, request);
  if ('refusal' in best || answeringStandbys(facts).length < 2) return best;
  const others = { ...facts, nodes: facts.nodes.filter(({ node }) => node !== best.candidate) };
  const next = real(configuration, others, request);
  return 'refusal' in next ? best : { ...next, passedOver: [...next.passedOver, best.candidate] };
}
