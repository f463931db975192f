// pgpool gives up a primary that works (here: detached by hand; in life: a network glitch). Promoting anybody would split the cluster.

import { PcpFailure, requestDetach } from '../../../activities/io/pcp/pcp';
import {
  expectOneWritable,
  expectPgpoolUses,
  expectServed,
  finishedIncident,
  until,
  useScenario,
  verdictOf,
} from './support';

const scenario = useScenario('detached');

test('a working primary that pgpool gave up is kept and attached again, and nobody is promoted', async () => {
  const { lab } = scenario();
  // PCP restarts now and then by itself, and then answers nothing; it rejects what it has done already.
  await until('node 0 is detached', () =>
    requestDetach(lab.configuration.pgpool[0]!, 0, { timeoutMs: 3000 }).then(
      () => true,
      (error: unknown) => {
        if (error instanceof PcpFailure && error.kind === 'rejected') return true;
        throw error;
      },
    ),
  );
  const report = await finishedIncident(scenario());
  expect(verdictOf(report, 'failover')).toMatchObject({ outcome: 'completed', reason: 'primary-kept' });
  await expectPgpoolUses(scenario(), 0, [1, 2]);
  await expectServed(scenario());
  await expectOneWritable(scenario(), 0);
  const { nodes } = await lab.report();
  expect(nodes.map((node) => node.timeline)).toEqual([1, 1, 1]);
});
