// pgpool's %m is the lowest live node id. Here that node is behind: promoting it would throw acknowledged writes away.

import { Client } from 'pg';
import {
  expectFollowing,
  expectHonestLoss,
  expectOneWritable,
  expectServed,
  finishedIncident,
  until,
  useScenario,
} from './support';

const scenario = useScenario('behind');

test('the lowest standby is behind and is not chosen; it then follows the one that was', async () => {
  const { lab, workload } = scenario();
  const client = new Client(lab.connection(1));
  await client.connect();
  // Without a primary_conninfo a standby receives nothing more.
  await client.query(`alter system set primary_conninfo = ''`);
  await client.query('select pg_reload_conf()');
  await until('node 1 receives nothing', async () => {
    return (await client.query('select 1 from pg_stat_wal_receiver')).rowCount === 0;
  });
  await client.end();
  await workload.untilAcknowledged(200, 20_000);
  await lab.stopImmediate(0);
  const report = await finishedIncident(scenario());
  expect(report).toMatchObject({ outcome: 'completed', reason: 'promoted', primary: 2 });
  await expectOneWritable(scenario(), 2);
  await expectFollowing(scenario(), 1, 2);
  await expectServed(scenario());
  await expectHonestLoss(scenario(), 2, [1]);
});
