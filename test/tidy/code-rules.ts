// Rules about the shape of code: budgets, openings, imports, exports, marks in tests.
// Each takes one file and returns sentences, one per breach; an empty list is a pass.

import ts from 'typescript';
import { explainImport } from './fences';
import { isCode, isShell, isTest, isTypeScript, lineOf, parse, walk, type ProjectFile } from './files';

export const budgets = { source: 300, test: 400, function: 50, literal: 3 } as const;

const countLines = (text: string): number => text.trimEnd().split('\n').length;

export function checkLength(file: ProjectFile): string[] {
  if (!isCode(file)) return [];
  const budget = isTest(file) ? budgets.test : budgets.source;
  const lines = countLines(file.text);
  return lines > budget ? [`${file.path}: ${lines} lines, budget ${budget}`] : [];
}

function nameOf(node: ts.FunctionLikeDeclaration): string {
  if (node.name) return node.name.getText();
  return ts.isVariableDeclaration(node.parent) ? node.parent.name.getText() : 'callback';
}

/** The callback of describe() only groups tests; each test in it has the budget. */
function isGroup(node: ts.Node): boolean {
  return ts.isCallExpression(node.parent) && /^describe\b/.test(node.parent.expression.getText());
}

export function checkFunctionLength(file: ProjectFile): string[] {
  if (!isCode(file) || isShell(file)) return [];
  const source = parse(file);
  const problems: string[] = [];
  walk(source, (node) => {
    if (!ts.isFunctionLike(node) || !('body' in node) || isGroup(node)) return;
    const start = lineOf(source, node.getStart());
    const lines = lineOf(source, node.end) - start + 1;
    if (lines <= budgets.function) return;
    const name = nameOf(node);
    problems.push(`${file.path}:${start}: ${name} has ${lines} lines, budget ${budgets.function}`);
  });
  return problems;
}

const kebab = /^\.?[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9]+(-[a-z0-9]+)*)*$/;
const conventional = new Set(['README.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'SECURITY.md', 'LICENSE', 'NOTICE']);

export function checkName(path: string): string[] {
  const wrong = path.split('/').filter((part) => !kebab.test(part) && !conventional.has(part));
  return wrong.map((part) => `${path}: ${part} is not kebab-case`);
}

/** One to three comment lines that say what the file is and its contract. */
export function checkOpening(file: ProjectFile): string[] {
  if (!isCode(file)) return [];
  const lines = file.text.split('\n');
  if (lines[0]?.startsWith('#!')) lines.shift();
  const mark = isShell(file) ? '#' : '//';
  const end = lines.findIndex((line) => !line.startsWith(mark));
  if (end === 0) return [`${file.path}: opens without a comment that says what it is`];
  return end > 3 ? [`${file.path}: opens with ${end} comment lines, at most three`] : [];
}

const sql = /^\s*(select|with|insert|update|delete)\b/i;

/** Scripts for other hosts are files below activities/io/host/sh/, where shellcheck reads them; SQL may stay. */
export function checkShellLiterals(file: ProjectFile): string[] {
  if (!isTypeScript(file) || !file.path.startsWith('activities/')) return [];
  const source = parse(file);
  const problems: string[] = [];
  walk(source, (node) => {
    const isText = ts.isStringLiteralLike(node) || ts.isTemplateExpression(node);
    if (!isText) return;
    const text = ts.isStringLiteralLike(node) ? node.text : node.getText().slice(1, -1);
    const lines = countLines(text.trim());
    if (lines <= budgets.literal || sql.test(text)) return;
    problems.push(`${file.path}:${lineOf(source, node.getStart())}: a text of ${lines} lines belongs into a file`);
  });
  return problems;
}

export interface Import {
  readonly specifier: string;
  readonly isTypeOnly: boolean;
  readonly position: number;
}

function isTypeImport({ importClause }: ts.ImportDeclaration): boolean {
  if (!importClause) return false;
  if (importClause.phaseModifier === ts.SyntaxKind.TypeKeyword) return true;
  const { name, namedBindings } = importClause;
  if (name || !namedBindings || !ts.isNamedImports(namedBindings)) return false;
  return namedBindings.elements.length > 0 && namedBindings.elements.every((element) => element.isTypeOnly);
}

function isTypeExport({ isTypeOnly, exportClause }: ts.ExportDeclaration): boolean {
  if (isTypeOnly || !exportClause || !ts.isNamedExports(exportClause)) return isTypeOnly;
  return exportClause.elements.length > 0 && exportClause.elements.every((element) => element.isTypeOnly);
}

/** import and export … from, import(), require(), import("…") types, import x = require(). */
export function readImport(node: ts.Node): Import | null {
  const found = (specifier: ts.Node | undefined, isTypeOnly: boolean): Import | null =>
    specifier && ts.isStringLiteralLike(specifier)
      ? { specifier: specifier.text, isTypeOnly, position: node.getStart() }
      : null;
  if (ts.isImportDeclaration(node)) return found(node.moduleSpecifier, isTypeImport(node));
  if (ts.isExportDeclaration(node)) return found(node.moduleSpecifier, isTypeExport(node));
  if (ts.isExternalModuleReference(node)) return found(node.expression, false);
  if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) return found(node.argument.literal, true);
  if (!ts.isCallExpression(node)) return null;
  const isLoad = node.expression.kind === ts.SyntaxKind.ImportKeyword || node.expression.getText() === 'require';
  return isLoad ? found(node.arguments[0], false) : null;
}

export function checkImports(file: ProjectFile): string[] {
  if (!isCode(file) || isShell(file)) return [];
  const source = parse(file);
  const problems: string[] = [];
  walk(source, (node) => {
    const seen = readImport(node);
    const problem = seen && explainImport(file.path, seen.specifier, seen.isTypeOnly);
    if (problem) problems.push(`${file.path}:${lineOf(source, seen.position)}: ${problem}`);
  });
  return problems;
}

export function checkExports(file: ProjectFile): string[] {
  if (!isTypeScript(file)) return [];
  const source = parse(file);
  const isDefault = (node: ts.Node): boolean =>
    ts.isExportAssignment(node) ||
    (ts.isExportSpecifier(node) && node.name.text === 'default') ||
    (ts.canHaveModifiers(node) &&
      (ts.getModifiers(node) ?? []).some(({ kind }) => kind === ts.SyntaxKind.DefaultKeyword));
  const problems: string[] = [];
  walk(source, (node) => {
    if (isDefault(node)) problems.push(`${file.path}:${lineOf(source, node.getStart())}: named exports only`);
  });
  return problems;
}

/** .only never; .skip and its like only with `// skipped: reason` on the line or the one above. */
export function checkMarks(file: ProjectFile): string[] {
  if (!isTest(file) || !isTypeScript(file) || file.path.startsWith('test/tidy/')) return [];
  const lines = file.text.split('\n');
  return lines.flatMap((line, index) => {
    const at = `${file.path}:${index + 1}`;
    if (/\b(it|test|describe)(\.\w+)*\.only\b|\bf(it|describe)\(/.test(line))
      return [`${at}: .only hides the other tests`];
    const isSkipped = /\b(it|test|describe)(\.\w+)*\.(skip|todo)\b|\bx(it|test|describe)\(/.test(line);
    const hasReason = [line, lines[index - 1] ?? ''].some((text) => /\/\/ skipped: \S+/.test(text));
    return isSkipped && !hasReason ? [`${at}: skipped without "// skipped: <reason>"`] : [];
  });
}
