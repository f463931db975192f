// The project's own files, read once, with the TypeScript syntax tree of those that have one.

import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import ts from 'typescript';

export const root = resolve(__dirname, '..', '..');

export interface ProjectFile {
  /** Relative to the root, with slashes. */
  readonly path: string;
  readonly text: string;
}

const ignoredFolders = new Set(['.git', 'node_modules', 'dist', 'coverage']);

/** Every file below the root except what others made (dependencies, output). */
export function listFiles(folder = ''): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true })
    .filter((entry) => !ignoredFolders.has(entry.name))
    .flatMap((entry) => {
      const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
      if (entry.isDirectory()) return listFiles(path);
      return entry.isFile() ? [path] : [];
    });
}

// Written by tools or lawyers, or data: none of our rules of style apply.
const foreign = /^(package-lock\.json|LICENSE|lab\/setup\/temporal-cli\/go\.(mod|sum)|.*\.log)$/;
const textual = /\.(ts|js|mjs|sh|md|json|ya?ml|conf|example|svg)$|^\.ci\/run$|^\.[a-z]+$/;

export function readFiles(paths: readonly string[]): ProjectFile[] {
  return paths
    .filter((path) => textual.test(path) && !foreign.test(path))
    .map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }));
}

export const isTypeScript = ({ path }: ProjectFile): boolean => path.endsWith('.ts');
export const isShell = ({ path }: ProjectFile): boolean => path.endsWith('.sh') || path === '.ci/run';
export const isCode = (file: ProjectFile): boolean => /\.(ts|js|mjs)$/.test(file.path) || isShell(file);
export const isTest = ({ path }: ProjectFile): boolean => path.startsWith('test/') || path.endsWith('.test.ts');
export const isMarkdown = ({ path }: ProjectFile): boolean => path.endsWith('.md');

const trees = new WeakMap<ProjectFile, ts.SourceFile>();

/** With parents set; JavaScript parses as well. Kept, because several rules read each tree. */
export function parse(file: ProjectFile): ts.SourceFile {
  const tree = trees.get(file) ?? ts.createSourceFile(file.path, file.text, ts.ScriptTarget.ES2022, true);
  trees.set(file, tree);
  return tree;
}

/** Every node of the tree, parents first. */
export function walk(node: ts.Node, visit: (node: ts.Node) => void): void {
  visit(node);
  ts.forEachChild(node, (child) => {
    walk(child, visit);
  });
}

export function lineOf(source: ts.SourceFile, position: number): number {
  return source.getLineAndCharacterOfPosition(position).line + 1;
}
