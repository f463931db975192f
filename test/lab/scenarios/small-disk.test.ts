// The old primary's disk holds one copy of its data and not two: nothing is touched until a person allows the article's own order.

import { execFileSync } from 'node:child_process';
import { mkdirSync, rmdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { getNode } from '../../../domain/facts/cluster';
import {
  allowOnlyRebuild,
  decide,
  expectFollowing,
  expectNothingLeft,
  expectOneWritable,
  expectPgpoolUntouched,
  expectPgpoolUses,
  expectServed,
  fingerprintData,
  readResults,
  readRows,
  rejoin,
  setPolicy,
  thirdOf,
  type Scenario,
  untilParked,
  untilPromoted,
  useScenario,
} from './support';

if (process.getuid?.() === 0) {
  const scenario = useScenario('small-disk');

  test('a disk too small for two copies parks the rebuild untouched; with removeFirst it is done by the article’s order', async () => {
    const { lab } = scenario();
    const { dataDirectory } = getNode(lab.configuration, 0);
    await lab.stopImmediate(0);
    const primary = await untilPromoted(scenario(), 0);
    await allowOnlyRebuild(scenario(), 0, primary);
    const removeDisk = putOnSmallDisk(scenario(), 0);
    try {
      const before = fingerprintData(scenario(), 0);
      const rejoined = rejoin(scenario(), 0);
      const { problem } = await untilParked(scenario(), 'node0.plan-rebuild');
      expect(problem).toMatch(
        /^rebuild-needs-removeFirst: node 0: the copy needs [0-9.]+ MB on the filesystem of \S+, which has [0-9.]+ MB: /,
      );
      expect(problem).toContain(`filesystem of ${dataDirectory}, `);
      expect(fingerprintData(scenario(), 0)).toEqual(before);

      setPolicy(scenario(), { replacedData: 'removeFirst' });
      expect(await decide(scenario(), 'node0.plan-rebuild', 'retry')).toMatchObject({ exitCode: 0 });
      const { out, progress } = await rejoined;
      expect(`${progress}${out}`).toContain('completed (rebuilt)');
      expect(await readResults(scenario(), 0, 'removeData')).toEqual([
        { changed: true, line: `node 0: its data is removed, ${dataDirectory} empty` },
      ]);
      await expectFollowing(scenario(), 0, primary);
      await expectPgpoolUses(scenario(), primary, [0, thirdOf(0, primary)]);
      await expectServed(scenario());
      await expectOneWritable(scenario(), primary);
      expect(await readRows(scenario(), 0, 'show cluster_name')).toEqual([{ cluster_name: 'node0' }]);
      await expectNothingLeft(scenario(), 0);
      expectPgpoolUntouched(scenario());
      expect(statSync(dataDirectory).dev).toBe(statSync(dirname(dataDirectory)).dev);
    } finally {
      await removeDisk();
    }
  });
} else {
  // skipped: mounting a small disk needs root
  test.todo('a disk too small for two copies (mounting one needs root: run npm test as root once)');
}

/**
 * Moves the stopped node's whole directory to a disk of its own, at the same path. The answer kills the node and
 * removes the disk.
 */
function putOnSmallDisk({ lab }: Scenario, node: number): () => Promise<void> {
  const { dataDirectory } = getNode(lab.configuration, node);
  const directory = dirname(dataDirectory);
  const usedKilobytes = Number(execFileSync('du', ['-sk', dataDirectory], { encoding: 'utf8' }).split('\t')[0]);
  const disk = join(lab.directory, 'small-disk');
  mkdirSync(disk);
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${Math.round(usedKilobytes * 1.8)}k`, 'tmpfs', disk]);
  try {
    execFileSync('cp', ['-a', `${directory}/.`, disk]);
    execFileSync('mount', ['--bind', disk, directory]);
  } finally {
    unmount(disk);
    rmdirSync(disk);
  }
  return async () => {
    try {
      // Kill the node's processes first: without the disk they could not be found.
      await lab.killHost(node);
    } finally {
      unmount(directory);
    }
  };
}

/** Unmounts the disk; a process that still uses it keeps it until that process ends. */
function unmount(path: string): void {
  execFileSync('umount', ['--lazy', path]);
}
