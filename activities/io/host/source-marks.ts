// Files of ours that a rebuild left over in a primary's data directory: a base backup would bring them along.
// With the mark of another rebuild, half a copy would look as if it had been verified.

import type { ClusterConfiguration, NodeConfiguration } from '../../../domain/facts/cluster';
import { rebuildMarkName } from '../../../domain/facts/data-directory';
import { act, actBoundMs } from './act';
import { restoredMarkName } from './scripts';
import { failure, messageOf } from '../failures';
import { sqlTarget, type Tools } from '../tools';

const names = [rebuildMarkName, restoredMarkName].flatMap((name) => [name, `${name}.new`]);
const sqlMs = 2000;
const actMs = 10_000;
/** Bounds clearSourceMarks(), which looks for the marks before the act and after it. */
export const clearSourceMarksBoundMs = sqlMs + actBoundMs(actMs) + sqlMs;

/**
 * `primary` is known to accept writes, so it is nobody's unfinished copy.
 * @throws Unreachable; Unproven when they are still there
 */
export async function clearSourceMarks(
  tools: Tools,
  configuration: ClusterConfiguration,
  primary: NodeConfiguration,
): Promise<void> {
  const found = await findMarks(tools, configuration, primary);
  if (found.length === 0) return;
  const answer = await act(tools, {
    configuration,
    node: primary,
    script: 'removeLeftoverMarks',
    args: [primary.dataDirectory, ...found],
    timeoutMs: actMs,
    clockOffsetMs: 'measure',
  });
  const left = await findMarks(tools, configuration, primary);
  if (left.length === 0) return;
  const seen = answer.kind === 'done' ? '' : `: ${answer.sentence}`;
  const paths = left.map((name) => `${primary.dataDirectory}/${name}`).join(' and ');
  throw failure(
    'unproven',
    `node ${primary.id} (${primary.host}): no base backup from it: ${paths} of a former rebuild could not be removed${seen}; remove it there`,
  );
}

async function findMarks(
  tools: Tools,
  configuration: ClusterConfiguration,
  primary: NodeConfiguration,
): Promise<string[]> {
  const text = 'select name from unnest($1::text[]) name where (pg_stat_file(name, true)).size is not null';
  try {
    const target = sqlTarget(configuration, primary);
    const rows = await tools.sql.query<{ name: string }>(target, text, { values: [names], timeoutMs: sqlMs });
    return rows.map(({ name }) => name);
  } catch (error) {
    const what = `node ${primary.id}: cannot tell whether a former rebuild left its mark there`;
    throw failure('unreachable', `${what}: ${messageOf(error)}`, error);
  }
}
