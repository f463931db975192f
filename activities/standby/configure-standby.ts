// Writes a stopped node's replication settings: standby.signal, and primary_conninfo in postgresql.auto.conf.
// The node's former primary_conninfo is repointed, so that its sslmode, passfile or password survive; none of it is ever reported.
// Its slot survives, too.

import { type ClusterConfiguration, getNode } from '../../domain/facts/cluster';
import { describeRenaming, parseConninfo, repointConninfo, upstreamOf } from '../../domain/texts/conninfo';
import {
  autoConfHeader,
  readSetting,
  replicationSettings,
  withoutSettings,
  withSetting,
} from '../../domain/texts/settings-file';
import {
  actOnFiles,
  encodeText,
  fileActBoundMs,
  readFiles,
  type FileText,
  type NodeFiles,
} from '../io/host/configuration-files';
import { ensureSlot, ensureSlotBoundMs } from '../io/sql/slots';
import type { Tools } from '../io/tools';

/** From now on, by the primary's clock: later a slot is not made any more. */
const slotMs = 5000;
/** Sums the reading of the files, their writing, and the slot. */
export const boundMs = fileActBoundMs + fileActBoundMs + ensureSlotBoundMs;

export interface ConfigureStandbyInput {
  readonly configuration: ClusterConfiguration;
  readonly node: number;
  readonly primary: number;
}

export interface ConfigureStandbyResult {
  readonly changed: boolean;
  readonly line: string;
}

/**
 * The slot that it names is made on the primary.
 * @throws WorldChanged when PostgreSQL processes work in the data directory; Unproven when the files are not as written, or the
 * slot cannot be made; SqlFailure when the primary does not answer
 */
export async function configureStandby(tools: Tools, input: ConfigureStandbyInput): Promise<ConfigureStandbyResult> {
  const { configuration } = input;
  const [node, primary] = [getNode(configuration, input.node), getNode(configuration, input.primary)];
  const files = await readFiles(tools, configuration, node, node.dataDirectory);
  const former = findFormerConninfo(files);
  const auto: FileText = files.auto ?? { text: autoConfHeader, encoding: 'utf8' };
  const conninfo = repointConninfo(former.conninfo, upstreamOf(configuration, node, primary));
  const own = withSetting(withoutSettings(auto.text, replicationSettings), 'primary_conninfo', conninfo);
  const ownSlot = findOwnSlot(files);
  const text = ownSlot === null ? own : withSetting(own, 'primary_slot_name', ownSlot);
  const changed = !isAsWanted(files, text);
  if (changed) {
    const args = [node.dataDirectory, files.auto === null ? '' : encodeText(files.auto), encodeText({ ...auto, text })];
    const what = 'write its replication settings';
    await actOnFiles(tools, { configuration, node, script: 'configureStandby', args, what });
  }
  const slot = { configuration, node: node.id, primary, slot: ownSlot ?? files.effectiveSlot };
  const isMade = await ensureSlot(tools, slot, slotMs);
  const is = changed ? 'is now' : 'is already';
  const line = `node ${node.id} ${is} configured to follow node ${primary.id} (${primary.host}:${primary.port})`;
  const through = isMade ? `, through its slot ${slot.slot}, which was made there` : '';
  return {
    changed: changed || isMade,
    line: `${line}${through}${former.note || describeRenaming(former.conninfo, conninfo)}`,
  };
}

function isAsWanted(files: NodeFiles, text: string): boolean {
  return files.auto?.text === text && files.hasStandbySignal && !files.hasRecoverySignal;
}

/**
 * The node's own slot in postgresql.auto.conf: without that line the slot that is made for it would hold WAL for nobody. A restored file has none,
 * nor a primary_conninfo, but the saved set keeps both. Null when it has none there; another file may still name one.
 */
function findOwnSlot(files: NodeFiles): string | null {
  const isRestored = files.auto === null || readSetting(files.auto.text, 'primary_conninfo') === null;
  const saved = isRestored && files.savedAuto ? readSetting(files.savedAuto.text, 'primary_slot_name') : null;
  return (files.auto && readSetting(files.auto.text, 'primary_slot_name')) ?? saved;
}

/** The node's newest one: a restored postgresql.auto.conf has none, but the saved set keeps it as it was. */
function findFormerConninfo(files: NodeFiles): { readonly conninfo: string; readonly note: string } {
  const read = (file: FileText | null): string => (file && readSetting(file.text, 'primary_conninfo')) ?? '';
  const sources = [
    { where: 'postgresql.auto.conf', conninfo: read(files.auto) },
    { where: `${String(files.lastSet)}/postgresql.auto.conf`, conninfo: read(files.savedAuto) },
    { where: 'postgresql.conf or a file that it includes', conninfo: files.effectiveConninfo },
  ];
  const found = sources.find(({ conninfo }) => conninfo.trim() !== '');
  if (!found) return { conninfo: '', note: '; it had no primary_conninfo, the new one is from the cluster file alone' };
  if (parseConninfo(found.conninfo) !== null) return { conninfo: found.conninfo, note: '' };
  const note = `; its primary_conninfo in ${found.where} is not keyword = value text: the new one is from the cluster file alone`;
  return { conninfo: '', note };
}
