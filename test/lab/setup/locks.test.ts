// The check of the lock files: each with one entry taken out, on copies, with the real npm and the real Go.

import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { clone, createListener, load, useFolder, writeProgram } from './modules';

const { checkLocks } = load('locks.js');
const { findGo } = load('go.js');
const { wrapperModule } = load('versions.js');
const folder = useFolder();

const copy = (from: string, names: readonly string[]): void => {
  for (const name of names) copyFileSync(join(from, name), join(folder(), name));
};

/** Takes every line out that contains `text`, and fails if there is none. */
function takeOut(name: string, text: string): void {
  const lines = readFileSync(join(folder(), name), 'utf8').split('\n');
  const left = lines.filter((line) => !line.includes(text));
  expect(left.length).toBeLessThan(lines.length);
  writeFileSync(join(folder(), name), left.join('\n'));
}

const withoutGo = (): object => ({ environment: { ...process.env, PATH: join(folder(), 'bin') }, otherFolders: [] });

it('finds an entry that package-lock.json lacks', async () => {
  copy(clone, ['package.json', 'package-lock.json']);
  const lock = JSON.parse(readFileSync(join(folder(), 'package-lock.json'), 'utf8')) as {
    packages: Record<string, unknown>;
  };
  expect(lock.packages['node_modules/pg-types']).toBeDefined();
  delete lock.packages['node_modules/pg-types'];
  writeFileSync(join(folder(), 'package-lock.json'), JSON.stringify(lock));
  const problems = await checkLocks({ root: folder(), voice: createListener().voice, ...withoutGo() });
  expect(problems).toEqual([expect.stringMatching(/^package-lock\.json is incomplete; npm ci says:\n[\s\S]*pg-types/)]);
});

const hasGo = findGo(process.env, ['/usr/local/go/bin']).path !== undefined;
// skipped: needs a Go; where there is none `npm run check` leaves go.sum out, too, and says so
(hasGo ? it : it.skip)('finds a line that go.sum lacks, although everything may be cached', async () => {
  copy(wrapperModule, ['go.mod', 'go.sum']);
  takeOut('go.sum', 'github.com/BurntSushi/toml v1.5.0 h1:');
  const problems = await checkLocks({ root: clone, folder: folder(), voice: createListener().voice });
  expect(problems).toEqual([
    expect.stringMatching(/go\.sum in \S+ is incomplete for github\.com\/temporalio\/cli[\s\S]*BurntSushi\/toml/),
  ]);
});

it('says in one line that go.sum is not checked where there is no Go', async () => {
  const { voice, lines } = createListener();
  expect(await checkLocks({ root: clone, voice, ...withoutGo() })).toEqual([]);
  expect(lines).toEqual(['go.sum is not checked: no go in PATH or /usr/local/go/bin']);
});

it('a Go that is too old is told which one go.mod asks for', async () => {
  writeProgram(join(folder(), 'bin'), 'go', 'echo go1.21.3');
  const wanted = /^go (\S+)$/m.exec(readFileSync(join(wrapperModule, 'go.mod'), 'utf8'))![1]!;
  const problems = await checkLocks({ root: clone, voice: createListener().voice, ...withoutGo() });
  expect(problems).toEqual([expect.stringMatching(new RegExp(`is Go 1\\.21\\.3, older than ${wanted}$`))]);
});
