// Rules about which files must exist beside which: tests of activities, recorded histories of workflows.
// Each takes the list of all paths and returns sentences that start with the path at fault.

import { parse, type ProjectFile } from './files';
import ts from 'typescript';

const verb = /^activities\/(?!io\/)([a-z0-9-]+\/[a-z0-9-]+)\.ts$/;

export function checkActivityTests(paths: readonly string[]): string[] {
  return paths.flatMap((path) => {
    const name = verb.exec(path)?.[1];
    if (!name) return [];
    const test = `test/activities/${name}.test.ts`;
    return paths.includes(test) ? [] : [`${path}: has no ${test}`];
  });
}

/** The modules whose values the bundle's entry exports: each is a workflow. */
export function listWorkflows(index: ProjectFile): string[] {
  return parse(index).statements.flatMap((statement) => {
    if (!ts.isExportDeclaration(statement) || statement.isTypeOnly || !statement.moduleSpecifier) return [];
    const specifier = (statement.moduleSpecifier as ts.StringLiteral).text;
    return specifier.startsWith('./') ? [`workflows/${specifier.slice(2).replace(/\.js$/, '')}.ts`] : [];
  });
}

export function checkHistories(workflows: readonly string[], paths: readonly string[]): string[] {
  return workflows.flatMap((path) => {
    const name = path.slice('workflows/'.length, -'.ts'.length);
    const isRecorded = paths.some((other) => {
      const file = other.startsWith('test/workflows/histories/') ? other.slice('test/workflows/histories/'.length) : '';
      return (
        file.endsWith('.json') &&
        (file.startsWith(`${name}.`) || file.startsWith(`${name}-`) || file.startsWith(`${name}/`))
      );
    });
    return isRecorded ? [] : [`${path}: has no recorded history test/workflows/histories/${name}*.json`];
  });
}
