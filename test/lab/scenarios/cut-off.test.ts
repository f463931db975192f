// The link between two sites breaks, and the worker is on the smaller side: it keeps still. A standby that was not there when the primary was lost
// is no candidate.

import {
  expectOneWritable,
  expectServed,
  finishedIncident,
  readRows,
  until,
  untilParked,
  useScenario,
} from './support';

const isRoot = process.getuid?.() === 0;

if (isRoot) {
  const scenario = useScenario('cut-off');

  test('two of three nodes are silent: nothing is promoted, and the primary is served again when the link is back', async () => {
    const { lab } = scenario();
    await lab.dropHost(1);
    await lab.dropHost(0);
    expect(await untilParked(scenario(), 'failover')).toMatchObject({
      problem: expect.stringContaining('the worker itself may be cut off') as string,
    });
    expect((await lab.report()).nodes[2]).toMatchObject({ isInRecovery: true });
    await lab.restoreHost(0);
    await lab.restoreHost(1);
    await expectServed(scenario(), 60_000);
    await expectOneWritable(scenario(), 0);
    await finishedIncident(scenario());
  });

  test('the only standby that is left was started after the primary’s death: nobody knows what it lacks', async () => {
    const { lab } = scenario();
    await lab.stopImmediate(2);
    await expectServed(scenario());
    await finishedIncident(scenario());
    await lab.stopImmediate(1);
    await readRows(scenario(), 0, 'create table only_on_node_0 (id int)');
    await lab.killPostgres(0);
    await untilParked(scenario(), 'failover');
    await lab.start(2);
    await until('the look says why', async () =>
      (await untilParked(scenario(), 'failover')).problem.includes('has received nothing since it was started'),
    );
    expect((await lab.report()).nodes[2]).toMatchObject({ isInRecovery: true });
    // Node 0 was not fenced for an impossible promotion, so it comes back as the primary.
    await lab.start(0);
    await expectServed(scenario(), 60_000);
    await expectOneWritable(scenario(), 0);
  });
} else {
  // skipped: dropping packets needs root
  test.todo('the cut-off side keeps still (needs root: run npm test as root once)');
}
