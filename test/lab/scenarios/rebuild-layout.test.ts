// The old primary differs from the other nodes: settings and access rules of its own, a linked pg_wal, its own place for a tablespace.
// A rebuild keeps all of that, and brings back nothing of the replication of the past.

import {
  appendFileSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { parseConninfo } from '../../../domain/texts/conninfo';
import { getNode } from '../../../domain/facts/cluster';
import { makeDirectoryFor, writeFor } from '../../../lab/files';
import { findSystemUser } from '../../../lab/layout';
import { labVariable, runOrFail } from '../../../lab/processes';
import {
  allowOnlyRebuild,
  expectFollowing,
  expectNothingLeft,
  expectOneWritable,
  expectPgpoolUntouched,
  expectPgpoolUses,
  expectServed,
  readRows,
  rejoin,
  thirdOf,
  until,
  untilPromoted,
  useScenario,
} from './support';

const scenario = useScenario('rebuild-layout');
const user = findSystemUser();
const key = 'not a key, but as secret as one\n';
const accessRule = 'host reporting all 10.11.12.0/24 scram-sha-256 # of node 0 only\n';
let primary = 0;

const dataOf = (node: number): string => getNode(scenario().lab.configuration, node).dataDirectory;
const besideDataOf = (node: number, name: string): string => join(dirname(dataOf(node)), name);

beforeAll(async () => {
  const { lab } = scenario();
  // Stop pgpool, so that it does not take the preparations for a failure.
  await lab.stopPgpool();
  await giveEachNodeItsOwnTablespace();
  await lab.stopImmediate(0);
  renameSync(join(dataOf(0), 'pg_wal'), besideDataOf(0, 'wal'));
  symlinkSync(besideDataOf(0, 'wal'), join(dataOf(0), 'pg_wal'));
  giveNode0ItsOwnSettings();
  await lab.start(0);
  const past = 'host=192.0.2.1 port=1 connect_timeout=7';
  for (const assignment of [`work_mem = '7MB'`, `primary_conninfo = '${past}'`, `primary_slot_name = 'of_node_0'`])
    await readRows(scenario(), 0, `alter system set ${assignment}`);
  for (const node of [1, 2]) await expectFollowing(scenario(), node, 0);
  await lab.startPgpool();
  await expectServed(scenario());

  await lab.stopImmediate(0);
  primary = await untilPromoted(scenario(), 0);
  await allowOnlyRebuild(scenario(), 0, primary);
  const { out, progress } = await rejoin(scenario(), 0);
  expect(`${progress}${out}`).toContain('completed (rebuilt)');
}, 240_000);

test('the node streams from the new primary, and pgpool uses it', async () => {
  await expectFollowing(scenario(), 0, primary);
  await expectPgpoolUses(scenario(), primary, [0, thirdOf(0, primary)]);
  await expectServed(scenario());
  await expectOneWritable(scenario(), primary);
  await expectNothingLeft(scenario(), 0, ['of_node_0']);
  expectPgpoolUntouched(scenario());
});

test('its own settings, access rules and key are in force, and none of them is the primary’s', async () => {
  const { port } = getNode(scenario().lab.configuration, 0);
  const names = ['cluster_name', 'work_mem', 'maintenance_work_mem', 'log_min_duration_statement', 'port'];
  const text = `select ${names.map((name) => `current_setting('${name}') as ${name}`).join(', ')}`;
  expect(await readRows(scenario(), 0, text)).toEqual([
    {
      cluster_name: 'node0',
      work_mem: '7MB',
      maintenance_work_mem: '77MB',
      log_min_duration_statement: '7777ms',
      port: String(port),
    },
  ]);
  expect(await readRows(scenario(), primary, text)).toEqual([
    {
      cluster_name: `node${primary}`,
      work_mem: '4MB',
      maintenance_work_mem: '64MB',
      log_min_duration_statement: '-1',
      port: String(port),
    },
  ]);
  const rules = `select address from pg_hba_file_rules where database = '{reporting}'`;
  expect(await readRows(scenario(), 0, rules)).toEqual([{ address: '10.11.12.0' }]);
  expect(await readRows(scenario(), primary, rules)).toEqual([]);
  expect(readFileSync(join(dataOf(0), 'pg_hba.conf'), 'utf8')).toContain(accessRule);
  const { mode, uid } = statSync(join(dataOf(0), 'server.key'));
  expect({ mode: mode & 0o7777, uid }).toEqual({ mode: 0o600, uid: user.uid });
  expect(readFileSync(join(dataOf(0), 'server.key'), 'utf8')).toBe(key);
});

test('its replication settings are the new ones', async () => {
  const { host, port } = getNode(scenario().lab.configuration, primary);
  const [row] = await readRows<{ conninfo: string; slot: string }>(
    scenario(),
    0,
    `select current_setting('primary_conninfo') as conninfo, current_setting('primary_slot_name') as slot`,
  );
  expect(Object.fromEntries(parseConninfo(row!.conninfo)!)).toMatchObject({
    host,
    port: String(port),
    user: 'replicator',
    application_name: 'node0',
    // The node keeps its own connection options, except the server to follow.
    connect_timeout: '7',
  });
  // The node keeps its own slot name: the slot is made on the primary.
  expect(row!.slot).toBe('of_node_0');
  const slots = 'select slot_name::text, active from pg_replication_slots';
  expect(await readRows(scenario(), primary, slots)).toEqual([{ slot_name: 'of_node_0', active: true }]);
  expect(readFileSync(join(dataOf(0), 'postgresql.auto.conf'), 'utf8')).not.toContain('192.0.2.1');
});

test('pg_wal is a link to its place again, and the tablespace lies in its own directory, with all rows', async () => {
  expect(readlinkSync(join(dataOf(0), 'pg_wal'))).toBe(besideDataOf(0, 'wal'));
  expect(readdirSync(besideDataOf(0, 'wal'))).toContainEqual(expect.stringMatching(/^00000002[0-9A-F]{16}$/));

  await readRows(scenario(), primary, 'insert into far_rows values (1001)');
  const count = `select count(*)::int as rows, pg_relation_filepath('far_rows') as path from far_rows`;
  await until('the new row has come', async () => (await readRows<Far>(scenario(), 0, count))[0]!.rows === 1001);
  for (const node of [0, 1, 2]) {
    const [{ path }] = (await readRows<Far>(scenario(), node, count)) as [Far];
    expect(realpathSync(join(dataOf(node), path))).toContain(`${besideDataOf(node, 'far')}/PG_`);
  }
});

test('what was replaced lies beside each directory, as one whole', () => {
  const asides = readdirSync(dirname(dataOf(0))).filter((name) => name.includes('.replaced-'));
  const [id = ''] = asides.map((name) => name.split('.replaced-')[1]!);
  expect(asides.sort()).toEqual([`data.replaced-${id}`, `far.replaced-${id}`, `wal.replaced-${id}`]);
  const old = besideDataOf(0, `data.replaced-${id}`);
  expect(readlinkSync(join(old, 'pg_wal'))).toBe(besideDataOf(0, `wal.replaced-${id}`));
  const links = readdirSync(join(old, 'pg_tblspc')).map((name) => readlinkSync(join(old, 'pg_tblspc', name)));
  expect(links).toEqual([besideDataOf(0, `far.replaced-${id}`)]);
});

interface Far {
  rows: number;
  path: string;
}

/**
 * All nodes of the lab share one file system, where a standby would use the primary's directory, so they are cloned
 * anew.
 */
async function giveEachNodeItsOwnTablespace(): Promise<void> {
  const { lab } = scenario();
  await Promise.all([1, 2].map((node) => lab.stopImmediate(node)));
  for (const node of [0, 1, 2]) makeDirectoryFor(user, besideDataOf(node, 'far'), 0o700);
  await readRows(scenario(), 0, `create tablespace far location '${besideDataOf(0, 'far')}'`);
  await readRows(scenario(), 0, 'create table far_rows (id int) tablespace far');
  await readRows(scenario(), 0, 'insert into far_rows select generate_series(1, 1000)');
  await Promise.all([1, 2].map(clone));
}

async function clone(node: number): Promise<void> {
  const { lab } = scenario();
  const { host, port } = getNode(lab.configuration, 0);
  const settings = readFileSync(join(dataOf(node), 'postgresql.conf'), 'utf8');
  rmSync(dataOf(node), { recursive: true });
  const source = `host=${host} port=${port} user=replicator application_name=node${node} passfile=${lab.passFile}`;
  const argv = ['-D', dataOf(node), '-d', source, '-R', '-c', 'fast', '-X', 'stream', '--no-sync', '-w'];
  argv.push('-T', `${besideDataOf(0, 'far')}=${besideDataOf(node, 'far')}`);
  await runOrFail(join(lab.configuration.postgres.bin, 'pg_basebackup'), argv, {
    user,
    environment: { [labVariable]: dirname(dataOf(node)) },
  });
  writeFor(user, join(dataOf(node), 'postgresql.conf'), settings);
  await lab.start(node);
}

function giveNode0ItsOwnSettings(): void {
  const data = dataOf(0);
  appendFileSync(join(data, 'postgresql.conf'), `maintenance_work_mem = 77MB\ninclude_dir 'conf.d'\n`);
  makeDirectoryFor(user, join(data, 'conf.d'), 0o700);
  writeFor(user, join(data, 'conf.d', 'local.conf'), 'log_min_duration_statement = 7777\n');
  appendFileSync(join(data, 'pg_hba.conf'), accessRule);
  writeFor(user, join(data, 'server.key'), key);
}
