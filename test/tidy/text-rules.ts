// Rules about words and links, for code and prose alike: the glossary, notes to self, machine paths, links, reason codes.
// Each returns sentences, one per breach; an empty list is a pass.

import { existsSync } from 'node:fs';
import { posix, join } from 'node:path';
import ts from 'typescript';
import { isMarkdown, parse, root, walk, type ProjectFile } from './files';

/** Word → what the glossary says instead. Matched inside identifiers as well. */
const glossary: readonly (readonly [RegExp, string])[] = [
  [/master/i, 'primary (or main node, for pgpool’s %m)'],
  [/slave/i, 'standby'],
  [/replica(?!t)/i, 'standby'],
  [/secondary|secondaries/i, 'standby'],
  [/leader/i, 'primary'],
  [/xlog/i, 'WAL, timeline, LSN'],
  [/take-?over/i, 'failover or switchover'],
  [/fail-?back/i, 'rejoin'],
  [/re-?sync/i, 'follow'],
  [/re-?init(?!ial)/i, 'rebuild'],
];

// Names that others gave: PostgreSQL's server process, pgpool's parameters and commands, files and functions of old releases.
const quoted =
  /postmaster|auto_failback(_interval)?|follow_master_command|master_slave_(sub_)?mode|wal_level\W{1,4}replica|pg_(current_|last_)?xlog\w*|xlog\.c/gi;

/** Files that quote more, with the words that they may use: pgpool's output, the article's text. */
const quotingFiles: Readonly<Record<string, readonly string[]>> = {
  'bench/rivals.ts': ['master'],
  'lab/temporal-on-postgres.ts': ['master'],
  'activities/io/pcp/pcp.ts': ['failback'],
  'test/activities/io/pcp/pcp.test.ts': ['failback'],
  'activities/io/pcp/protocol.ts': ['replica'],
  'test/activities/io/pcp/protocol.test.ts': ['replica'],
};

export function checkGlossary({ path, text }: ProjectFile): string[] {
  if (path.startsWith('test/tidy/')) return [];
  const allowed = quotingFiles[path] ?? [];
  return text.split('\n').flatMap((line, index) => {
    const ours = line.replace(quoted, '');
    return glossary.flatMap(([pattern, instead]) => {
      const word = pattern.exec(ours)?.[0];
      if (!word || allowed.includes(word.toLowerCase())) return [];
      return [`${path}:${index + 1}: "${word}": say ${instead}`];
    });
  });
}

function checkLines({ path, text }: ProjectFile, pattern: RegExp, why: string): string[] {
  if (path.startsWith('test/tidy/')) return [];
  return text.split('\n').flatMap((line, index) => {
    const found = pattern.exec(line)?.[0];
    return found ? [`${path}:${index + 1}: ${found.trim()}: ${why}`] : [];
  });
}

export function checkNotes(file: ProjectFile): string[] {
  return checkLines(file, /\b(TODO|FIXME|XXX|HACK)\b/, 'do it, or write an issue');
}

export function checkMachinePaths(file: ProjectFile): string[] {
  const place = /(?<![\w.~$}/-])\/(work\b|root\/[\w.]|Users\/\w|home\/[a-z])[\w/.-]*/;
  const host =
    /\b(registry\.(npmjs\.org|yarnpkg\.com|npmmirror\.com)|proxy\.golang\.org|(deb|security)\.debian\.org|archive\.ubuntu\.com|pypi\.org)\b/;
  return [
    ...checkLines(file, place, 'a path of one machine'),
    ...checkLines(file, host, 'a registry’s host: every user has their own'),
  ];
}

/** Relative links of a page lead to files that exist. */
export function checkLinks({ path, text }: ProjectFile): string[] {
  if (!isMarkdown({ path, text })) return [];
  const prose = text.replace(/^(```|~~~)[\s\S]*?^\1/gm, '').replace(/`[^`\n]*`/g, '');
  const inline = [...prose.matchAll(/\]\(\s*<?([^)\s>]+)>?[^)]*\)/g)];
  const defined = [...prose.matchAll(/^\[[^\]]+\]:\s*<?(\S+?)>?(?:\s|$)/gm)];
  return [...inline, ...defined].flatMap(([, link = '']) => {
    const target = link.split('#')[0] ?? '';
    if (target === '' || /^[a-z][a-z+.-]*:/i.test(target)) return [];
    const file = posix.normalize(posix.join(posix.dirname(path), decodeURI(target)));
    return existsSync(join(root, file)) ? [] : [`${path}: link to ${link}: no such file`];
  });
}

/** The string literals of `export const reasonCodes = […]`. */
export function readReasonCodes(file: ProjectFile): string[] {
  const codes: string[] = [];
  walk(parse(file), (node) => {
    if (!ts.isVariableDeclaration(node) || node.name.getText() !== 'reasonCodes' || !node.initializer) return;
    walk(node.initializer, (inner) => {
      if (ts.isStringLiteral(inner)) codes.push(inner.text);
    });
  });
  return codes;
}

/** Each code is the first cell of exactly one table row, and each such row is a code. */
export function checkReasonCodes(codes: readonly string[], page: string): string[] {
  const rows = [...page.matchAll(/^\|\s*`([^`]+)`\s*\|/gm)].map(([, code = '']) => code);
  const problems = [...new Set(rows)]
    .filter((row) => !codes.includes(row))
    .map((row) => `row ${row} is not a reason code`);
  for (const code of codes) {
    const count = rows.filter((row) => row === code).length;
    if (count !== 1) problems.push(`reason code ${code} has ${count} rows, not one`);
  }
  return problems;
}
