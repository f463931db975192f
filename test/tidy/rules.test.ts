// Each tidy rule on a breach that it must find and on its nearest innocent neighbour: a rule that cannot fail proves nothing.

import {
  checkExports,
  checkFunctionLength,
  checkImports,
  checkLength,
  checkMarks,
  checkName,
  checkOpening,
  checkShellLiterals,
} from './code-rules';
import { findCircles } from './circles';
import { checkSubjects, readComments } from './comment-rules';
import { checkActivityTests } from './layout-rules';
import { applyRatchet } from './ratchet';
import {
  checkGlossary,
  checkLinks,
  checkMachinePaths,
  checkNotes,
  checkReasonCodes,
  readReasonCodes,
} from './text-rules';
import type { ProjectFile } from './files';

const file = (path: string, text: string): ProjectFile => ({ path, text });
const lines = (count: number): string => 'x();\n'.repeat(count);
const script = (word: string, count: number): string => `const x = \`\n${`${word}\n`.repeat(count)}\`;`;
const functionOf = (count: number): string => `function f() {\n${lines(count - 2)}}\n`;

type Rule = (file: ProjectFile) => string[];
type Row = readonly [title: string, rule: Rule, path: string, breach: string, innocent: string];

const rows: readonly Row[] = [
  ['a source of 301 lines', checkLength, 'domain/a.ts', lines(301), lines(300)],
  ['a shell script of 301 lines', checkLength, 'client/a.sh', lines(301), lines(300)],
  ['a test of 401 lines', checkLength, 'test/a.test.ts', lines(401), lines(400)],
  ['a function of 51 lines', checkFunctionLength, 'domain/a.ts', functionOf(51), functionOf(50)],
  [
    'a test of 51 lines inside a long describe',
    checkFunctionLength,
    'test/a.test.ts',
    `describe('d', () => {\n  it('i', () => {\n${lines(49)}  });\n});`,
    `describe('d', () => {\n${lines(60)}});`,
  ],
  ['no opening comment', checkOpening, 'domain/a.ts', 'x();', '// What.\nx();'],
  [
    'an essay for an opening',
    checkOpening,
    'domain/a.ts',
    '// a\n// b\n// c\n// d\nx();',
    '// a\n// b\n// c\n\n// d\nx();',
  ],
  ['a script without an opening', checkOpening, 'client/a.sh', '#!/bin/sh\nx', '#!/bin/sh\n# What.\nx'],
  ['a script of 4 lines', checkShellLiterals, 'activities/a.ts', script('one', 4), script('one', 3)],
  ['a script with values in it', checkShellLiterals, 'activities/a.ts', script('${one}', 4), script('${one}', 3)],
  ['a script in quotes', checkShellLiterals, 'activities/a.ts', "x('a\\nb\\nc\\nd');", "x('a\\nb\\nc\\n');"],
  ['a script beside a query', checkShellLiterals, 'activities/a.ts', script('cat', 9), script('select', 9)],
  ['node: in domain', checkImports, 'domain/a.ts', "import 'node:fs';", "import './b';"],
  ['a package in domain', checkImports, 'domain/a.ts', "import { x } from 'pg';", "import { x } from './wal.js';"],
  [
    'activities in domain',
    checkImports,
    'domain/a.ts',
    "import '../activities/b';",
    "import type { x } from '../domain/b';",
  ],
  ['node: in workflows', checkImports, 'workflows/a.ts', "import 'node:fs';", "import '@temporalio/workflow';"],
  [
    'values of activities in workflows',
    checkImports,
    'workflows/a.ts',
    "import { observe } from '../activities';",
    "import type * as activities from '../activities';",
  ],
  [
    'one value among types',
    checkImports,
    'workflows/a.ts',
    "import { type A, observe } from '../activities';",
    "import { type A, type B } from '../activities';",
  ],
  [
    'a re-export of activities',
    checkImports,
    'workflows/a.ts',
    "export * from '../activities';",
    "export * from './b';",
  ],
  ['import() in workflows', checkImports, 'workflows/a.ts', "await import('pg');", "await import('./b');"],
  ['require() in workflows', checkImports, 'workflows/a.ts', "const x = require('pg');", "const x = request('pg');"],
  [
    'import = require in workflows',
    checkImports,
    'workflows/a.ts',
    "import x = require('pg');",
    "import y = require('./b');",
  ],
  ['ssh2 outside io', checkImports, 'activities/a.ts', "import 'ssh2';", "import './io/ssh';"],
  [
    'one verb in another',
    checkImports,
    'activities/a.ts',
    "import { fence } from './fence';",
    "import type { F } from './fence';",
  ],
  ['a verb in io', checkImports, 'activities/io/a.ts', "import '../primary/fence';", "import 'node:net';"],
  ['ssh2 in another io room', checkImports, 'activities/io/sql/a.ts', "import 'ssh2';", "import 'pg';"],
  [
    'Temporal in a verb',
    checkImports,
    'activities/look/a.ts',
    "import '@temporalio/activity';",
    "import '../io/attempt';",
  ],
  [
    'values of workflows in the worker',
    checkImports,
    'worker/a.ts',
    "import '../workflows';",
    "import '../activities';",
  ],
  [
    'values of workflows in the client',
    checkImports,
    'client/commands/a.ts',
    "import { incident } from '../../workflows/incident';",
    "import { settled } from '../../workflows/messages';",
  ],
  ['the worker in a command', checkImports, 'client/commands/a.ts', "import '../../worker/main';", "import '../cli';"],
  ['a default export', checkExports, 'domain/a.ts', 'export default 1;', 'export const a = 1;'],
  ['a default function', checkExports, 'domain/a.ts', 'export default function f() {}', 'export function f() {}'],
  ['export as default', checkExports, 'domain/a.ts', 'export { x as default };', 'export { x };'],
  ['export =', checkExports, 'domain/a.ts', 'export = x;', 'export { x };'],
  ['.only', checkMarks, 'test/a.test.ts', "it.only('x', f);", "it('x', f);"],
  ['.each.only', checkMarks, 'test/a.test.ts', "it.only.each([1])('x', f);", "it.each([1])('x', f);"],
  ['fit', checkMarks, 'test/a.test.ts', "fit('x', f);", "profit('x', f);"],
  [
    '.skip without a reason',
    checkMarks,
    'test/a.test.ts',
    "it.skip('x', f);",
    "// skipped: needs root\nit.skip('x', f);",
  ],
  ['a replaced word', checkGlossary, 'README.md', 'promote the slave', 'promote the standby'],
  ['a replaced word in a name', checkGlossary, 'domain/a.ts', 'const newMaster = 1;', 'const postmasterPid = 1;'],
  ['replica', checkGlossary, 'domain/a.ts', 'const replicas = 1;', 'const replicationUser = wal_level = replica;'],
  ['failback', checkGlossary, 'README.md', 'a failback', 'auto_failback = off'],
  ['a comment without a subject', checkSubjects, 'domain/a.ts', '// It waits.\nx();', '// Items wait.\nx();'],
  ['a subject that comes later', checkSubjects, 'domain/a.ts', '// What waits.', '// The node\n// Who waits.\nx();'],
  ['one-line documentation', checkSubjects, 'domain/a.ts', '/** Who waits. */\nx();', "x('/** Who waits. */');"],
  [
    'documentation of several lines',
    checkSubjects,
    'lab/a.js',
    '/**\n * Nor this.\n */',
    '/**\n * A.\n * Nor this.\n */',
  ],
  ['a comment behind code', checkSubjects, 'domain/a.ts', 'x(); // They wait.\ny();', "x('// They wait.');"],
  [
    'a comment before a bracket',
    checkSubjects,
    'domain/a.ts',
    'f(() => {\n  // Whoever.\n});',
    'f(`\n// Whoever.\n`);',
  ],
  [
    'a comment of a script',
    checkSubjects,
    'client/a.sh',
    '#!/bin/sh\n# What.\nx',
    '#!/bin/sh\n# A\n# What.\nx # What.',
  ],
  ['a note to self', checkNotes, 'domain/a.ts', '// TODO later', '// toDoList'],
  ['a home directory', checkMachinePaths, 'README.md', 'see /home/someone/x', 'see ~/x and $HOME/x'],
  ['root’s home', checkMachinePaths, 'lab/a.ts', "join('/root/.cache')", "join('<root>/.cache', 'a/root/b')"],
  ['a registry', checkMachinePaths, 'README.md', 'https://registry.npmjs.org/x', 'https://www.postgresql.org/docs/'],
  [
    'a dead link',
    checkLinks,
    'README.md',
    '[x](docs/none.md)',
    '[x](package.json) [y](https://a.b/c) [z](#top) `[q](none.md)`',
  ],
  ['a dead link from a folder', checkLinks, 'docs/a.md', '[x](package.json#a)', '[x](../package.json#a)'],
  ['a dead reference', checkLinks, 'README.md', '[x]: none.md', '[x]: package.json'],
];

