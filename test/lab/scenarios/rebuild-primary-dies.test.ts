// The primary dies while a node copies its data: the third node takes over, and the copy gives way to one from there.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { getNode } from '../../../domain/facts/cluster';
import { freshSuffix } from '../../../domain/facts/data-directory';
import { isRunning, sendSignal } from '../../../lab/processes';
import {
  allowOnlyRebuild,
  expectFollowing,
  expectHonestLoss,
  expectNothingLeft,
  expectOneWritable,
  expectPgpoolUntouched,
  expectPgpoolUses,
  expectServed,
  findCopies,
  finishedIncident,
  isMissed,
  readResults,
  rejoin,
  setPolicy,
  thirdOf,
  until,
  untilPromoted,
  useScenario,
  verdictOf,
} from './support';

const scenario = useScenario('rebuild-primary');

test('a copy from a primary that dies is ended, and the node is rebuilt from the next primary', async () => {
  const { lab } = scenario();
  const { dataDirectory } = getNode(lab.configuration, 0);
  setPolicy(scenario(), { baseBackup: { maximumRateKilobytes: 4096, compression: 'none' } });
  await lab.stopImmediate(0);
  const second = await untilPromoted(scenario(), 0);
  const third = thirdOf(0, second);
  await allowOnlyRebuild(scenario(), 0, second);
  const rejoining = rejoin(scenario(), 0);
  await until('the copy has begun', () =>
    Promise.resolve(existsSync(join(`${dataDirectory}${freshSuffix}`, 'backup_label'))),
  );
  const copy = findCopies(scenario(), 0);
  expect(copy).not.toEqual([]);
  // A stopped copy does not notice the end of its source: only the incident can end it.
  for (const record of copy) sendSignal(record, 'SIGSTOP');

  await lab.stopImmediate(second);
  expect(await untilPromoted(scenario(), second)).toBe(third);
  await until('the copy is ended', () => Promise.resolve(!copy.some(isRunning)));
  expect(await rejoining).toMatchObject({
    exitCode: 0,
    out: expect.stringMatching(/^completed [(]rebuilt[)]: /) as string,
  });
  // Only the second copy is complete; it contains nothing of the first one.
  const line = expect.stringMatching(`^node 0: base backup .* from node ${third} is complete$`) as string;
  expect(await readResults(scenario(), 0, 'baseBackup')).toMatchObject([{ changed: true, line }]);
  expect(readFileSync(join(dataDirectory, 'backup_label.old'), 'utf8')).toMatch(/^START TIMELINE: 3$/m);

  const report = await finishedIncident(scenario());
  expect(report.primary).toBe(third);
  expect(verdictOf(report, 'rejoin')).toMatchObject({ outcome: 'completed', reason: 'rebuilt' });
  await expectOneWritable(scenario(), third);
  await expectFollowing(scenario(), 0, third);
  await expectPgpoolUses(scenario(), third, [0]);
  await expectNothingLeft(scenario(), 0);
  expect(await isMissed(scenario(), second)).toBe(true);
  expectPgpoolUntouched(scenario());
  await expectServed(scenario());
  await expectHonestLoss(scenario(), third, [0]);
});
