// Synchronous replication with whenNone: degrade: one standby left, then none, before and after a failover. Commits never hang for long.

import {
  expectFollowing,
  expectServed,
  finishedIncident,
  outageMs,
  readRows,
  runHook,
  setPolicy,
  thirdOf,
  until,
  untilPromoted,
  useScenario,
} from './support';

const scenario = useScenario('synchronous');

/** pgpool's detection of a dead standby, which ends its sessions, is part of it. */
const longestMs = 5000;

test('commits wait for those who confirm, and for nobody who does not', async () => {
  const { lab, workload } = scenario();
  setPolicy(scenario(), { synchronous: { standbys: 1, whenNone: 'degrade' } });
  await runHook(scenario(), 'follow', '1', '0', '0');
  await untilSet(0, 'ANY 1 ("node1", "node2")');

  let since = performance.now();
  await lab.killHost(2);
  await untilSet(0, 'ANY 1 ("node1")');
  await lab.killHost(1);
  await untilSet(0, '');
  await expectServed(scenario());
  expect(outageMs(scenario(), since)).toBeLessThan(longestMs);

  await lab.startHost(1);
  await lab.startHost(2);
  await untilSet(0, 'ANY 1 ("node1", "node2")');
  await finishedIncident(scenario());
  await workload.untilAcknowledged(30, 20_000);

  await lab.stopImmediate(0);
  const primary = await untilPromoted(scenario(), 0);
  const other = thirdOf(0, primary);
  await expectFollowing(scenario(), other, primary);
  await untilSet(primary, `ANY 1 ("node${other}")`);
  await finishedIncident(scenario());
  await expectServed(scenario());

  since = performance.now();
  await lab.killHost(other);
  await untilSet(primary, '');
  await expectServed(scenario());
  expect(outageMs(scenario(), since)).toBeLessThan(longestMs);
});

async function untilSet(node: number, value: string): Promise<void> {
  await until(
    `node ${node} has synchronous_standby_names '${value}'`,
    async () => {
      const [row] = await readRows<{ names: string }>(
        scenario(),
        node,
        `select current_setting('synchronous_standby_names') as names`,
      );
      return row?.names === value;
    },
    60_000,
  );
}