test.each(rows)('%s is a breach, its neighbour is not', (_title, rule, path, breach, innocent) => {
  expect(rule(file(path, breach))).toHaveLength(1);
  expect(rule(file(path, innocent))).toEqual([]);
});

test('every comment is read once, with its line', () => {
  const text = '// One,\n// of two lines.\nx(); // Two.\n// Three.\n/** Four. */\nf(/* Five. */);\n\n// Six.\n';
  expect(readComments(file('domain/a.ts', text))).toEqual([
    { line: 1, text: 'One,' },
    { line: 3, text: 'Two.' },
    { line: 4, text: 'Three.' },
    { line: 5, text: 'Four. */' },
    { line: 6, text: 'Five. */' },
    { line: 8, text: 'Six.' },
  ]);
});

test('a breach names its line', () => {
  expect(checkNotes(file('a.ts', '\n\n// FIXME'))[0]).toMatch(/^a\.ts:3: /);
});

test.each([['domain/failoverPlan.ts'], ['Lab/x.ts'], ['docs/some_page.md']])('%s is not kebab-case', (path) => {
  expect(checkName(path)).toHaveLength(1);
});

test.each([
  ['domain/failover-plan.ts'],
  ['.ci/run'],
  ['docs/decisions/0001-a-title.md'],
  ['README.md'],
  ['.prettierrc.json'],
])('%s is a good name', (path) => {
  expect(checkName(path)).toEqual([]);
});

