// Reads a cluster file: text → YAML with line numbers → schema → cross checks → ClusterConfiguration.
// The result has every default filled in; otherwise one ConfigurationError lists every problem with its line.

import { readFileSync } from 'node:fs';
import * as v from 'valibot';
import type { ClusterConfiguration } from '../domain/facts/cluster';
import { complete } from './complete';
import { crossCheck, type Draft } from './cross-check';
import { type ClusterFile, clusterFileSchema, getEntries, getExpectation, getItem, type Schema } from './schema';
import {
  findKeyProblems,
  findSyntaxProblems,
  formatPath,
  locate,
  type Path,
  type Problem,
  readYaml,
} from './yaml-lines';

/** `message` has one line per problem, in the order of the file: `path/to/file.yaml:LINE: sentence`. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError';

  constructor(readonly problems: readonly string[]) {
    super(problems.join('\n'));
  }
}

/** Reads and validates one cluster file. Throws ConfigurationError, also when the file cannot be read. */
export function loadClusterFile(path: string): ClusterConfiguration {
  return parseClusterFile(readClusterFile(path), path);
}

/** The text of a cluster file. Throws ConfigurationError when it cannot be read. */
export function readClusterFile(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? String(error);
    const sentence = `the cluster file cannot be read (${code}): check the path and its permissions`;
    throw toError(path, [{ line: 1, sentence }]);
  }
}

/** Validates a text in memory; `path` only names the file in errors. */
export function parseClusterFile(text: string, path: string): ClusterConfiguration {
  const yaml = readYaml(text);
  const syntaxProblems = findSyntaxProblems(yaml);
  if (syntaxProblems.length > 0) throw toError(path, syntaxProblems);

  const problems = findKeyProblems(yaml, clusterFileSchema);
  const report = (at: Path, sentence: string) => {
    problems.push({ line: locate(yaml, at).line, sentence: `${formatPath(at)} ${sentence}` });
  };
  const parsed = v.safeParse(clusterFileSchema, yaml.document.toJS(), { abortPipeEarly: true });
  const issues = (parsed.issues ?? []).map(({ message, input, path: at }) => {
    return { message, input, at: (at ?? []).map((item) => item.key as string | number) };
  });
  for (const { message, input, at } of issues) {
    const isMissing = !locate(yaml, at).isFound;
    report(at, isMissing ? `is missing: write ${expectationAt(at)}` : `must be ${message}${describeValue(input, at)}`);
  }
  crossCheck(
    withoutValuesAt(
      parsed.output,
      issues.map(({ at }) => at),
    ),
    report,
  );
  if (!parsed.success || problems.length > 0) throw toError(path, problems);
  return complete(parsed.output);
}

function toError(path: string, problems: readonly Problem[]): ConfigurationError {
  const inOrder = problems.toSorted((left, right) => left.line - right.line);
  return new ConfigurationError(inOrder.map(({ line, sentence }) => `${path}:${line}: ${sentence}`));
}

function expectationAt(path: Path): string {
  let schema: Schema | undefined = clusterFileSchema;
  for (const part of path) {
    schema = schema && (typeof part === 'number' ? getItem(schema) : getEntries(schema)?.[part]);
  }
  return schema ? getExpectation(schema) : 'a value';
}

/** A password in the wrong place must not travel into logs, so values of keys that invite one are not shown. */
function describeValue(input: unknown, at: Path): string {
  if (at.some((part) => part === 'passFile' || part === 'fenceCommand' || part === 'commands')) return '';
  if (input === null) return ', not empty';
  if (typeof input === 'object') return Array.isArray(input) ? ', not a list' : ', not a mapping';
  return `, not ${JSON.stringify(input).slice(0, 60)}`;
}

/** The schema's output where only well-typed values are left, so that cross checks can run beside other problems. */
function withoutValuesAt(output: unknown, paths: readonly Path[]): Draft<ClusterFile> {
  for (const path of paths) {
    const last = path.at(-1);
    if (last === undefined) return {};
    const parent = path.slice(0, -1).reduce<unknown>((value, part) => (value as Record<string, unknown>)[part], output);
    (parent as Record<string, unknown>)[last] = undefined;
  }
  return output as Draft<ClusterFile>;
}
