// A YAML text with the line of everything in it: what syntax, keys and places the schema itself cannot see.

import { type Document, isMap, isScalar, isSeq, LineCounter, parseDocument, visit } from 'yaml';
import { getEntries, getItem, notBuilt, type Schema } from './schema';

/** Keys and list positions from the top of the file. */
export type Path = readonly (string | number)[];

export interface Problem {
  readonly line: number;
  readonly sentence: string;
}

export interface YamlText {
  readonly document: Document;
  readonly lineAt: (offset: number) => number;
}

export function readYaml(text: string): YamlText {
  const lines = new LineCounter();
  // prettyErrors would quote the file in messages; duplicate keys are reported by findKeyProblems, by name.
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    uniqueKeys: false,
    stringKeys: true,
  });
  return { document, lineAt: (offset) => Math.max(1, lines.linePos(offset).line) };
}

/**
 * The first problem of each line: later ones on a line are mostly echoes. Aliases are refused, so a document is finite.
 */
export function findSyntaxProblems({ document, lineAt }: YamlText): Problem[] {
  const byLine = new Map<number, Problem>();
  const add = (offset: number, sentence: string) => {
    const line = lineAt(offset);
    if (!byLine.has(line)) byLine.set(line, { line, sentence });
  };
  for (const error of [...document.errors, ...document.warnings])
    add(error.pos[0], `this is not YAML: ${error.message}`);
  visit(document, {
    Alias: (_key, alias) => {
      add(alias.range?.[0] ?? 0, `*${alias.source} is a YAML alias, which is not supported: write the value out`);
    },
  });
  if (byLine.size === 0 && document.contents === null) {
    add(0, 'the file is empty: write at least cluster, nodes, postgres and pgpool (see docs/configuration.md)');
  }
  return [...byLine.values()];
}

/** Unknown and repeated keys, at any depth; valibot's strict objects would report only the first unknown one. */
export function findKeyProblems(yaml: YamlText, schema: Schema): Problem[] {
  const problems: Problem[] = [];
  const walk = (value: unknown, expected: Schema, path: Path) => {
    if (isSeq(value)) {
      const item = getItem(expected);
      if (item)
        value.items.forEach((child, index) => {
          walk(child, item, [...path, index]);
        });
    }
    const entries = getEntries(expected);
    if (!isMap(value) || !entries) return;
    const firstLines = new Map<string, number>();
    for (const { key, child, line } of pairsOf(value, yaml)) {
      const first = firstLines.get(key);
      const expectedChild = Object.hasOwn(entries, key) ? entries[key] : undefined;
      if (first !== undefined) {
        problems.push({
          line,
          sentence: `${formatPath([...path, key])} is written twice (first on line ${first}): keep one`,
        });
      } else if (!expectedChild) {
        const name = formatPath([...path, key]);
        const known = Object.keys(entries).join(', ');
        const why = notBuilt.includes(name)
          ? 'is not built yet: leave it out'
          : `is not a known key: remove it or use one of ${known}`;
        problems.push({ line, sentence: `${name} ${why}` });
      } else walk(child, expectedChild, [...path, key]);
      firstLines.set(key, first ?? line);
    }
  };
  walk(yaml.document.contents, schema, []);
  return problems;
}

/** The line of the key or list item at `path`; where it is missing, the line of the nearest parent. */
export function locate(yaml: YamlText, path: Path): { readonly line: number; readonly isFound: boolean } {
  let value: unknown = yaml.document.contents;
  let line = yaml.lineAt(offsetOf(value));
  for (const part of path) {
    if (isMap(value)) {
      const pair = pairsOf(value, yaml).findLast(({ key }) => key === part);
      if (!pair) return { line, isFound: false };
      line = pair.line;
      value = pair.child;
    } else if (isSeq(value) && Number(part) < value.items.length) {
      value = value.items[Number(part)];
      line = yaml.lineAt(offsetOf(value));
    } else return { line, isFound: false };
  }
  return { line, isFound: true };
}

/** `nodes[1].ssh.port`; a key that is not plain is quoted, because it comes from outside. */
export function formatPath(path: Path): string {
  if (path.length === 0) return 'the file';
  return path
    .map((part) => {
      if (typeof part === 'number') return `[${part}]`;
      return /^[A-Za-z0-9_-]{1,60}$/.test(part) ? `.${part}` : `.${JSON.stringify(part).slice(0, 60)}`;
    })
    .join('')
    .replace(/^\./, '');
}

function pairsOf(map: { readonly items: readonly { key: unknown; value: unknown }[] }, yaml: YamlText) {
  return map.items.map(({ key, value }) => ({
    key: String(isScalar(key) ? key.value : key),
    child: value,
    line: yaml.lineAt(offsetOf(key)),
  }));
}

function offsetOf(value: unknown): number {
  return isMap(value) || isSeq(value) || isScalar(value) ? (value.range?.[0] ?? 0) : 0;
}