test('an activity without a test is a breach, the index is not', () => {
  const paths = [
    'activities/index.ts',
    'activities/io/failures.ts',
    'activities/io/host/act.ts',
    'activities/primary/fence.ts',
    'activities/primary/promote.ts',
    'test/activities/primary/fence.test.ts',
  ];
  expect(checkActivityTests(paths)).toEqual([
    'activities/primary/promote.ts: has no test/activities/primary/promote.test.ts',
  ]);
});

test('imports in a circle are a breach, of types as well, but not between tests', () => {
  const one = file('lab/one.ts', "import type { Two } from './two';");
  const two = file('lab/two.ts', "export { one } from './one';");
  const fake = file('test/fake.ts', "import type { Bed } from './bed';");
  const bed = file('test/bed.ts', "import { fake } from './fake';");
  expect(findCircles([one, two, fake, bed])).toEqual(['lab/one.ts → lab/two.ts → lab/one.ts: imports go in a circle']);
});

test('reason codes and rows must match one to one', () => {
  const codes = readReasonCodes(
    file('domain/facts/reasons.ts', "export const reasonCodes = ['a', 'b', 'c'] as const;"),
  );
  const page = '| Code | Seen |\n|---|---|\n| `a` | x |\n| `b` | x |\n| `b` | y |\n| `d` | x |\n';
  expect(checkReasonCodes(codes, page)).toEqual([
    'row d is not a reason code',
    'reason code b has 2 rows, not one',
    'reason code c has 0 rows, not one',
  ]);
});

test('the ratchet excuses what it lists, and refuses an entry that excuses nothing', () => {
  expect(applyRatchet(['a.ts: long', 'b.ts: long'], ['a.ts'])).toEqual(['b.ts: long']);
  expect(applyRatchet(['a.ts: long'], ['a.ts', 'c.ts'])).toEqual([expect.stringMatching(/^c\.ts: no longer/)]);
  expect(applyRatchet(['a.ts: long'], ['*'])).toEqual([]);
});
