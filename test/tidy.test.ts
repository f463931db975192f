// The project's rules as tests: budgets, names, imports, words, links. A failure lists every breach with its place.
// The rules are in test/tidy/, each tried on breaches in test/tidy/rules.test.ts.

import {
  checkExports,
  checkFunctionLength,
  checkImports,
  checkLength,
  checkMarks,
  checkName,
  checkOpening,
  checkShellLiterals,
} from './tidy/code-rules';
import { findCircles } from './tidy/circles';
import { checkSubjects } from './tidy/comment-rules';
import { listFiles, readFiles, type ProjectFile } from './tidy/files';
import { checkActivityTests } from './tidy/layout-rules';
import { applyRatchet, ratchet } from './tidy/ratchet';
import {
  checkGlossary,
  checkLinks,
  checkMachinePaths,
  checkNotes,
  checkReasonCodes,
  readReasonCodes,
} from './tidy/text-rules';

const paths = listFiles();
const files = readFiles(paths);
const findFile = (path: string): ProjectFile | undefined => files.find((file) => file.path === path);
const breachesOf = (rule: (file: ProjectFile) => string[]): string[] => files.flatMap(rule);

test('the walk finds the project', () => {
  expect(paths).toEqual(expect.arrayContaining(['package.json', 'domain/facts/wal.ts', 'lab/setup.js', '.ci/run']));
});

describe('code', () => {
  test('a source file has at most 300 lines, a test 400', () => {
    expect(applyRatchet(breachesOf(checkLength), ratchet.longFiles)).toEqual([]);
  });
  test('a function has at most 50 lines', () => {
    expect(applyRatchet(breachesOf(checkFunctionLength), ratchet.longFunctions)).toEqual([]);
  });
  test('files and folders are kebab-case', () => {
    expect(paths.flatMap(checkName)).toEqual([]);
  });
  test('a file opens with one to three lines that say what it is', () => {
    expect(breachesOf(checkOpening)).toEqual([]);
  });
  test('imports keep to the fences between folders', () => {
    expect(breachesOf(checkImports)).toEqual([]);
  });
  test('imports go in no circle', () => {
    expect(findCircles(files)).toEqual([]);
  });
  test('exports are named', () => {
    expect(breachesOf(checkExports)).toEqual([]);
  });
  test('a text of more than three lines in activities/ is SQL, not shell', () => {
    expect(breachesOf(checkShellLiterals)).toEqual([]);
  });
  test('no test is singled out, and none is skipped without a reason', () => {
    expect(breachesOf(checkMarks)).toEqual([]);
  });
});

describe('words', () => {
  test('the glossary’s words are used, not the ones it replaces', () => {
    expect(breachesOf(checkGlossary)).toEqual([]);
  });
  test('a comment begins with its subject', () => {
    expect(breachesOf(checkSubjects)).toEqual([]);
  });
  test('no notes to self', () => {
    expect(breachesOf(checkNotes)).toEqual([]);
  });
  test('no paths of one machine, no registry hosts', () => {
    expect(breachesOf(checkMachinePaths)).toEqual([]);
  });
  test('links in pages lead to files', () => {
    expect(breachesOf(checkLinks)).toEqual([]);
  });
});

describe('completeness', () => {
  test('every activity has a test file', () => {
    expect(applyRatchet(checkActivityTests(paths), ratchet.untestedActivities)).toEqual([]);
  });
  test('every reason code has one row in docs/failure-modes.md, and every row is a reason code', () => {
    const codes = readReasonCodes(findFile('domain/facts/reasons.ts')!);
    expect(codes).not.toEqual([]);
    expect(checkReasonCodes(codes, findFile('docs/failure-modes.md')?.text ?? '')).toEqual([]);
  });
});
