// The scripts as files: each is listed, parses in every sh, is joined and stripped without a change, and shares its names with the worker.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exitStatuses } from '../../activities/io/host/answer';
import { joinScript, stripScript, writeScripts } from '../../activities/io/host/join-scripts';
import * as host from '../../activities/io/host/scripts';
import { freshSuffix, rebuildMarkName } from '../../domain/facts/data-directory';
import { including, shells } from './support';

const { scriptDirectory, scriptFile, scriptNames, scripts } = host;
const textOf = (file: string): string => readFileSync(file, 'utf8');
const joined = scriptNames.map((name) => [name, joinScript(scriptDirectory, textOf(scriptFile(name)))] as const);
const parts = readdirSync(join(scriptDirectory, 'lib')).map((name) => join(scriptDirectory, 'lib', name));

function ask(shell: readonly string[], options: readonly string[], input: string) {
  const [program, ...own] = shell;
  const { status, stdout, stderr } = spawnSync(program!, [...own, ...options], { input, encoding: 'utf8' });
  return { status, stdout, stderr };
}

test('every file is one of the names, and every name is a file', () => {
  const files = readdirSync(scriptDirectory).filter((name) => name.endsWith('.sh'));
  expect(files.map((name) => join(scriptDirectory, name)).sort()).toEqual(scriptNames.map(scriptFile).sort());
});

test('every file says which shell it is for, and can be run', () => {
  for (const file of [...scriptNames.map(scriptFile), ...parts]) expect(textOf(file)).toMatch(/^#!\/bin\/sh\n# /);
  for (const file of scriptNames.map(scriptFile)) expect(statSync(file).mode & 0o111).toBe(0o111);
});

/** Scripts without an answer of their own, and why. */
const answerless: Partial<Record<host.ScriptName, string>> = {
  holdLock: 'a stream: "here", "held", and then a line every half second until it is told to end',
  superviseJob: 'a launcher: its job answers, into the job’s log',
  baseBackup: 'a launcher: becomes pg_basebackup, whose proof is backup_manifest',
};

test.each(scriptNames)('%s ends with an answer, wherever it ends', (name) => {
  const text = textOf(scriptFile(name));
  // say() of look-after-copy.sh ends with done_.
  const isAnswered = /\n(done_|say \w+)\n$/.test(text) && text.includes('\n. lib/');
  expect([name, isAnswered]).toEqual([name, !(name in answerless)]);
  if (name in answerless) return;
  // A status alone says nothing to people. These are the ends of a subshell, and of awk.
  const inner = [
    '$INNER in "$CURRENT"/*) exit 1',
    'END { exit',
    'if (!record) exit',
    '$(list_entries "$REAL") || exit 1',
  ];
  const ends = text.split('\n').filter((line) => /^[^#]*\bexit( |$)/.test(line));
  expect(ends.filter((line) => !inner.some((part) => line.includes(part)))).toEqual([]);
});

test('no act takes a name that act.sh still needs at its end', () => {
  for (const file of [...scriptNames.map(scriptFile), ...parts].filter((path) => !path.endsWith('lib/act.sh')))
    expect([file, textOf(file).match(/\b(LAST_CHANGE|BEGAN_MS|BEGAN_TICKS|TICKS|ACTOR|LOCK)=/)]).toEqual([file, null]);
});

describe.each(shells)('%s', (_name, shell) => {
  test.each(joined)('reads %s, joined and as a file', (name, text) => {
    for (const script of [text, scripts[name], textOf(scriptFile(name))])
      expect(ask(shell, ['-n'], script)).toEqual({ status: 0, stdout: '', stderr: '' });
  });

  test('includes the names that the worker has', () => {
    const names = {
      REBUILD_MARK: rebuildMarkName,
      RESTORED_MARK: host.restoredMarkName,
      FRESH_SUFFIX: freshSuffix,
      REFUSED: String(exitStatuses.refused),
      MISCONFIGURED: String(exitStatuses.misconfigured),
      LOCK_FAILED: String(exitStatuses.lockFailed),
      LOCK_HELD: String(exitStatuses.lockHeld),
      TOO_LATE: String(exitStatuses.tooLate),
    };
    const script = Object.keys(names).map((name) => `echo "${name}=$${name}"`);
    const { stdout } = ask(shell, [], including('names', script.join('\n')));
    expect(stdout.trim().split('\n')).toEqual(Object.entries(names).map(([name, value]) => `${name}=${value}`));
  });
});

describe('joining', () => {
  test.each(joined)('%s includes each part once, and no line is left that includes one', (name, text) => {
    const functions = [...text.matchAll(/^(\w+)\(\)/gm)].map(([, found]) => found);
    expect(functions).toEqual([...new Set(functions)]);
    expect(text).not.toMatch(/^\s*\. /m);
    expect(text.match(/^#!/gm)).toHaveLength(1);
    expect(scripts[name].split('\n').filter((line) => /^\s*(#|$)/.test(line))).toEqual(['']);
  });

  test('every part is included somewhere', () => {
    const all = [...scriptNames.map(scriptFile), ...parts].map(textOf).join('\n');
    for (const part of readdirSync(join(scriptDirectory, 'lib'))) expect(all).toContain(`\n. lib/${part}\n`);
  });

  // bash prints what it has read: without comments, and with every text in quotes as it is.
  test.each(joined)('stripping takes nothing but comments from %s', (name, text) => {
    const print = (script: string): string =>
      ask(['bash'], ['--posix', '--pretty-print'], script)
        .stdout.replace(/\n\s*(?=\n)/g, '')
        .trimStart();
    expect(print(text).length).toBeGreaterThan(100);
    expect(print(scripts[name])).toBe(print(text));
  });

  test('stripping takes lines, never what stands behind a command', () => {
    expect(stripScript('#!/bin/sh\n# one\n\n  # two\nset -- a # three\n\techo "${1#a}"\n')).toBe(
      'set -- a # three\n\techo "${1#a}"\n',
    );
  });
});

describe('the build', () => {
  const directory = mkdtempSync(join(tmpdir(), 'sh-'));
  afterAll(() => {
    rmSync(directory, { recursive: true });
  });

  test('writes each script as one file that can be run by hand, and nothing else', () => {
    writeFileSync(join(directory, 'gone.sh'), '');
    writeScripts(scriptDirectory, directory);
    expect(readdirSync(directory).sort()).toEqual(
      scriptNames.map((name) => scriptFile(name).slice(scriptDirectory.length + 1)).sort(),
    );
    for (const [name, text] of joined) {
      const file = join(directory, scriptFile(name).slice(scriptDirectory.length));
      expect(textOf(file)).toBe(text);
      expect(stripScript(joinScript(directory, textOf(file)))).toBe(scripts[name]);
      expect(statSync(file).mode & 0o111).toBe(0o111);
    }
    const { status, stdout } = spawnSync(join(directory, 'list-jobs.sh'), [directory], { encoding: 'utf8', cwd: '/' });
    expect({ status, stdout }).toEqual({ status: 0, stdout: 'answer=done\n' });
  });
});
