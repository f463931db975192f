// Results that planFailover and chooseCandidate never give, whatever was measured.

import fc from 'fast-check';
import { type Positioned, sortBranches } from '../../../domain/plans/branches';
import { chooseCandidate } from '../../../domain/plans/candidate';
import { getNode } from '../../../domain/facts/cluster';
import { planFailover } from '../../../domain/plans/failover';
import type { FailoverPlan } from '../../../domain/plans/failover-request';
import { planFollow } from '../../../domain/plans/follow';
import { describeCutOff } from '../../../domain/plans/reach';
import { findInsufficientSettings, isDelayed } from '../../../domain/plans/readiness';
import { isSuperseded } from '../../../domain/plans/suspect';
import { compareLsn, comparePosition } from '../../../domain/facts/wal';
import { answeringStandbys, factsOf, writableNodes } from '../../../domain/facts/facts';
import { situations, type Situation } from '../arbitraries';

type Promotion = Extract<FailoverPlan, { action: 'promote' }>;

const runs = { numRuns: 1500 };

/** The plan for a cluster that two seconds later is the same. */
function plan({ configuration, facts, request }: Situation): FailoverPlan {
  const first = planFailover(configuration, facts, request);
  const isLater = first.action === 'look-again' && first.afterMs > 0;
  return isLater ? planFailover(configuration, facts, { ...request, lasted: first.node }) : first;
}

function checkPromotions(
  check: (promotion: Promotion, situation: Situation) => void,
  isBeforeFence = false,
  least = 20,
): void {
  let promotions = 0;
  const property = fc.property(situations, (situation) => {
    const result = plan(situation);
    if (result.action !== 'promote' || (isBeforeFence && situation.request.fencedNode !== null)) return;
    promotions += 1;
    check(result, situation);
  });
  // More runs, because few situations allow a promotion before the fence.
  fc.assert(property, isBeforeFence ? { numRuns: 6 * runs.numRuns } : runs);
  // A property about promotions proves nothing where none happen.
  expect(promotions).toBeGreaterThan(least);
}

test('any facts give a plan with one readable line', () => {
  fc.assert(
    fc.property(situations, (situation) => {
      expect(plan(situation).line).toMatch(/^[^\n]+$/);
    }),
    runs,
  );
});

test('only a node that answered as a standby is promoted', () => {
  checkPromotions(({ candidate }, { facts }) => {
    expect(factsOf(facts, candidate)).toMatchObject({ sql: 'answered', isInRecovery: true });
  });
});

test('nobody is promoted while a node accepts writes', () => {
  checkPromotions((_, { facts }) => {
    expect(writableNodes(facts)).toEqual([]);
  });
});

test('while exactly one node accepts writes, it is kept, unless the event names an unknown node', () => {
  const property = fc.property(situations, (situation) => {
    const [living, ...others] = writableNodes(situation.facts);
    fc.pre(living !== undefined && others.length === 0);
    const result = plan(situation);
    // A former primary that started beside its successor's standbys, or a stranger, is not served; see the stories.
    const refusals = ['node-not-configured', 'diverged-branches', 'other-system', 'primary-unreachable'];
    if (result.action === 'refuse') expect(refusals).toContain(result.reason);
    else expect(result).toMatchObject({ action: 'keep', primary: living.node });
  });
  fc.assert(property, { numRuns: 400 });
});

test('the former primary, a fenced, an excluded node or one of priority 0 is never promoted', () => {
  checkPromotions(({ candidate, formerPrimary }, { configuration, request }) => {
    expect(candidate).not.toBe(formerPrimary);
    expect(candidate).not.toBe(request.fencedNode);
    expect(request.excluded).not.toContain(candidate);
    expect(getNode(configuration, candidate).priority).toBeGreaterThan(0);
  });
});

/** The standbys of the candidate's system and branch. */
function companionsOf(
  { candidate, formerPrimary }: Promotion,
  { configuration, facts, request }: Situation,
): Positioned[] {
  const { systemIdentifier } = factsOf(facts, candidate)!;
  const standbys = answeringStandbys(facts).filter(
    (entry): entry is Positioned =>
      entry.position !== null && entry.systemIdentifier === systemIdentifier && entry.node !== formerPrimary,
  );
  return [...sortBranches(configuration, facts, formerPrimary, standbys, request.opened).own];
}

test('the candidate is the greatest in (timeline, LSN) among those of its branch that may be promoted and can be at once', () => {
  checkPromotions((promotion, situation) => {
    const { configuration, facts, request } = situation;
    const chosen = factsOf(facts, promotion.candidate)!;
    const rivals = companionsOf(promotion, situation).filter(
      (entry) =>
        !request.excluded.includes(entry.node) &&
        !request.notTold.some(({ node }) => node === entry.node) &&
        !isDelayed(entry) &&
        findInsufficientSettings(entry) === null &&
        getNode(configuration, entry.node).priority > 0,
    );
    if (request.told.includes(promotion.candidate)) return;
    for (const rival of rivals) expect(comparePosition(rival.position, chosen.position!)).toBeLessThanOrEqual(0);
  });
});

