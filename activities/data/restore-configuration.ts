// Gives a fresh copy the node's own configuration back: what the base backup brought from the primary goes, the last good set comes.
// Settings of the moment (whom to follow, whom to wait for) are never restored; configureStandby writes them.

import { type ClusterConfiguration, getNode } from '../../domain/facts/cluster';
import type { RebuildPlan } from '../../domain/facts/data-directory';
import { autoConfHeader, replicationSettings, withoutSettings, withSetting } from '../../domain/texts/settings-file';
import { actOnFiles, encodeText, fileActBoundMs, readFiles, type FileText } from '../io/host/configuration-files';
import { failure } from '../io/failures';
import type { Tools } from '../io/tools';

export interface RestoreConfigurationInput {
  readonly configuration: ClusterConfiguration;
  readonly node: number;
  readonly rebuild: RebuildPlan;
}

export interface RestoreConfigurationResult {
  readonly changed: boolean;
  readonly line: string;
}

/** Sums the reading of the files and their writing. */
export const boundMs = fileActBoundMs + fileActBoundMs;

/**
 * The set is only copied, so it may be repeated after dying anywhere. Without a saved set the primary's files stay, less the
 * settings of the moment, with the node's own port.
 * @throws WorldChanged when the data directory is not the fresh copy of this rebuild, or PostgreSQL processes work in it.
 */
export async function restoreConfiguration(
  tools: Tools,
  input: RestoreConfigurationInput,
): Promise<RestoreConfigurationResult> {
  const { configuration, rebuild } = input;
  const node = getNode(configuration, input.node);
  const name = `node ${node.id}`;
  const directory = rebuild.directories[0]!.current;
  const files = await readFiles(tools, configuration, node, directory);
  if (files.rebuildMark !== rebuild.rebuildId) {
    const seen = files.rebuildMark === null ? 'carries no mark' : `carries the mark of ${files.rebuildMark}`;
    throw failure(
      'worldChanged',
      `${name}: ${directory} is not the fresh copy of rebuild ${rebuild.rebuildId}: it ${seen}`,
    );
  }
  const found = files.lastSet === null ? files.auto : files.savedAuto;
  const auto: FileText = found ?? { text: autoConfHeader, encoding: 'utf8' };
  const cleaned = withoutSettings(auto.text, replicationSettings);
  const text = files.lastSet === null ? withSetting(cleaned, 'port', String(node.port)) : cleaned;
  const values = await actOnFiles(tools, {
    configuration,
    node,
    script: 'restoreConfiguration',
    args: [directory, rebuild.rebuildId, files.lastSet ?? '', encodeText({ ...auto, text })],
    what: `restore its configuration into ${directory}`,
  });
  const left = values.all('left');
  const kept = left.length === 0 ? '' : `; as the base backup brought it: ${left.join(', ')}`;
  const line =
    files.lastSet === null
      ? `${name} has no saved configuration: the files in ${directory} are the primary's now, with port ${node.port} ` +
        'in postgresql.auto.conf; check its addresses, memory settings, access rules and certificates'
      : `${name}: its own configuration is back from ${files.lastSet}${kept}`;
  return { changed: values.flag('changed') === true, line };
}
