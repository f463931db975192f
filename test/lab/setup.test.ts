// The whole set-up as users run it, on a small clone of its own that shares node_modules with this one.
// Its parts are tested in setup/.

import { copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findCloneRoot, findTools } from '../../lab/tools';
import { clone, load, runProgram, useFolder, writeProgram, type Ended } from './setup/modules';

const { findStalePackages } = load('packages.js');
const folder = useFolder();
const inClone = (path: string): string => join(folder(), path);

function writeJson(path: string, value: unknown): void {
  mkdirSync(join(inClone(path), '..'), { recursive: true });
  writeFileSync(inClone(path), JSON.stringify(value));
}

/** setup.js and its folder, so that it takes `folder` for its clone. */
function copySetup(): void {
  mkdirSync(inClone('lab'));
  copyFileSync(join(clone, 'lab/setup.js'), inClone('lab/setup.js'));
  cpSync(join(clone, 'lab/setup'), inClone('lab/setup'), { recursive: true });
}

function makeClone(): void {
  copySetup();
  for (const name of ['package.json', 'package-lock.json', 'tsconfig.json', 'tsconfig.build.json']) {
    copyFileSync(join(clone, name), inClone(name));
  }
  symlinkSync(join(clone, 'node_modules'), inClone('node_modules'));
  mkdirSync(inClone('domain'));
  writeFileSync(inClone('domain/one.ts'), 'export const one: number = 1;\n');
  mkdirSync(inClone('worker'));
  const bundle = "import { writeFileSync } from 'node:fs';\nwriteFileSync('dist/workflow-bundle.js', '');\n";
  writeFileSync(inClone('worker/bundle.ts'), bundle);
}

const setUp = (...args: string[]): Promise<Ended> => runProgram(process.execPath, [inClone('lab/setup.js'), ...args]);
/** Runs the check, if shellcheck is there. */
const setUpCheck = (): Promise<Ended> => {
  writeProgram(inClone('bin'), 'shellcheck', '');
  const env = { ...process.env, PATH: `${process.env['PATH'] ?? ''}:${inClone('bin')}` };
  return runProgram(process.execPath, [inClone('lab/setup.js'), '--check'], { env });
};

describe('Node', () => {
  it('that is too old is named, with how to get another, before anything is done', async () => {
    const old = inClone('old.js');
    writeFileSync(old, "Object.defineProperty(process.versions, 'node', { value: '18.19.0' });");
    const { code, output } = await runProgram(process.execPath, ['-r', old, join(clone, 'lab/setup.js')]);
    expect(code).toBe(2);
    expect(output).toMatch(/needs Node\.js 20\.19 or newer; .*node is 18\.19\.0\.\nGet one from https:/);
  });
});

test('an unknown argument gets the usage and exit code 2', async () => {
  copySetup();
  const { code, output } = await setUp('--tests');
  expect(code).toBe(2);
  expect(output).toMatch(/unknown argument --tests\nusage: /);
});

