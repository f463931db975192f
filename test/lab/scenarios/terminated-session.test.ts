// A person ends one session with pg_terminate_backend: that is no failure of a node, and no other session notices.

import { Client } from 'pg';
import { incidentWorkflowId } from '../../../domain/facts/names';
import { expectPgpoolUses, expectServed, outageMs, pgpoolLog, readRows, until, useScenario } from './support';

const scenario = useScenario('terminated-session');

/** A session of its own through pgpool, idle, on the primary: pgpool sends reads elsewhere. */
async function openSession(): Promise<{ pid: number; untilEnded: () => Promise<void> }> {
  const client = new Client(scenario().lab.connection('pgpool'));
  let isEnded = false;
  for (const event of ['error', 'end'] as const) client.on(event, () => (isEnded = true));
  await client.connect();
  const { rows } = await client.query<{ pid: number }>('/*NO LOAD BALANCE*/ select pg_backend_pid() as pid');
  return { pid: rows[0]!.pid, untilEnded: () => until('the session ends', () => Promise.resolve(isEnded), 15_000) };
}

test('one session ends, asked for on the node or through pgpool; no failover, no incident, no other session with an error', async () => {
  const { lab, workload, temporal } = scenario();
  const since = performance.now();
  const before = [...workload.journal.errors];

  const first = await openSession();
  await readRows(scenario(), 0, `select pg_terminate_backend(${first.pid})`);
  await first.untilEnded();
  const second = await openSession();
  const other = new Client(lab.connection('pgpool'));
  await other.connect();
  await other.query(`/*NO LOAD BALANCE*/ select pg_terminate_backend(${second.pid})`);
  await other.end();
  await second.untilEnded();

  await expectServed(scenario());
  await expectPgpoolUses(scenario(), 0, [1, 2]);
  expect([...workload.journal.errors]).toEqual(before);
  expect(outageMs(scenario(), since)).toBeLessThan(1000);
  expect(pgpoolLog(scenario())).not.toMatch(/failover_command|starting degeneration|pgpool-runbook: (promoted|kept)/);
  const incident = temporal.workflow.getHandle(incidentWorkflowId(lab.configuration.cluster));
  await expect(incident.describe()).rejects.toThrow(/not found/);
});
