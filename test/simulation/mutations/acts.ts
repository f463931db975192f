// Mutations of acts, of the page and of follows: rules 2, 3, 7, 8, 9, 10 and liveness.

import { factsOf } from '../../../domain/facts/facts';
import { emptyMemory } from '../../../domain/plans/failover-memory';
import { product } from '../simulation';
import { changePage, changeVerb, type Mutation, withPolicy } from './mutation';

/** Fails as the verb did, with other details. */
function withDetails(error: unknown, change: object): unknown {
  if (!(error instanceof Error) || !('details' in error)) return error;
  return Object.assign(error, { details: { ...(error.details as object), ...change } });
}

const quick = { minimumIntervalMs: 0, unreachableHost: 'proceed' } as const;

export const actMutations: readonly Mutation[] = [
  {
    rule: 'rule-2',
    title: 'E2: a candidate that was only busy counts as told',
    subject: changeVerb('promote', (body) =>
      body().catch((error: unknown) => {
        throw withDetails(error, { isTold: true }) as Error;
      }),
    ),
    deeds: ['crash', 'pauseReplay'],
    topology: withPolicy(quick),
  },
  {
    rule: 'rule-2',
    title: 'a standby that failed and still runs is fenced',
    seams: () => ({
      planFailover: (real, configuration, facts, request) => {
        const plan = real(configuration, facts, request);
        const failed = request.failedNode;
        return plan.action === 'keep' && plan.reason === 'standby-failed' && request.fenceTried !== failed
          ? { action: 'fence', node: failed!, line: 'it failed' }
          : plan;
      },
    }),
    deeds: ['hang', 'recover', 'reject', 'cut', 'falseFailover'],
  },
  {
    rule: 'rule-2',
    title: 'an old %P is believed, whatever the files say',
    seams: () => ({
      suspectPrimary: (real, configuration, facts, request) => {
        const old = request.oldPrimary;
        const isSilent = old !== null && factsOf(facts, old)?.sql !== 'answered' && factsOf(facts, old) !== undefined;
        return isSilent && request.fencedNode === null ? old : real(configuration, facts, request);
      },
    }),
    deeds: ['hang', 'hang', 'falseFailover', 'falseFailover', 'crash'],
    topology: withPolicy(quick),
  },
  {
    rule: 'rule-3',
    title: 'a candidate that is at work is given up like any other',
    subject: changeVerb('promote', (body) =>
      body().catch((error: unknown) => {
        throw withDetails(error, { holdUp: null }) as Error;
      }),
    ),
    deeds: ['holdUp', 'holdUp', 'crash', 'hang', 'thaw'],
    isInOrder: true,
    topology: withPolicy({ ...quick, synchronous: { standbys: 0, whenNone: 'degrade' } }, { isSynchronous: false }),
  },
  {
    rule: 'rule-3',
    title: 'who was told is forgotten between decisions',
    subject: {
      failover: (ground, input) => product.failover(ground, { ...input, memory: { ...input.memory, told: [] } }),
      ...changeVerb('fence', async (body, { node }, sim) => {
        const isTold = sim.world.nodes[node]!.toldAt !== null;
        return isTold ? { outcome: 'unconfirmed', seen: '', nodes: [], synchronousStandbyNames: null } : await body();
      }),
    },
    deeds: ['holdUp', 'holdUp', 'crash', 'hang'],
    isInOrder: true,
    topology: withPolicy({ ...quick, synchronous: { standbys: 0, whenNone: 'degrade' } }, { isSynchronous: false }),
  },
  {
    rule: 'rule-3',
    title: 'a told candidate is passed over once its fence was tried',
    subject: changeVerb('fence', async (body, { node }, sim) => {
      const isTold = sim.world.nodes[node]!.toldAt !== null;
      return isTold ? { outcome: 'confirmed', seen: '', nodes: [], synchronousStandbyNames: null } : await body();
    }),
    deeds: ['holdUp', 'holdUp', 'crash', 'hang', 'answer', 'answer'],
    isInOrder: true,
    topology: withPolicy({ ...quick, synchronous: { standbys: 0, whenNone: 'degrade' } }, { isSynchronous: false }),
  },
  {
    rule: 'rule-7',
    title: 'a refusal is looked at again once a minute',
    subject: { next: (state, message, timing) => product.next(state, message, { ...timing, lookAgainMs: 60_000 }) },
    deeds: ['crash', 'vanish', 'hang', 'pause'],
  },
  {
    rule: 'rule-7',
    title: 'the looks end',
    subject: {
      next: (state, message, timing) => product.next(state, message, { ...timing, looks: 2, slowLookMs: null }),
    },
    deeds: ['crash', 'vanish', 'hang', 'pause'],
  },
  {
    rule: 'rule-7',
    title: 'the question has no end of its own',
    subject: changePage((step) => ({
      ...step,
      state: { ...step.state, look: step.state.look && { ...step.state.look, at: null } },
    })),
    deeds: ['crash', 'vanish', 'hang', 'pause'],
  },
  {
    rule: 'rule-7',
    title: 'after the fence the plan gives up',
    seams: () => ({
      planFailover: (real, configuration, facts, request) =>
        request.fencedNode === null
          ? real(configuration, facts, request)
          : { action: 'refuse', reason: 'primary-unknown', line: 'nobody knows who was the primary' },
    }),
    deeds: ['hang', 'recover', 'orphan'],
  },
  {
    rule: 'rule-8',
    title: 'what was stopped alive is forgotten',
    subject: {
      failover: async (ground, input) => {
        const end = await product.failover(ground, input);
        return { ...end, memory: { ...end.memory, fencedOnReturn: emptyMemory.fencedOnReturn } };
      },
    },
    deeds: ['hang', 'recover', 'orphan'],
    topology: withPolicy({ ...quick, rejoin: 'automatic' }),
  },
  {
    rule: 'rule-8',
    title: 'no follow may start a stopped node',
    seams: () => ({
      planFollow: (real, configuration, facts, request) =>
        real(configuration, facts, { ...request, isStartAllowed: false }),
    }),
    deeds: ['hang', 'recover', 'orphan'],
    topology: withPolicy({ ...quick, rejoin: 'automatic' }),
  },
  {
    rule: 'rule-8',
    title: 'every follow may start a stopped node',
    seams: () => ({
      planFollow: (real, configuration, facts, request) =>
        real(configuration, facts, { ...request, isStartAllowed: true }),
    }),
    deeds: ['stop', 'crash', 'falseFollow'],
  },
  {
    rule: 'rule-9',
    title: 'E13, E16: what pgpool shows is not looked at',
    subject: changeVerb('confirmPrimary', () => Promise.resolve({ changed: false, line: 'not looked' })),
    deeds: ['promoteView', 'detach', 'flap', 'restart'],
  },
  {
    rule: 'rule-9',
    title: 'a primary that pgpool has given up is not attached',
    subject: changeVerb('confirmPrimary', async (body, { pgpool, primary }, sim) => {
      const own = sim.world.pgpools.find(({ name }) => name === pgpool)!;
      return own.status[primary] === 'down' ? { changed: false, line: 'it is down' } : await body();
    }),
    deeds: ['detach', 'flap', 'hang', 'thaw'],
  },
  {
    rule: 'rule-9',
    title: 'only the first pgpool is made to show the primary',
    subject: changeVerb('confirmPrimary', async (body, { pgpool }) =>
      pgpool === 'pgpool0' ? await body() : { changed: false, line: 'not asked' },
    ),
    deeds: ['promoteView', 'detach', 'flap', 'restart'],
  },
  {
    rule: 'rule-10',
    title: 'a pause is not asked for',
    seams: () => ({ pauseInstead: () => null }),
    deeds: ['pause', 'crash', 'hang', 'maintain'],
  },
  {
    rule: 'rule-10',
    title: 'follows do not know of a maintenance',
    seams: () => ({
      planFollow: (real, configuration, facts, request) => real(configuration, { ...facts, maintenance: [] }, request),
    }),
    deeds: ['maintain', 'crash', 'rejoin', 'hang', 'stop'],
  },
  {
    rule: 'rule-10',
    title: 'a standby in maintenance is promoted',
    seams: () => ({
      chooseCandidate: (real, configuration, facts, request) =>
        real(configuration, { ...facts, maintenance: [] }, request),
    }),
    deeds: ['maintain', 'maintain', 'crash', 'crash'],
  },
  {
    rule: 'rule-10',
    title: 'E43: a standby that somebody has detached is attached at once',
    subject: changePage((step) => ({
      ...step,
      moves: step.moves.map((move) => (move.do === 'follow' ? { ...move, isDetached: false } : move)),
    })),
    deeds: ['detach'],
    topology: withPolicy({ reattachMs: 60_000 }),
  },
  {
    rule: 'liveness',
    title: 'a refused event is dropped',
    subject: changePage((step) => ({
      ...step,
      state: { ...step.state, undecided: [], look: null },
      moves: step.moves.filter((move) => move.do !== 'ask'),
    })),
    deeds: ['crash', 'vanish', 'hang'],
  },
  {
    rule: 'liveness',
    title: 'a follow ends well before it has done anything',
    subject: {
      follow: (_, { node }) =>
        Promise.resolve({ node, rung: 'none', outcome: 'completed', reason: 'already-following', line: 'well' }),
    },
    deeds: ['crash', 'hang', 'cut', 'mend'],
  },
  {
    rule: 'liveness',
    title: 'a primary that works again is not seen',
    seams: () => ({
      planFailover: (real, configuration, facts, request) => {
        const plan = real(configuration, facts, request);
        return plan.action === 'keep' ? { action: 'refuse', reason: 'no-candidate', line: 'nobody is ready' } : plan;
      },
    }),
    deeds: ['restart', 'flap', 'hang', 'thaw'],
  },
  {
    rule: 'level',
    title: 'the synchronous set is said to be written, and is not',
    subject: changeVerb('setSynchronousStandbys', () => Promise.resolve({ changed: false, line: 'as it should be' })),
    deeds: ['setNames', 'crash', 'start'],
    topology: withPolicy({ synchronous: { standbys: 1, whenNone: 'degrade' } }, { isSynchronous: true }),
  },
  {
    rule: 'level',
    title: 'a standby is said to be attached, and is not',
    subject: changeVerb('attach', () => Promise.resolve({ changed: true, line: 'attached' })),
    deeds: ['detach', 'detach', 'rejoin'],
    topology: withPolicy({ ...quick, reattachMs: 0 }),
  },
];