describe('npm packages', () => {
  const wanted = { '': {}, 'node_modules/a': { version: '1.0.0', integrity: 'x' } };
  const other = { 'node_modules/b': { version: '1.0.0', optional: true, os: ['aix'] } };
  const prepare = (installed: unknown): void => {
    writeJson('package-lock.json', { packages: { ...wanted, ...other } });
    mkdirSync(inClone('node_modules/a'), { recursive: true });
    if (installed) writeJson('node_modules/.package-lock.json', { packages: installed });
  };

  it('are current when they equal package-lock.json, whatever is for other platforms', () => {
    prepare({ 'node_modules/a': { version: '1.0.0', integrity: 'x' } });
    expect(findStalePackages(folder())).toBeNull();
  });

  it.each([
    ['npm has not finished', null, /missing or incomplete/],
    ['one is missing', {}, /node_modules\/a differs/],
    ['one has another version', { 'node_modules/a': { version: '1.0.1', integrity: 'x' } }, /node_modules\/a differs/],
    ['one has other contents', { 'node_modules/a': { version: '1.0.0', integrity: 'y' } }, /node_modules\/a differs/],
  ])('are stale when %s', (_title, installed, reason) => {
    prepare(installed);
    expect(findStalePackages(folder())).toMatch(reason);
  });

  it('are stale when the folder of one is gone', () => {
    prepare({ 'node_modules/a': { version: '1.0.0', integrity: 'x' } });
    rmSync(inClone('node_modules/a'), { recursive: true });
    expect(findStalePackages(folder())).toMatch(/node_modules\/a differs/);
  });

  it('are installed by npm ci, once', async () => {
    copySetup();
    writeJson('one/package.json', { name: 'one', version: '1.0.0' });
    writeJson('package.json', { name: 'x', version: '1.0.0', dependencies: { one: 'file:one' } });
    const top = { name: 'x', version: '1.0.0', dependencies: { one: 'file:one' } };
    const link = { resolved: 'one', link: true };
    const packages = { '': top, 'node_modules/one': link, one: { version: '1.0.0' } };
    writeJson('package-lock.json', { name: 'x', version: '1.0.0', lockfileVersion: 3, requires: true, packages });
    const first = await setUpCheck();
    expect(first).toEqual({
      code: 0,
      output: expect.stringMatching(/^set-up: npm ci \(node_modules is missing/) as string,
    });
    expect(existsSync(inClone('node_modules/one/package.json'))).toBe(true);
    expect(await setUpCheck()).toEqual({ code: 0, output: '' });
  });

  it('that npm cannot install end with what npm said, and exit code 2', async () => {
    copySetup();
    writeJson('one/package.json', { name: 'one', version: '1.0.0' });
    writeJson('package.json', { name: 'x', version: '1.0.0', dependencies: { one: 'file:one' } });
    writeJson('package-lock.json', {
      name: 'x',
      version: '1.0.0',
      lockfileVersion: 3,
      packages: { '': { name: 'x' } },
    });
    const { code, output } = await setUpCheck();
    expect(code).toBe(2);
    expect(output).toMatch(/npm ci failed in .* \(exit 1\); npm said:\n[\s\S]*in sync/);
  });
});

describe('a second run', () => {
  it('installs nothing, prints nothing, needs no network', async () => {
    makeClone();
    expect(await setUp('--test')).toEqual({ code: 0, output: 'set-up: compiling\n' });
    const args = ['--user', '--map-current-user', '--net', process.execPath, inClone('lab/setup.js'), '--test'];
    // As root without the user namespace, which some machines forbid; as a user it is the only way.
    const offline = process.getuid?.() === 0 ? args.slice(2) : args;
    expect(await runProgram('unshare', offline)).toEqual({ code: 0, output: '' });
  });

  it('compiles again after a change, and says where the compiler found an error with exit code 1', async () => {
    makeClone();
    await setUp();
    writeFileSync(inClone('domain/one.ts'), "export const one: number = 'two';\n");
    for (let attempt = 0; attempt < 2; attempt += 1) {
      const { code, output } = await setUp();
      expect(code).toBe(1);
      expect(output).toContain('domain/one.ts(1,14): error TS2322');
    }
    writeFileSync(inClone('domain/one.ts'), 'export const one: number = 3;\n');
    rmSync(inClone('dist/workflow-bundle.js'));
    expect((await setUp()).code).toBe(0);
    expect(existsSync(inClone('dist/workflow-bundle.js'))).toBe(true);
    expect(readFileSync(inClone('dist/domain/one.js'), 'utf8')).toContain('one = 3');
  });

  it('compiles again after a change of a script', async () => {
    makeClone();
    const script = inClone('activities/io/host/sh/look.sh');
    mkdirSync(join(script, '..'), { recursive: true });
    writeFileSync(script, 'echo one\n');
    await setUp();
    expect((await setUp()).output).toBe('');
    writeFileSync(script, 'echo three\n');
    expect((await setUp()).output).toBe('set-up: compiling\n');
  });

  it('removes the output of a source that is gone', async () => {
    makeClone();
    writeFileSync(inClone('domain/two.ts'), 'export const two = 2;\n');
    await setUp();
    expect(existsSync(inClone('dist/domain/two.js'))).toBe(true);
    rmSync(inClone('domain/two.ts'));
    await setUp();
    expect(existsSync(inClone('dist/domain/two.js'))).toBe(false);
    expect(existsSync(inClone('dist/domain/one.js'))).toBe(true);
  });
});

test('a TEMPORAL_CLI that does not serve ends the set-up with exit code 2', async () => {
  makeClone();
  const env = { ...process.env, TEMPORAL_CLI: inClone('none') };
  const { code, output } = await runProgram(process.execPath, [inClone('lab/setup.js')], { env });
  expect(code).toBe(2);
  expect(output).toMatch(/^set-up: TEMPORAL_CLI does not serve: .*none is not an executable file/);
});

describe('the lab', () => {
  it('gets full paths of programs that exist, with versions', () => {
    const { versions, postgresBin, ...programs } = findTools();
    for (const file of [...Object.values(programs), join(postgresBin, 'initdb')]) expect(existsSync(file)).toBe(true);
    expect(Number.parseInt(versions.postgres, 10)).toBeGreaterThanOrEqual(13);
    expect(versions.pgpool).toMatch(/^\d+\.\d+/);
    expect(versions.temporal).toMatch(/^\d+\.\d+/);
  });

  it('finds its clone from the sources and from dist/', () => {
    expect(findCloneRoot()).toBe(clone);
    expect(findCloneRoot(join(clone, 'dist', 'lab'))).toBe(clone);
  });
});
