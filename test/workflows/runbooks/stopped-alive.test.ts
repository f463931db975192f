// Rule 8: what was alive when a failover stopped it is ours to bring back; what was dead is its owner's.

import { emptyMemory } from '../../../domain/plans/failover-memory';
import { openDryGround } from '../../../workflows/runbooks/dry-ground';
import { failover } from '../../../workflows/runbooks/failover';
import {
  type Differences,
  frozen,
  makeConfiguration,
  makeFacts,
  pgpoolSees,
  receivesNothing,
  stopped,
} from '../../domain/builders';

const now = Date.parse('2026-01-01T00:00:00.000Z');

async function stoppedBy(nodes: NonNullable<Differences['nodes']>): Promise<readonly number[]> {
  const facts = makeFacts({
    nodes: { 1: receivesNothing, 2: receivesNothing, ...nodes },
    pgpools: [pgpoolSees(null, { 0: 'down' })],
  });
  const ground = openDryGround({ observation: { configuration: makeConfiguration(), facts }, told: [], plan: '', now });
  const hints = { failedNode: 0, oldPrimary: 0, rejoin: null, receivedAt: now };
  const end = await failover(ground, {
    cluster: 'shop',
    ...hints,
    memory: { ...emptyMemory, isPrimaryReported: true },
  });
  expect('result' in end && end.result.verdict.reason).toBe('promoted');
  return end.memory.fencedOnReturn;
}

test('a hung primary that was fenced is remembered', async () => {
  expect(await stoppedBy({ 0: frozen })).toEqual([0]);
});

test('backends without their postmaster are alive', async () => {
  expect(await stoppedBy({ 0: { ...stopped, host: { processes: 'orphans' } } })).toEqual([0]);
});

test('a primary that has crashed is not ours to start', async () => {
  expect(await stoppedBy({ 0: stopped })).toEqual([]);
});
