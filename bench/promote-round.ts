// Measures the time until a standby accepts writes: from pgpool's call of the hook, and from a bare pg_promote on the
// same node.

import type { Bed } from './bed';
import { now } from './clock';
import { runFailoverRound } from './failover-round';
import { NodeWatch } from './node-watch';
import { ours } from './rivals';

const promoteMs = 20_000;

/** Milliseconds from the time that pgpool logs before it calls the hook. */
export async function runHookToWritableRound(bed: Bed): Promise<number> {
  const round = await runFailoverRound(bed, {
    ...{ side: ours, data: 'small', fault: 'stop-immediate', node: 0, windowMs: 4000 },
    watch: { until: 'writable', withinMs: promoteMs },
  });
  const { pgpool, writableAt } = round;
  if (pgpool.calledAt === null || writableAt === null) throw new Error('pgpool did not call the hook');
  return writableAt - pgpool.calledAt;
}

/** pg_promote on a standby whose primary was stopped, and a look every millisecond until it is out of recovery. */
export async function runBarePromoteRound(bed: Bed): Promise<number> {
  await bed.begin(ours, 'small');
  await bed.lab.stopPgpool();
  await bed.lab.stopImmediate(0);
  const watch = await NodeWatch.open(bed, [1], 1);
  const client = await bed.connect(1);
  try {
    const startedAt = now();
    await client.query('select pg_promote(false)');
    const { at } = await watch.untilWritable(AbortSignal.timeout(promoteMs));
    return at - startedAt;
  } finally {
    await client.end();
    await watch.close();
  }
}
