// The worker dies by SIGKILL in the middle of a rebuild's copy: the next one attaches to it again, and nothing is copied twice.

import { sendSignal } from '../../../lab/processes';
import { readProgress } from '../../../lab/progress';
import {
  allowOnlyRebuild,
  expectFollowing,
  expectHonestLoss,
  expectNothingLeft,
  expectPgpoolUntouched,
  expectPgpoolUses,
  expectServed,
  findCopies,
  finishedIncident,
  readResults,
  rejoin,
  setPolicy,
  thirdOf,
  until,
  untilPromoted,
  useScenario,
  verdictOf,
} from './support';

const scenario = useScenario('rebuild-worker');

async function untilShown(what: string, pattern: RegExp): Promise<void> {
  await until(what, async () => (await readProgress(scenario().lab)).some((line) => pattern.test(line)), 60_000);
}

test('a copy outlives its worker: the next one reads on, and the node streams from one single base backup', async () => {
  const { lab } = scenario();
  // Some 12 s of copying: what is shown is up to 3 s behind, and the copy is to be caught in its middle.
  setPolicy(scenario(), { baseBackup: { maximumRateKilobytes: 2048, compression: 'none' } });
  await lab.stopImmediate(0);
  const primary = await untilPromoted(scenario(), 0);
  await allowOnlyRebuild(scenario(), 0, primary);
  const rejoining = rejoin(scenario(), 0);
  await untilShown('the copy shows its progress', /^node 0: base backup [0-9]+ % [(].* of .*[)]$/);
  const copy = findCopies(scenario(), 0);
  // pg_basebackup and its child that reads the WAL, which ends as soon as all data is here.
  expect(copy).toHaveLength(2);
  // A dead worker is noticed after 15 s; the copy waits, so that it is only half done when the next worker takes it up.
  for (const record of copy) sendSignal(record, 'SIGSTOP');
  try {
    await lab.killWorker();
    await lab.startWorker();
    await untilShown('another worker has taken the copy up', /^node 0: base backup [0-9]+ % .*, attempt 2$/);
    expect(findCopies(scenario(), 0)).toEqual(copy);
  } finally {
    for (const record of copy) sendSignal(record, 'SIGCONT');
  }

  const said = await rejoining;
  expect(said).toMatchObject({ exitCode: 0, out: expect.stringMatching(/^completed [(]rebuilt[)]: /) as string });
  expect(said.progress).toMatch(/^node 0: base backup [0-9]+ % /m);
  const line = expect.stringMatching(/ is complete$/) as string;
  expect(await readResults(scenario(), 0, 'baseBackup')).toMatchObject([{ changed: true, line }]);
  const report = await finishedIncident(scenario());
  expect(verdictOf(report, 'rejoin')).toMatchObject({ outcome: 'completed', reason: 'rebuilt' });
  const other = thirdOf(0, primary);
  await expectFollowing(scenario(), 0, primary);
  await expectPgpoolUses(scenario(), primary, [0, other]);
  await expectNothingLeft(scenario(), 0);
  expectPgpoolUntouched(scenario());
  await expectServed(scenario());
  await expectHonestLoss(scenario(), primary, [0, other]);
});
