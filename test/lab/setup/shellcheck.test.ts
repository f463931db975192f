// The check of the shell scripts: which it reads, and what it makes of shellcheck's answers, with a fake shellcheck.

import { join } from 'node:path';
import { clone, load, useFolder, writeProgram } from './modules';

const { checkScripts, listScripts } = load('shellcheck.js');
const folder = useFolder();

/** A stand-in for shellcheck: its exit status, and a word about each call. */
const check = (status: number): Promise<string> => {
  writeProgram(folder(), 'shellcheck', `echo "says $*"\nexit ${status}`);
  return checkScripts({ root: clone, names: ['client/hook.sh', '.ci/run'], directories: [folder()] });
};

it('reads every script of the clone, and nobody else’s', () => {
  const scripts = listScripts(clone);
  const some = ['.ci/run', 'client/hook.sh', 'activities/io/host/sh/look.sh', 'activities/io/host/sh/lib/act.sh'];
  expect(scripts).toEqual(expect.arrayContaining(some));
  expect(scripts.filter((name) => /^(node_modules|dist|\.git)\//.test(name))).toEqual([]);
});

it('passes when shellcheck finds nothing', async () => {
  expect(await check(0)).toBe('');
});

it('fails with what shellcheck says, each *.sh read as POSIX sh and the rest by its first line', async () => {
  const [plain, named, ...more] = (await check(1)).split('\n');
  expect(plain).toMatch(/^says --shell=sh .*client\/hook\.sh$/);
  expect(named).toMatch(/^says (?!.*--shell).*\.ci\/run$/);
  expect(more).toEqual([]);
});

it('does not pass when shellcheck fails', async () => {
  await expect(check(3)).rejects.toThrow('shellcheck failed (exit 3)');
});

it('says how to get a shellcheck that is not there', async () => {
  const nowhere = checkScripts({ root: clone, names: ['client/hook.sh'], directories: [join(folder(), 'none')] });
  await expect(nowhere).rejects.toThrow('no shellcheck in PATH: run node lab/setup.js --check');
});
