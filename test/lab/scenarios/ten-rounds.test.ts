// Ten failovers and rejoins in a row: each primary stopped as the article does, each former primary rebuilt, and nothing piles up.

import { readdirSync, readFileSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { getNode } from '../../../domain/facts/cluster';
import { findProcesses } from '../../../lab/processes';
import { readState } from '../../../lab/state';
import {
  allowOnlyRebuild,
  expectFollowing,
  expectHonestLoss,
  expectNothingLeft,
  expectOneWritable,
  expectPgpoolUntouched,
  expectPgpoolUses,
  expectServed,
  rejoin,
  setPolicy,
  until,
  untilPromoted,
  useScenario,
} from './support';

const scenario = useScenario('ten-rounds');
const rounds = 10;

/** Programs of the lab that run all the time; anything else is on its way out, or was left behind. */
const lasting = new Set(['postgres', 'sshd', 'pgpool', 'temporal', 'node', 'MainThread']);

function strayPrograms(): string[] {
  const { lab } = scenario();
  const roots = Object.values(readState(lab.name)!.processes);
  return findProcesses(lab.directory, roots).flatMap(({ pid }) => {
    try {
      const program = readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
      return lasting.has(program) ? [] : [`${program} ${readFileSync(`/proc/${pid}/cmdline`, 'utf8')}`];
    } catch {
      return [];
    }
  });
}

test('ten rounds leave three nodes that stream, and no slot, process, job, copy or old data beyond policy', async () => {
  const { lab, temporal } = scenario();
  let primary = 0;
  for (let round = 1; round <= rounds; round += 1) {
    setPolicy(scenario(), { follow: ['repoint', 'rebuild'] });
    await lab.stopImmediate(primary);
    const next = await untilPromoted(scenario(), primary);
    await expectServed(scenario());
    await allowOnlyRebuild(scenario(), primary, next);
    const said = await rejoin(scenario(), primary);
    expect({ round, ...said }).toMatchObject({ round, exitCode: 0 });
    expect(said.out).toMatch(/^completed \(rebuilt\)/);
    await expectNothingLeft(scenario(), primary);
    primary = next;
  }
  const { cluster, nodes } = lab.configuration;
  const others = nodes.map(({ id }) => id).filter((id) => id !== primary);
  await expectOneWritable(scenario(), primary);
  for (const node of others) await expectFollowing(scenario(), node, primary);
  await expectPgpoolUses(scenario(), primary, others);
  await expectServed(scenario());
  const { nodes: seen } = await lab.report();
  expect(seen.map(({ timeline }) => timeline)).toEqual(nodes.map(() => rounds + 1));
  expectPgpoolUntouched(scenario());

  await until('every workflow has ended', async () => {
    const { count } = await temporal.workflow.count(
      `PgCluster="${cluster}" AND ExecutionStatus="Running" AND WorkflowType!="cluster"`,
    );
    return count === 0;
  });
  await until('nothing else runs', () => Promise.resolve(strayPrograms().length === 0));
  for (const { id } of nodes) {
    const { dataDirectory } = getNode(lab.configuration, id);
    const beside = readdirSync(dirname(dataDirectory)).filter((name) => name.startsWith(basename(dataDirectory)));
    expect(beside.length).toBeLessThanOrEqual(2);
    const sets = readdirSync(`${lab.configuration.paths.savedConfiguration}/${cluster}.node${id}`);
    expect(sets.filter((name) => !name.startsWith('diverged-wal-')).length).toBeLessThanOrEqual(5);
    expect(sets.filter((name) => name.startsWith('diverged-wal-')).length).toBeLessThanOrEqual(5);
  }
  expect(readdirSync(lab.configuration.paths.jobs).filter((name) => !/[.](?:lock|changed)$/.test(name))).toEqual([]);
  await expectHonestLoss(scenario(), primary, others);
}, 900_000);
