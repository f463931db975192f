// Saves what lies inside a node's data directory and is not PostgreSQL's own: settings, access rules, includes, certificates, scripts.
// Each set is complete and never changed; the newest is the last good set, and outlives the data directory.

import { type ClusterConfiguration, getNode } from '../../domain/facts/cluster';
import { jobsDirectory, savedDirectory } from '../io/host/act';
import { actOnFiles, fileActBoundMs } from '../io/host/configuration-files';
import type { Tools } from '../io/tools';

export interface SaveConfigurationInput {
  readonly configuration: ClusterConfiguration;
  readonly node: number;
  /** Of the rebuild that asks; null outside one. */
  readonly rebuildId: string | null;
}

export interface SaveConfigurationResult {
  readonly changed: boolean;
  readonly line: string;
  /** The last good set's path on the node; null when there is none. */
  readonly set: string | null;
  /** The data directory carries the mark of this rebuild, so nothing was saved from it; null without one. */
  readonly mark: string | null;
}

/** Counts the one act. */
export const boundMs = fileActBoundMs;

/**
 * Works on a running node and on a stopped one. Nothing is saved from a directory that is gone, incomplete or a copy that was
 * never started, whose files are another node's, nor once a rebuild has begun to copy: then the last good set is reported.
 * @throws Unproven when it cannot be written (a full disk); Configuration when it would lie inside the data directory.
 */
export async function saveConfiguration(tools: Tools, input: SaveConfigurationInput): Promise<SaveConfigurationResult> {
  const { configuration } = input;
  const node = getNode(configuration, input.node);
  const args = [node.dataDirectory, savedDirectory(configuration, node), jobsDirectory(configuration, node)];
  const what = 'save its configuration';
  const values = await actOnFiles(tools, { configuration, node, script: 'saveConfiguration', args, what });
  const [set, skipped, saved, mark] = ['set', 'skipped', 'saved', 'mark'].map((key) => values.get(key));
  const left = values.all('left');
  const notes = left.length === 0 ? '' : `; left out: ${left.join(', ')}`;
  const name = `node ${node.id}`;
  if (skipped !== undefined) {
    const owner = !mark ? '' : mark === input.rebuildId ? ' of this rebuild' : ` of rebuild ${mark}`;
    const last = set ? `the last good set is ${set}` : 'and there is no saved configuration';
    return {
      changed: false,
      line: `${name}: nothing to save, ${skipped}${owner}; ${last}`,
      set: set || null,
      mark: mark || null,
    };
  }
  const line =
    saved === undefined
      ? `${name}: its configuration is as in ${set!}`
      : `${name}: its configuration is saved in ${set!} (${saved.trim()} entries)`;
  return { changed: saved !== undefined, line: `${line}${notes}`, set: set!, mark: null };
}