test('nobody is promoted whose branch parted before WAL that another one of the primary’s timeline holds', () => {
  checkPromotions(({ candidate, formerPrimary, position }, { facts }) => {
    const former = factsOf(facts, formerPrimary ?? -1)?.host?.controlFile?.checkpoint;
    const fork = factsOf(facts, candidate)!.history.find((end) => end.timeline === former?.timeline)?.endLsn;
    if (former && fork && position.timeline !== former.timeline)
      expect(compareLsn(former.lsn, fork)).toBeLessThanOrEqual(0);
  });
});

test('nobody is promoted on silence alone while most hosts are silent', () => {
  checkPromotions(
    ({ state, needsFence, formerPrimary }, { configuration, facts }) => {
      if ((state !== 'unreachable' && state !== 'closed') || needsFence) return;
      expect(describeCutOff(configuration, facts, formerPrimary!)).toBeNull();
    },
    true,
    3,
  );
});

test('no answering standby of this branch is left on a timeline that the candidate does not continue', () => {
  checkPromotions((promotion, situation) => {
    const chosen = factsOf(situation.facts, promotion.candidate)!;
    const lines = [chosen.position!.timeline, ...chosen.history.map((end) => end.timeline)];
    for (const entry of companionsOf(promotion, situation)) expect(lines).toContain(entry.position.timeline);
  });
});

test('nobody is promoted past a node that runs without standby.signal, has not been replaced before, and is not the one to be fenced', () => {
  checkPromotions(({ formerPrimary }, { facts }) => {
    const running = facts.nodes.filter(
      ({ sql, host }) =>
        sql !== 'answered' &&
        host?.hasStandbySignal === false &&
        !isSuperseded(facts, host) &&
        (host.processes === 'running' || host.processes === 'orphans'),
    );
    if (running.length > 0) expect(running.map((entry) => entry.node)).toContain(formerPrimary);
  }, true);
});

test('before the fence, a node that answered anybody is not replaced', () => {
  checkPromotions(({ formerPrimary }, { facts }) => {
    const answers = facts.probes.filter((entry) => entry.about === formerPrimary).map((entry) => entry.answer);
    expect(answers).not.toContain('answered');
  }, true);
});

test('the choice does not depend on the order of the facts', () => {
  const property = fc.property(situations, ({ configuration, facts, request }) => {
    const choose = (nodes: typeof facts.nodes): object => {
      const choice = chooseCandidate(configuration, { ...facts, nodes }, { ...request, formerPrimary: 0 });
      return { ...choice, line: undefined };
    };
    const ordered = [...facts.nodes].sort((left, right) => left.node - right.node);
    expect(choose(facts.nodes)).toEqual(choose(ordered));
    expect(choose([...ordered].reverse())).toEqual(choose(ordered));
  });
  fc.assert(property, runs);
});

test('planFollow: any facts give a plan, and what may not be touched is not', () => {
  const rungs = new Map<string, number>();
  const node = fc.integer({ min: 0, max: 5 });
  const flags = fc.record({ isStartAllowed: fc.boolean(), hasLostWal: fc.boolean() });
  const property = fc.property(situations, node, node, flags, ({ configuration, facts }, some, other, flag) => {
    // Sensible numbers where there are any: plans of one refusal only would prove little.
    const primary = writableNodes(facts)[0]?.node ?? other;
    const stopped = facts.nodes.filter((entry) => entry.sql === 'refused' && entry.host?.processes === 'none');
    const follower = (flag.isStartAllowed ? stopped : answeringStandbys(facts))[0]?.node ?? some;
    const result = planFollow(configuration, facts, { node: follower, primary, ...flag });
    expect(result.line).toMatch(/^[^\n]+$/);
    rungs.set(result.rung, (rungs.get(result.rung) ?? 0) + 1);
    // These rungs change nothing.
    if (result.rung === 'refuse' || result.rung === 'wait' || result.rung === 'compare') return;
    const [own, source] = [factsOf(facts, follower)!, factsOf(facts, primary)!];
    expect(source).toMatchObject({ sql: 'answered', isInRecovery: false });
    if (own.sql === 'answered') {
      expect(result.rung).not.toBe('start');
      expect(own).toMatchObject({ isInRecovery: true, systemIdentifier: source.systemIdentifier });
      expect(own.position!.timeline).toBeLessThanOrEqual(source.position!.timeline);
    } else {
      expect(['start', 'rebuild']).toContain(result.rung);
      expect(flag.isStartAllowed).toBe(true);
      expect(['refused', 'silent']).toContain(own.sql);
      expect(own.host?.ssh).toBe('answered');
      expect(['none', 'unknown']).toContain(own.host!.processes);
    }
  });
  fc.assert(property, { numRuns: 4000 });
  for (const rung of ['repoint', 'rebuild']) expect(rungs.get(rung)).toBeGreaterThan(20);
});
