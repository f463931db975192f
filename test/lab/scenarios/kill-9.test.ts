// kill -9 of the postmaster alone: its port closes at once, but a busy backend goes on committing. That is not a fenced primary.

import { readHostFacts } from '../../../activities/io/host/host-facts';
import { pcp } from '../../../activities/io/pcp/pcp';
import { SqlConnections } from '../../../activities/io/sql/postgres';
import { SshConnections } from '../../../activities/io/ssh/ssh';
import { nothingRecorded } from '../../../domain/facts/record';
import { getNode } from '../../../domain/facts/cluster';
import {
  expectFollowing,
  expectHonestLoss,
  expectOneWritable,
  expectPgpoolUses,
  expectServed,
  finishedIncident,
  thirdOf,
  useScenario,
} from './support';

const scenario = useScenario('kill-9');

test('after kill -9 no process of the old primary is left, one node is writable and the other follows', async () => {
  const { lab } = scenario();
  await lab.killPostgres(0);
  const report = await finishedIncident(scenario());
  expect(report).toMatchObject({ outcome: 'completed', reason: 'promoted' });
  expect(report.line).toContain('node 0 fenced (confirmed)');
  const primary = report.primary!;
  const other = thirdOf(0, primary);
  const tools = {
    pcp,
    sql: new SqlConnections(),
    ssh: new SshConnections(),
    readConfiguration: () => lab.configuration,
    recall: () => Promise.resolve({ ...nothingRecorded, watch: null }),
    isIncidentOpen: () => Promise.resolve(false),
    conclude: () => Promise.resolve(),
    signalIncident: () => Promise.resolve(),
  };
  const host = await readHostFacts(tools, lab.configuration, getNode(lab.configuration, 0), 3000);
  await tools.ssh.close();
  expect(host).toMatchObject({ processes: 'none', hasStandbySignal: true });
  await expectOneWritable(scenario(), primary);
  await expectFollowing(scenario(), other, primary);
  await expectPgpoolUses(scenario(), primary, [other]);
  await expectServed(scenario());
  await expectHonestLoss(scenario(), primary, [other]);
});
