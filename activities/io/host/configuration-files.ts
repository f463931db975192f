// The configuration files of a node as an activity sees them: read and changed by scripts that include lib/config-sets.sh, under the node's lock.
// What is read may hold a password in primary_conninfo: it stays in memory, and never enters a result, a failure or a heartbeat.

import type { ClusterConfiguration, NodeConfiguration } from '../../../domain/facts/cluster';
import { type ActOrder, actBoundMs, mustAct, savedDirectory } from './act';
import type { Values } from './answer';
import type { Tools } from '../tools';

/** Three acts of one activity are shorter than its 2 minutes. */
const actMs = 30_000;
/** Bounds actOnFiles(), and readFiles(). */
export const fileActBoundMs = actBoundMs(actMs);

export type FileAct = Pick<ActOrder, 'configuration' | 'node' | 'script' | 'args'> & {
  /** For the sentence of a failure: "save its configuration". */
  readonly what: string;
};

/** Runs a script that includes lib/config-sets.sh. @throws as mustAct() */
export async function actOnFiles(tools: Tools, order: FileAct): Promise<Values> {
  return await mustAct(tools, { ...order, timeoutMs: actMs, clockOffsetMs: 'measure' });
}

/** A file's text. Bytes that are not UTF-8 are one character each, so that writing it back changes none of them. */
export interface FileText {
  readonly text: string;
  readonly encoding: 'utf8' | 'latin1';
}

export interface NodeFiles {
  /** The text of the rebuild mark in the directory; null without one. */
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
  const values = await actOnFiles(tools, { configuration, node, script: 'readConfiguration', args, what });
  return {
    rebuildMark: values.get('mark') || null,
    lastSet: values.get('set') || null,
    auto: decodeText(values.bytes('auto')),
    savedAuto: decodeText(values.bytes('saved')),
    effectiveConninfo: (decodeText(values.bytes('effective'))?.text ?? '').replace(/\n$/, ''),
    effectiveSlot: values.get('slot') ?? '',
    hasStandbySignal: values.flag('standby') === true,
    hasRecoverySignal: values.flag('recovery') === true,
  };
}

export function encodeText({ text, encoding }: FileText): string {
  return Buffer.from(text, encoding).toString('base64');
}

function decodeText(bytes: Buffer | undefined): FileText | null {
  if (bytes === undefined) return null;
  const text = bytes.toString('utf8');
  return Buffer.from(text).equals(bytes)
    ? { text, encoding: 'utf8' }
    : { text: bytes.toString('latin1'), encoding: 'latin1' };
}
