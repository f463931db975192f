// A person runs pcp_promote_node without -s on a healthy cluster: only pgpool's view changes, and every write would
// fail.

import { PcpFailure, requestPromote } from '../../../activities/io/pcp/pcp';
import {
  expectOneWritable,
  expectPgpoolUses,
  expectServed,
  finishedIncident,
  outageMs,
  until,
  useScenario,
} from './support';

const scenario = useScenario('false-view');

test('pgpool is led back to the primary, and nobody is promoted', async () => {
  const { lab } = scenario();
  const since = performance.now();
  await until('pgpool takes node 1 for the primary', () =>
    requestPromote(lab.configuration.pgpool[0]!, 1, { timeoutMs: 3000 }).then(
      () => true,
      (error: unknown) => {
        if (error instanceof PcpFailure && error.kind === 'rejected') return true;
        throw error;
      },
    ),
  );
  expect(await finishedIncident(scenario())).toMatchObject({ outcome: 'completed', primary: 0 });
  await expectPgpoolUses(scenario(), 0, [1, 2]);
  await expectServed(scenario());
  expect(outageMs(scenario(), since)).toBeLessThan(20_000);
  await expectOneWritable(scenario(), 0);
  const { nodes } = await lab.report();
  expect(nodes.map((node) => node.timeline)).toEqual([1, 1, 1]);
});
