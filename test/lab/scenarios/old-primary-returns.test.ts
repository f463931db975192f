// The old primary starts again with acknowledged writes that no other node has: no standby follows it, nothing is lost
// silently, and it ends as a standby. A person is asked only if it was not proven to be stopped before its successor
// was promoted.

import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { getNode } from '../../../domain/facts/cluster';
import { readRecord, sendSignal } from '../../../lab/processes';
import { findLostIds } from '../../../lab/workload';
import type { IncidentReport } from '../../../workflows/messages';
import {
  bringBack,
  decide,
  expectFollowing,
  expectHonestLoss,
  expectNothingLeft,
  expectOneWritable,
  expectPgpoolUntouched,
  expectPgpoolUses,
  expectServed,
  finishedIncident,
  readRows,
  setPolicy,
  until,
  untilParked,
  untilPromoted,
  useScenario,
} from './support';

const scenario = useScenario('old-primary');
const aloneCount = 25;
let primary = 0;

function standbySignal(node: number): string | null {
  const file = join(getNode(scenario().lab.configuration, node).dataDirectory, 'standby.signal');
  return existsSync(file) ? readFileSync(file, 'utf8').trim() : null;
}

/** Cuts the standbys off, while clients' commits are still acknowledged. */
async function commitAlone(node: number): Promise<void> {
  const senders = await readRows<{ pid: number }>(scenario(), node, 'select pid from pg_stat_replication');
  expect(senders).toHaveLength(2);
  for (const { pid } of senders) sendSignal(readRecord(pid)!, 'SIGSTOP');
  await readRows(scenario(), node, 'create table alone (id int)');
  for (let id = 1; id < aloneCount; id++) await readRows(scenario(), node, `insert into alone values (${id})`);
}

/** The problem's line names the number of commits and where their WAL is; both are true. */
function expectSaved(line: string, lostCount: number): void {
  const [, timeline, fork, commits, directory] =
    /after the fork at [(]([0-9]+), ([0-9A-F/]+)[)]: ([0-9]+) commits, .*; saved in ([^;]+);/.exec(line) ?? [];
  expect(Number(commits)).toBeGreaterThanOrEqual(lostCount);
  const program = join(scenario().lab.configuration.postgres.bin, 'pg_waldump');
  // pg_waldump stops at the end of the WAL, and calls that an error.
  const { stdout } = spawnSync(program, ['-p', directory!, '-t', timeline!, '-s', fork!, '-r', 'Transaction'], {
    encoding: 'utf8',
  });
  expect(stdout.split('\n').filter((record) => record.includes('desc: COMMIT'))).toHaveLength(Number(commits));
}

async function expectBack(report: IncidentReport, node: number, rung: RegExp): Promise<void> {
  const own = report.follows.find((follow) => follow.node === node);
  expect(own).toMatchObject({ rung: expect.stringMatching(rung) as string, outcome: 'completed' });
  await expectOneWritable(scenario(), primary);
  await expectFollowing(scenario(), node, primary);
  await expectPgpoolUses(
    scenario(),
    primary,
    [0, 1, 2].filter((id) => id !== primary),
  );
  await expectNothingLeft(scenario(), node);
  for (const id of [0, 1, 2]) {
    expect(await readRows(scenario(), id, "select to_regclass('alone') as alone")).toEqual([{ alone: null }]);
  }
  expectPgpoolUntouched(scenario());
}

test('it comes up writable: fenced at once, its WAL saved, and replaced only when a person has said so', async () => {
  const { lab, workload } = scenario();
  await commitAlone(0);
  await lab.killHost(0);
  primary = await untilPromoted(scenario(), 0);
  await expectServed(scenario());
  expect(standbySignal(0)).toBeNull();
  await lab.startHost(0);
  const { problem } = await untilParked(scenario(), 'node0.diverged-writes');
  expect(standbySignal(0)).toBe('after-return');
  await expectOneWritable(scenario(), primary);
  const lost = await findLostIds(workload.journal, lab.connection(primary), 'scenario_writes');
  expectSaved(problem, lost.length + aloneCount);

  expect(await decide(scenario(), 'node0.diverged-writes', 'skip')).toMatchObject({ exitCode: 0 });
  await expectBack(await finishedIncident(scenario()), 0, /^rebuild$/);
});

test('with policy.divergedWrites: discard nobody is asked', async () => {
  const { lab } = scenario();
  // An unreachable primary is replaced so soon after the last promotion only if that is allowed.
  setPolicy(scenario(), { divergedWrites: 'discard', minimumIntervalMs: 1 });
  const former = primary;
  await commitAlone(former);
  await lab.killHost(former);
  primary = await untilPromoted(scenario(), former);
  const report = await bringBack(scenario(), former, () => lab.startHost(former));
  await expectBack(report, former, /^rebuild$/);
});

test('fenced with proof and started by a person, it comes up read-only; having diverged, it is rebuilt without a question', async () => {
  const { lab } = scenario();
  setPolicy(scenario(), { divergedWrites: 'park' });
  const former = primary;
  await commitAlone(former);
  await lab.stopImmediate(former);
  primary = await untilPromoted(scenario(), former);
  expect(standbySignal(former)).toBe('before-promotion');
  const report = await bringBack(scenario(), former, async () => {
    await lab.start(former);
    await expectOneWritable(scenario(), primary);
  });
  await expectBack(report, former, /^rebuild$/);
  await expectServed(scenario());
  await expectHonestLoss(
    scenario(),
    primary,
    [0, 1, 2].filter((id) => id !== primary),
  );
});

test('holding nothing of its own, it follows as it is', async () => {
  const { lab } = scenario();
  const former = primary;
  // A query may leave WAL that is not written yet and so is in no position (hint bits, with checksums).
  await readRows(scenario(), former, 'checkpoint');
  await until('every node holds the same WAL', async () => {
    const { nodes } = await lab.report();
    return new Set(nodes.map(({ lsn }) => lsn)).size === 1;
  });
  await lab.stopImmediate(former);
  primary = await untilPromoted(scenario(), former);
  const report = await bringBack(scenario(), former, () => lab.start(former));
  // The node may already have streamed from the right node before.
  await expectBack(report, former, /^(repoint|none)$/);
});
