// Debian's layout: postgresql.conf and pg_hba.conf in a directory of the configuration, which names that of the data; service pg_ctl.
// A rebuild leaves the configuration alone, and its first start finds it.

import { appendFileSync, existsSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { getNode } from '../../../domain/facts/cluster';
import { makeDirectoryFor } from '../../../lab/files';
import { findSystemUser } from '../../../lab/layout';
import { labVariable, runOrFail } from '../../../lab/processes';
import {
  allowOnlyRebuild,
  expectFollowing,
  expectNothingLeft,
  expectOneWritable,
  expectPgpoolUses,
  expectServed,
  readRows,
  rejoin,
  thirdOf,
  untilPromoted,
  useScenario,
} from './support';

const scenario = useScenario('debian-layout');
const user = findSystemUser();

const dataOf = (node: number): string => getNode(scenario().lab.configuration, node).dataDirectory;
const confOf = (node: number): string => join(scenario().lab.directory, `etc${node}`, 'postgresql.conf');

/** Starts the node as pg_ctlcluster does, with the file on the command line. */
async function relocate(node: number): Promise<void> {
  const { lab } = scenario();
  await lab.stopImmediate(node);
  const directory = join(confOf(node), '..');
  makeDirectoryFor(user, directory);
  for (const name of ['postgresql.conf', 'pg_hba.conf', 'pg_ident.conf'])
    renameSync(join(dataOf(node), name), join(directory, name));
  const places = {
    data_directory: dataOf(node),
    hba_file: join(directory, 'pg_hba.conf'),
    ident_file: join(directory, 'pg_ident.conf'),
  };
  for (const [name, place] of Object.entries(places)) appendFileSync(confOf(node), `${name} = '${place}'\n`);
  const options = ['-o', `-c config_file=${confOf(node)}`, '-l', join(dataOf(node), '..', 'postgres.log')];
  await runOrFail(join(lab.configuration.postgres.bin, 'pg_ctl'), ['-D', dataOf(node), '-w', ...options, 'start'], {
    user,
    environment: { [labVariable]: join(dataOf(node), '..') },
  });
}

beforeAll(async () => {
  const { lab } = scenario();
  // Stop pgpool, so that it does not take the preparations for a failure.
  await lab.stopPgpool();
  for (const node of [0, 1, 2]) await relocate(node);
  for (const node of [1, 2]) await expectFollowing(scenario(), node, 0);
  await lab.startPgpool();
  await expectServed(scenario());
}, 120_000);

test('the old primary is rebuilt, starts with its own configuration, and follows', async () => {
  await scenario().lab.stopImmediate(0);
  const primary = await untilPromoted(scenario(), 0);
  await allowOnlyRebuild(scenario(), 0, primary);
  const { exitCode, out, progress } = await rejoin(scenario(), 0);
  expect([exitCode, `${progress}${out}`]).toEqual([0, expect.stringContaining('completed (rebuilt)')]);
  const other = thirdOf(0, primary);
  for (const node of [0, other]) await expectFollowing(scenario(), node, primary);
  expect(await readRows(scenario(), 0, 'show config_file')).toEqual([{ config_file: confOf(0) }]);
  expect(existsSync(join(dataOf(0), 'postgresql.conf'))).toBe(false);
  await expectPgpoolUses(scenario(), primary, [0, other]);
  await expectOneWritable(scenario(), primary);
  await expectNothingLeft(scenario(), 0);
  await expectServed(scenario());
}, 120_000);
