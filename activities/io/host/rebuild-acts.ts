// What the acts on a rebuild's directories share: their arguments, what their results mean, and who must be the primary meanwhile.

import type { ClusterConfiguration, NodeConfiguration } from '../../../domain/facts/cluster';
import type { RebuildPlan } from '../../../domain/facts/data-directory';
import { actOnNode, jobsDirectory, runOnNode } from './act';
import { refusedStatus, scripts } from './scripts';
import { failure } from '../failures';
import { endJob, runJob } from './jobs';
import { readNodeFacts } from '../sql/node-facts';
import type { Tools } from '../tools';

export interface RebuildAct {
  readonly configuration: ClusterConfiguration;
  readonly node: NodeConfiguration;
  readonly script: string;
  readonly args: readonly string[];
  /** For the message of a failure: "set its data aside". */
  readonly what: string;
  /** From confirmReplaceable. */
  readonly lookedAt?: number;
}

const sqlMs = 2000;
const actMs = 60_000;
const lookMs = 10_000;

/** LINK CURRENT FRESH ASIDE of each, as the scripts take them. */
export function directoryArguments({ directories }: RebuildPlan): string[] {
  return directories.flatMap(({ link, current, fresh, aside }) => [link ?? '-', current, fresh, aside]);
}

/** Where the links of the old data led, on the node, while a rebuild is not finished. */
export function linksFile(configuration: ClusterConfiguration, node: NodeConfiguration): string {
  return `${jobsDirectory(configuration, node)}.links`;
}

/** The values of KEY=value lines. */
export function readValues(output: string, key: string): string[] {
  const start = `${key}=`;
  return output.split('\n').flatMap((line) => (line.startsWith(start) ? [line.slice(start.length)] : []));
}

/**
 * What the script printed.
 * @throws WorldChanged when it refused; Unproven when it failed or its outcome is unknown
 */
export async function actOnDirectories(tools: Tools, { what, ...act }: RebuildAct): Promise<string> {
  const result = await actOnNode(tools, { ...act, timeoutMs: actMs, clockOffsetMs: 'measure' });
  if (result.exitCode === 0) return result.stdout;
  throw explain(act.node, what, result.exitCode, `${result.stdout}\n${result.stderr}`);
}

/**
 * The same as a job on the node, which goes on if the worker dies. A job that failed is forgotten, so that the next attempt
 * starts another one: its script finds what the first has left.
 * @throws as actOnDirectories, and as runJob
 */
export async function runDirectoryJob(tools: Tools, { what, ...job }: RebuildAct & { name: string }): Promise<string> {
  const { configuration, node, name } = job;
  const line = `node ${node.id}: ${what}`;
  const end = await runJob(tools, job, () => ({ step: what, line }));
  if (end.state === 'done' && end.exitCode === 0) return end.log;
  await endJob(tools, configuration, node, name);
  throw explain(node, what, end.state === 'done' ? end.exitCode : null, end.log);
}

function explain(node: NodeConfiguration, what: string, exitCode: number | null, output: string): Error {
  const name = `node ${node.id} (${node.host})`;
  const [refused] = readValues(output, 'refused');
  if (exitCode === refusedStatus && refused !== undefined)
    return failure('worldChanged', `${name}: refused to ${what}: ${refused}`);
  const seen = output.trim().split('\n').slice(-3).join(' / ');
  const how = exitCode === null ? 'the outcome is unknown' : `exit status ${exitCode}`;
  return failure('unproven', `${name}: could not ${what} (${how}): ${seen}`);
}

/** Of the data directory, as it is now. @throws Unreachable; Unproven */
export async function readMark(
  tools: Tools,
  configuration: ClusterConfiguration,
  node: NodeConfiguration,
  { directories }: RebuildPlan,
): Promise<{ readonly mark: string | null; readonly isEmpty: boolean }> {
  const { current } = directories[0]!;
  const result = await runOnNode(tools, configuration, node, scripts.readMark, { args: [current], timeoutMs: lookMs });
  if (result.exitCode !== 0)
    throw failure('unproven', `node ${node.id}: cannot look at ${current}: ${result.stderr.trim()}`);
  const [mark] = readValues(result.stdout, 'mark');
  return { mark: mark ?? null, isEmpty: readValues(result.stdout, 'empty').length > 0 };
}

/**
 * Right before data is moved or removed: `primary` answers and accepts writes, and nobody else does, the node least of all.
 * @throws WorldChanged; Unreachable when the primary does not answer
 */
export async function confirmReplaceable(
  tools: Tools,
  configuration: ClusterConfiguration,
  node: number,
  primary: number,
): Promise<{ readonly systemIdentifier: string; readonly lookedAt: number }> {
  const lookedAt = Date.now();
  const name = `node ${node}`;
  const source = `node ${primary}`;
  if (node === primary) throw failure('worldChanged', `${name} is the primary: its data is never replaced`);
  const all = await Promise.all(
    configuration.nodes.map((entry) => readNodeFacts(tools.sql, configuration, entry, sqlMs)),
  );
  const facts = all.find((entry) => entry.node === primary);
  if (facts?.sql !== 'answered')
    throw failure('unreachable', `${name}: its data stays, because ${source} does not answer: ${facts?.sqlSeen ?? ''}`);
  if (facts.isInRecovery !== false || facts.systemIdentifier === null)
    throw failure('worldChanged', `${name}: its data stays, because ${source} is not the primary any more`);
  const other = all.find((entry) => entry.node !== primary && entry.isInRecovery === false);
  if (other) throw failure('worldChanged', `${name}: its data stays, because node ${other.node} accepts writes, too`);
  return { systemIdentifier: facts.systemIdentifier, lookedAt };
}
