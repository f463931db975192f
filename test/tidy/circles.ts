// Circles of imports: files that cannot be understood, or moved, one without the other.

import { posix } from 'node:path';
import { readImport } from './code-rules';
import { isCode, isShell, isTest, parse, type ProjectFile, walk } from './files';

const endings = ['', '.ts', '.js', '/index.ts', '/index.js'];

/** One sentence for each circle; a circle of types counts too, except between tests and their fakes. */
export function findCircles(files: readonly ProjectFile[]): string[] {
  const code = files.filter((file) => isCode(file) && !isShell(file));
  const paths = new Set(code.map(({ path }) => path));
  const imports = new Map(code.map((file) => [file.path, listImports(file, paths)]));
  const done = new Set<string>();
  const circles: string[] = [];
  const visit = (path: string, above: readonly string[]): void => {
    const start = above.indexOf(path);
    if (start >= 0) circles.push(`${[...above.slice(start), path].join(' → ')}: imports go in a circle`);
    if (start >= 0 || done.has(path)) return;
    for (const next of imports.get(path)!) visit(next, [...above, path]);
    done.add(path);
  };
  for (const { path } of code) visit(path, []);
  return circles;
}

function listImports(file: ProjectFile, paths: ReadonlySet<string>): string[] {
  const found: string[] = [];
  walk(parse(file), (node) => {
    const seen = readImport(node);
    if (!seen?.specifier.startsWith('.') || (seen.isTypeOnly && isTest(file))) return;
    const base = posix.join(posix.dirname(file.path), seen.specifier);
    const target = endings.map((ending) => `${base}${ending}`).find((path) => paths.has(path));
    if (target !== undefined) found.push(target);
  });
  return found;
}
