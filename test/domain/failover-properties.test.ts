// What planFailover and chooseCandidate never do, whatever was measured.

import fc from 'fast-check';
import { chooseCandidate } from '../../domain/candidate';
import { getNode } from '../../domain/cluster';
import { planFailover, type FailoverPlan } from '../../domain/failover-plan';
import { planFollow } from '../../domain/follow-plan';
import { comparePosition } from '../../domain/wal';
import { answeringStandbys, factsOf, writableNodes } from '../../domain/witness';
import { situations, type Situation } from './arbitraries';

type Promotion = Extract<FailoverPlan, { action: 'promote' }>;

const runs = { numRuns: 1500 };

function plan({ configuration, facts, request }: Situation): FailoverPlan {
  return planFailover(configuration, facts, request);
}

function checkPromotions(check: (promotion: Promotion, situation: Situation) => void, isBeforeFence = false): void {
  let promotions = 0;
  const property = fc.property(situations, (situation) => {
    const result = plan(situation);
    if (result.action !== 'promote' || (isBeforeFence && situation.request.fencedNode !== null)) return;
    promotions += 1;
    check(result, situation);
  });
  fc.assert(property, runs);
  // A property about promotions proves nothing where none happen.
  expect(promotions).toBeGreaterThan(20);
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
    const refusals = ['node-not-configured', 'diverged-branches', 'other-system'];
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

test('the candidate is the greatest in (timeline, LSN) among those that may be promoted', () => {
  checkPromotions(({ candidate, formerPrimary }, { configuration, facts, request }) => {
    const chosen = factsOf(facts, candidate)!;
    const rivals = facts.nodes.filter(
      (entry) =>
        entry.sql === 'answered' &&
        entry.isInRecovery === true &&
        entry.position !== null &&
        entry.systemIdentifier === chosen.systemIdentifier &&
        entry.node !== formerPrimary &&
        !request.excluded.includes(entry.node) &&
        getNode(configuration, entry.node).priority > 0,
    );
    for (const rival of rivals) expect(comparePosition(rival.position!, chosen.position!)).toBeLessThanOrEqual(0);
  });
});

test('no answering standby of this cluster is left on a branch that the candidate does not continue', () => {
  checkPromotions(({ candidate, formerPrimary }, { facts }) => {
    const chosen = factsOf(facts, candidate)!;
    const lines = [chosen.position!.timeline, ...chosen.history.map((end) => end.timeline)];
    for (const entry of facts.nodes) {
      const isOurs = entry.systemIdentifier === chosen.systemIdentifier && entry.node !== formerPrimary;
      if (isOurs && entry.isInRecovery === true && entry.sql === 'answered' && entry.position)
        expect(lines).toContain(entry.position.timeline);
    }
  });
});

test('nobody is promoted past a node that runs without standby.signal and is not the one to be fenced', () => {
  checkPromotions(({ formerPrimary }, { facts }) => {
    const running = facts.nodes.filter(
      ({ sql, host }) =>
        sql !== 'answered' &&
        host?.hasStandbySignal === false &&
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
    if (result.rung === 'refuse') return;
    const [own, source] = [factsOf(facts, follower)!, factsOf(facts, primary)!];
    expect(source).toMatchObject({ sql: 'answered', isInRecovery: false });
    if (own.sql === 'answered') {
      expect(result.rung).not.toBe('start');
      expect(own).toMatchObject({ isInRecovery: true, systemIdentifier: source.systemIdentifier });
      expect(own.position!.timeline).toBeLessThanOrEqual(source.position!.timeline);
    } else {
      expect(['start', 'rebuild']).toContain(result.rung);
      expect(flag.isStartAllowed).toBe(true);
      expect(own).toMatchObject({ sql: 'refused', host: { ssh: 'answered' } });
      expect(['none', 'unknown']).toContain(own.host!.processes);
    }
  });
  fc.assert(property, { numRuns: 4000 });
  for (const rung of ['repoint', 'rebuild']) expect(rungs.get(rung)).toBeGreaterThan(20);
});
