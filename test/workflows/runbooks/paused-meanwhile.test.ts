// Rule 10: a pause that begins while a decision runs stands. A candidate that was told and has not come out of recovery is not stopped for one that nobody may promote.

import { startMaintenance } from '../../../domain/facts/maintenance';
import { emptyMemory } from '../../../domain/plans/failover-memory';
import { openDryGround } from '../../../workflows/runbooks/dry-ground';
import { failover } from '../../../workflows/runbooks/failover';
import { StepFailed } from '../../../workflows/runbooks/ground';
import { makeConfiguration, makeFacts, pgpoolSees, receivesNothing, stopped } from '../../domain/builders';

const now = Date.parse('2026-01-01T00:00:00.000Z');
const pause = { node: null, operator: 'ann@db', reason: 'a test', since: new Date(now).toISOString(), until: null };

test.each([
  ['without a pause it is stopped', false, 'promotion-unproven'],
  ['during a pause it is left as it is', true, 'paused'],
])('told, not out of recovery, and another standby is ready: %s', async (_, isPaused, reason) => {
  const facts = makeFacts({
    nodes: { 0: stopped, 1: receivesNothing, 2: receivesNothing },
    pgpools: [pgpoolSees(null, { 0: 'down' })],
  });
  const configuration = makeConfiguration();
  const world = { observation: { configuration, facts }, told: [], plan: '', now };
  const ground = openDryGround(world);
  const stops: number[] = [];
  const act = {
    ...ground.act,
    fence: async (...args: Parameters<typeof ground.act.fence>) => {
      stops.push(args[0].node);
      return await ground.act.fence(...args);
    },
    promote: () => {
      const maintenance = isPaused ? startMaintenance([], pause) : [];
      world.observation = { configuration, facts: { ...world.observation.facts, maintenance } };
      const details = { isTold: true, holdUp: null };
      return Promise.reject(new StepFailed('promote', 'Unproven', 'not out of recovery', details, false));
    },
  };
  const hints = { failedNode: 0, oldPrimary: 0, rejoin: null, receivedAt: now };
  const end = await failover(
    { ...ground, act },
    { cluster: 'shop', ...hints, memory: { ...emptyMemory, isPrimaryReported: true } },
  );
  expect('result' in end && end.result.verdict.reason).toBe(reason);
  expect(stops.includes(1)).toBe(!isPaused);
});
