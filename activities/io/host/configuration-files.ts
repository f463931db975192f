// The configuration files of a node as an activity sees them: read and changed by scripts that include lib/config-sets.sh, under the node's lock.
// What is read may hold a password in primary_conninfo: it stays in memory, and never enters a result, a failure or a heartbeat.

import type { ClusterConfiguration, NodeConfiguration } from '../../../domain/facts/cluster';
import { actOnNode, savedDirectory } from './act';
import { misconfiguredStatus, refusedStatus, scripts } from './scripts';
import { failure } from '../failures';
import { readValues } from './rebuild-acts';
import type { Tools } from '../tools';

/** Three acts of one activity are shorter than its 2 minutes. */
const actMs = 30_000;

export interface FileAct {
  readonly configuration: ClusterConfiguration;
  readonly node: NodeConfiguration;
  /** A script that includes lib/config-sets.sh. */
  readonly script: string;
  readonly args: readonly string[];
  /** For the message of a failure: "save its configuration". */
  readonly what: string;
}

/**
 * What the script printed.
 * @throws WorldChanged or Configuration when it refused; Unproven when it failed, or when its outcome is unknown.
 */
export async function actOnFiles(tools: Tools, { what, ...act }: FileAct): Promise<string> {
  const result = await actOnNode(tools, { ...act, timeoutMs: actMs, clockOffsetMs: 'measure' });
  if (result.exitCode === 0) return result.stdout;
  const type =
    result.exitCode === refusedStatus
      ? 'worldChanged'
      : result.exitCode === misconfiguredStatus
        ? 'configuration'
        : 'unproven';
  const seen = readValues(result.stdout, 'refused')[0] ?? result.stderr.trim().slice(0, 500);
  const status = result.exitCode === null ? 'its outcome is unknown' : `exit status ${result.exitCode}`;
  throw failure(type, `node ${act.node.id} (${act.node.host}): cannot ${what}: ${seen || status}`);
}

/** A file's text. Bytes that are not UTF-8 are one character each, so that writing it back changes none of them. */
export interface FileText {
  readonly text: string;
  readonly encoding: 'utf8' | 'latin1';
}

export interface NodeFiles {
  /** What the rebuild mark in the directory says; null without one. */
  readonly rebuildMark: string | null;
  /** Path of the last good set. */
  readonly lastSet: string | null;
  /** postgresql.auto.conf in the directory. */
  readonly auto: FileText | null;
  /** postgresql.auto.conf of the last good set, as it was. */
  readonly savedAuto: FileText | null;
  /** primary_conninfo as PostgreSQL reads the files, where neither postgresql.auto.conf has one; empty when unset or unreadable. */
  readonly effectiveConninfo: string;
  /** primary_slot_name as PostgreSQL reads the files; empty when unset or unreadable. */
  readonly effectiveSlot: string;
  readonly hasStandbySignal: boolean;
  readonly hasRecoverySignal: boolean;
}

/** @throws WorldChanged when the directory is gone, or PostgreSQL processes work in it. */
export async function readFiles(
  tools: Tools,
  configuration: ClusterConfiguration,
  node: NodeConfiguration,
  directory: string,
): Promise<NodeFiles> {
  const what = 'read its configuration files';
  const args = [directory, savedDirectory(configuration, node), configuration.postgres.bin];
  const output = await actOnFiles(tools, { configuration, node, script: scripts.readConfiguration, args, what });
  const find = (key: string): string | undefined => readValues(output, key)[0];
  const decode = (value: string | undefined): FileText | null => (value === undefined ? null : decodeText(value));
  if (find('end') !== 'yes') {
    throw failure('unproven', `node ${node.id} (${node.host}): cannot ${what}: they are larger than expected`);
  }
  return {
    rebuildMark: find('mark') || null,
    lastSet: find('set') || null,
    auto: decode(find('auto')),
    savedAuto: decode(find('saved')),
    effectiveConninfo: (decode(find('effective'))?.text ?? '').replace(/\n$/, ''),
    effectiveSlot: find('slot') ?? '',
    hasStandbySignal: find('standby') === 'yes',
    hasRecoverySignal: find('recovery') === 'yes',
  };
}

export function encodeText({ text, encoding }: FileText): string {
  return Buffer.from(text, encoding).toString('base64');
}

function decodeText(base64: string): FileText {
  const bytes = Buffer.from(base64, 'base64');
  const text = bytes.toString('utf8');
  return Buffer.from(text).equals(bytes)
    ? { text, encoding: 'utf8' }
    : { text: bytes.toString('latin1'), encoding: 'latin1' };
}
