// Renames the verified copy into the place of the data directory, with its links to pg_wal and the tablespaces already right.

import { type ClusterConfiguration, getNode } from '../../domain/facts/cluster';
import type { RebuildPlan } from '../../domain/facts/data-directory';
import { actOnDirectories, directoryActBoundMs, directoryArguments, linksFile } from '../io/host/rebuild-acts';
import type { Tools } from '../io/tools';

export interface PlaceDataInput {
  readonly configuration: ClusterConfiguration;
  readonly node: number;
  readonly rebuild: RebuildPlan;
}

export interface PlaceDataResult {
  readonly changed: boolean;
  readonly line: string;
}

/** Counts the one act. */
export const boundMs = directoryActBoundMs;

/**
 * The data directory comes last, so that nothing can be started before all of it is there; with removeFirst it is only looked at.
 * @throws WorldChanged when something else is in its place, or the copy is not the verified one; Unproven; Unreachable
 */
export async function placeData(tools: Tools, input: PlaceDataInput): Promise<PlaceDataResult> {
  const { configuration, rebuild } = input;
  const node = getNode(configuration, input.node);
  const values = await actOnDirectories(tools, {
    configuration,
    node,
    script: 'place',
    args: [
      configuration.postgres.bin,
      rebuild.rebuildId,
      linksFile(configuration, node),
      ...directoryArguments(rebuild),
    ],
    what: 'put the copy in place',
  });
  const changed = ['moved', 'linked'].some((key) => values.get(key) !== undefined);
  return { changed, line: `node ${node.id}: the verified copy is in place at ${node.dataDirectory}` };
}
