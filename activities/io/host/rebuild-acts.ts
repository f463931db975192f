// Shared by the acts on a rebuild's directories: their arguments, and who must be the primary meanwhile.

import type { ClusterConfiguration, NodeConfiguration } from '../../../domain/facts/cluster';
import type { RebuildPlan } from '../../../domain/facts/data-directory';
import { type ActOrder, actBoundMs, jobsDirectory, mustAct, mustLook } from './act';
import { requireDone, type Values } from './answer';
import { failure } from '../failures';
import { answerOf, endJob, runJob } from './jobs';
import { nodeFactsBoundMs, readNodeFacts } from '../sql/node-facts';
import type { Tools } from '../tools';

export type RebuildAct = Pick<ActOrder, 'configuration' | 'node' | 'script' | 'args' | 'lookedAt'> & {
  /** For the sentence of a failure: "set its data aside". */
  readonly what: string;
};

const sqlMs = 2000;
const actMs = 60_000;
const lookMs = 10_000;

/** Bounds actOnDirectories(). */
export const directoryActBoundMs = actBoundMs(actMs);
/** Bounds readMark(). */
export const readMarkBoundMs = lookMs;
/** Bounds confirmReplaceable(), which asks all nodes at once. */
export const confirmReplaceableBoundMs = nodeFactsBoundMs(sqlMs);

/** LINK CURRENT FRESH ASIDE of each, as the scripts take them. */
export function directoryArguments({ directories }: RebuildPlan): string[] {
  return directories.flatMap(({ link, current, fresh, aside }) => [link ?? '-', current, fresh, aside]);
}

/** Where the links of the old data led, on the node, while a rebuild is not finished. */
export function linksFile(configuration: ClusterConfiguration, node: NodeConfiguration): string {
  return `${jobsDirectory(configuration, node)}.links`;
}

/** @throws as mustAct() */
export async function actOnDirectories(tools: Tools, order: RebuildAct): Promise<Values> {
  return await mustAct(tools, { ...order, timeoutMs: actMs, clockOffsetMs: 'measure' });
}

/**
 * The same as a job on the node, which goes on if the worker dies. A job that failed is forgotten, so that the next attempt
 * starts another one: its script finds what the first has left.
 * @throws as requireDone() and runJob()
 */
export async function runDirectoryJob(tools: Tools, { what, ...job }: RebuildAct & { name: string }): Promise<Values> {
  const { configuration, node, name } = job;
  const line = `node ${node.id}: ${what}`;
  const end = await runJob(tools, job, () => ({ step: what, line }));
  const answer = answerOf(end);
  if (answer.kind !== 'done') await endJob(tools, configuration, node, name);
  return requireDone({ node, what }, answer);
}

/** Of the data directory, as it is now. @throws Unreachable; Unproven */
export async function readMark(
  tools: Tools,
  configuration: ClusterConfiguration,
  node: NodeConfiguration,
  { directories }: RebuildPlan,
): Promise<{ readonly mark: string | null; readonly isEmpty: boolean }> {
  const { current } = directories[0]!;
  const order = { configuration, node, script: 'readMark', args: [current], timeoutMs: lookMs } as const;
  const values = await mustLook(tools, { ...order, what: `look at ${current}` });
  return { mark: values.get('mark') ?? null, isEmpty: values.flag('empty') === true };
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
