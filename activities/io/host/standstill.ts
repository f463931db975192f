// A server that is in recovery and takes no connections: what it does meanwhile, by its processes, and whether that leads anywhere.

import type { ClusterConfiguration, NodeConfiguration } from '../../../domain/facts/cluster';
import { parseLsn } from '../../../domain/facts/wal';
import { look } from './act';
import type { Tools } from '../tools';

export interface RecoveryProgress {
  /** As the process list shows them: "startup recovering 0000000200000001000000A4", "walreceiver streaming 1/A4001B8". */
  readonly startup: string;
  readonly receiver: string | null;
  /** Of the startup process. */
  readonly cpuSeconds: number;
  readonly diskMegabytes: number;
  /** The server replays what it receives, as it comes: it waits for nothing that will arrive by itself. */
  readonly isCaughtUp: boolean;
}

/** Bounds readProgress(). */
export const progressLookMs = 5000;

/** Null when that cannot be told. */
export async function readProgress(
  tools: Tools,
  configuration: ClusterConfiguration,
  node: NodeConfiguration,
): Promise<RecoveryProgress | null> {
  const order = {
    configuration,
    node,
    script: 'readProgress',
    args: [node.dataDirectory],
    timeoutMs: progressLookMs,
  } as const;
  const answer = await look(tools, order).catch(() => null);
  if (answer?.kind !== 'done') return null;
  const { values } = answer;
  const startup = values.get('startup')?.trim();
  if (startup === undefined) return null;
  const receiver = values.get('receiver')?.trim() ?? null;
  return {
    startup,
    receiver,
    cpuSeconds: Number(values.get('ticks')) / Number(values.get('hertz')),
    diskMegabytes: Number(values.get('disk') ?? 0),
    isCaughtUp: isOneSegment(startup, receiver, Number(values.get('size') ?? 0)),
  };
}

function isOneSegment(startup: string, receiver: string | null, size: number): boolean {
  const [, log = '', number = ''] = /recovering [0-9A-F]{8}([0-9A-F]{8})([0-9A-F]{8})$/.exec(startup) ?? [];
  // The receiver's title says nothing more until it has received something.
  if (receiver === 'walreceiver') return true;
  const written = parseLsn(/streaming (\S+)$/.exec(receiver ?? '')?.[1] ?? '');
  if (written === null || number === '' || size === 0) return false;
  const begin = (BigInt(`0x${log}`) << 32n) + BigInt(`0x${number}`) * BigInt(size);
  return written >= begin && written <= begin + BigInt(size);
}

/** Looks for a change that leads somewhere: a server that waits uses little of either, and one that has caught up goes on for ever. */
export function hasMoved(before: RecoveryProgress | null, now: RecoveryProgress | null): boolean {
  if (!before || !now) return true;
  if (now.isCaughtUp) return !before.isCaughtUp;
  return (
    now.startup !== before.startup ||
    now.cpuSeconds >= before.cpuSeconds + 1 ||
    now.diskMegabytes > before.diskMegabytes ||
    now.cpuSeconds < before.cpuSeconds
  );
}

/** The cause, as far as it is seen, for a person to act on. */
export function explainProgress(progress: RecoveryProgress | null): string {
  if (!progress) return 'what it does cannot be seen';
  const seen = `it shows "${progress.startup}" and ${progress.receiver === null ? 'no WAL receiver' : `"${progress.receiver}"`}`;
  const why = progress.isCaughtUp
    ? 'it replays what it receives, and takes no connections all the same: hot_standby is off there, or a transaction with many subtransactions that was open when it started must end on the primary'
    : 'it waits for WAL that does not come: its log says which';
  return `${seen}: ${why}`;
}
