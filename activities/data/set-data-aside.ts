// Renames the old data directory of a stopped node, and the directories that it links to, once the verified copy lies beside them.

import { type ClusterConfiguration, getNode } from '../../domain/facts/cluster';
import type { RebuildPlan } from '../../domain/facts/data-directory';
import {
  actOnDirectories,
  confirmReplaceable,
  confirmReplaceableBoundMs,
  directoryActBoundMs,
  directoryArguments,
  linksFile,
} from '../io/host/rebuild-acts';
import type { Tools } from '../io/tools';

export interface SetDataAsideInput {
  readonly configuration: ClusterConfiguration;
  readonly node: number;
  readonly primary: number;
  readonly rebuild: RebuildPlan;
}

export interface SetDataAsideResult {
  readonly changed: boolean;
  readonly line: string;
}

/** Sums the guard and the act. */
export const boundMs = confirmReplaceableBoundMs + directoryActBoundMs;

/**
 * Nothing is removed. The data directory goes first, so that nothing can be started in between; with removeFirst nothing is done.
 * @throws WorldChanged when a guard of design 5 does not hold at this moment; Unproven; Unreachable
 */
export async function setDataAside(tools: Tools, input: SetDataAsideInput): Promise<SetDataAsideResult> {
  const { configuration, rebuild } = input;
  const node = getNode(configuration, input.node);
  const name = `node ${node.id}`;
  if (rebuild.mode === 'removeFirst')
    return { changed: false, line: `${name}: nothing to set aside, its data was removed first` };
  const { lookedAt } = await confirmReplaceable(tools, configuration, node.id, input.primary);
  const values = await actOnDirectories(tools, {
    configuration,
    node,
    script: 'setAside',
    args: [
      configuration.postgres.bin,
      rebuild.rebuildId,
      linksFile(configuration, node),
      ...directoryArguments(rebuild),
    ],
    what: 'set its data aside',
    lookedAt,
  });
  const changed = values.get('moved') !== undefined;
  const aside = values.get('aside');
  const isPlaced = values.get('state') === 'placed';
  const line = isPlaced
    ? 'the copy is in place already'
    : aside
      ? `the old data is at ${aside}`
      : 'there is no old data';
  return { changed, line: `${name}: ${line}` };
}
