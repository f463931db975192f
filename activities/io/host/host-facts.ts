// What a node's host says over ssh: its processes and control file, and how another node looks from there.

import { type ClusterConfiguration, type NodeConfiguration } from '../../../domain/facts/cluster';
import type { FenceMark, HostFacts, ProbeFacts } from '../../../domain/facts/facts';
import { messageOf } from '../failures';
import { scripts } from './scripts';
import { SshFailure } from '../ssh/ssh';
import { sshTarget, type WorkerTools } from '../tools';

/** Never throws: a host that does not answer within timeoutMs is a fact. */
export async function readHostFacts(
  tools: WorkerTools,
  configuration: ClusterConfiguration,
  node: NodeConfiguration,
  timeoutMs: number,
): Promise<HostFacts> {
  const nothing = {
    processes: 'unknown',
    clockOffsetMs: null,
    hasDataDirectory: null,
    hasStandbySignal: null,
    fenceMark: null,
    walTimeline: null,
    synchronousStandbyNames: null,
    neededSettings: null,
    controlFile: null,
  } as const;
  try {
    const startedAt = Date.now();
    const result = await tools.ssh.run(sshTarget(configuration, node), scripts.look, {
      args: [node.dataDirectory, configuration.postgres.bin],
      timeoutMs,
    });
    if (result.exitCode !== 0)
      return { ssh: 'answered', seen: `look failed: ${result.stderr.trim() || 'no answer'}`, ...nothing };
    return parseHostFacts(result.stdout, (startedAt + Date.now()) / 2);
  } catch (error) {
    if (error instanceof SshFailure) {
      const ssh =
        error.kind === 'refused' ? 'refused' : error.kind === 'silent' || error.kind === 'lost' ? 'silent' : 'rejected';
      return { ssh, seen: error.message, ...nothing };
    }
    return { ssh: 'rejected', seen: messageOf(error), ...nothing };
  }
}

/** From the KEY=value lines that a script printed; `now` is the worker's clock when it did. */
export function parseHostFacts(output: string, now: number): HostFacts {
  const values = parseKeyValues(output);
  const processes = values.get('processes');
  const [state, identifier, checkpoint, timeline] = ['state', 'identifier', 'checkpoint', 'timeline'].map((key) =>
    values.get(key),
  );
  const [directory, signal] = [values.get('data_directory'), values.get('standby_signal')];
  const clock = values.get('clock');
  return {
    ssh: 'answered',
    seen: values.get('seen') ?? 'host answers',
    processes: processes === 'running' || processes === 'orphans' || processes === 'none' ? processes : 'unknown',
    clockOffsetMs: clock && /^[0-9]{13}$/.test(clock) ? Math.round(Number(clock) - now) : null,
    hasDataDirectory: directory === undefined ? null : directory === 'yes',
    hasStandbySignal: signal === undefined ? null : signal === 'yes',
    fenceMark: parseFenceMark(values.get('fence_mark')),
    walTimeline: parseTimeline(values.get('wal_timeline')),
    synchronousStandbyNames: values.get('names') ?? null,
    neededSettings: parseNeededSettings(values),
    controlFile:
      state && identifier && checkpoint && timeline
        ? { state, systemIdentifier: identifier, checkpoint: { timeline: Number(timeline), lsn: checkpoint } }
        : null,
  };
}

/** Asks `about` for a read-only query from the host of `from`. Never throws. */
export async function probeFrom(
  tools: WorkerTools,
  configuration: ClusterConfiguration,
  from: NodeConfiguration,
  about: NodeConfiguration,
  timeoutMs: number,
): Promise<ProbeFacts> {
  const base = { from: from.id, about: about.id };
  const { bin, user, database, passFile, sslMode, sslRootCertificate } = configuration.postgres;
  try {
    const seconds = Math.max(0.2, timeoutMs / 1000 - 0.2).toFixed(1);
    const result = await tools.ssh.run(sshTarget(configuration, from), scripts.probe, {
      args: [bin, about.host, String(about.port), user, database, passFile, seconds, sslMode, sslRootCertificate ?? ''],
      timeoutMs,
    });
    return { ...base, ...classifyProbe(result.stdout) };
  } catch (error) {
    return { ...base, answer: 'unknown', isInRecovery: null, seen: `no probe: ${messageOf(error)}` };
  }
}

/** The probe's query answers t or f: is it in recovery? psql ran with LC_ALL=C, so libpq's own words are stable; the server's errors are told by SQLSTATE where psql shows one. */
export function classifyProbe(output: string): Pick<ProbeFacts, 'answer' | 'isInRecovery' | 'seen'> {
  const lines = output.trim().split('\n');
  const exit = /^exit=([0-9]+)$/.exec(lines.at(-1) ?? '')?.[1];
  const seen = lines.slice(0, -1).join(' ').slice(0, 300);
  if (exit === '0') {
    const isInRecovery = seen === 't' ? true : seen === 'f' ? false : null;
    const role = isInRecovery === null ? '' : isInRecovery ? ', in recovery' : ', accepts writes';
    return { answer: 'answered', isInRecovery, seen: `answers${role}` };
  }
  return { answer: classifyFailedProbe(exit, seen), isInRecovery: null, seen: seen || 'no answer in time' };
}

function classifyFailedProbe(exit: string | undefined, seen: string): ProbeFacts['answer'] {
  if (exit === '124' || exit === '137') return 'silent';
  // A name that no longer resolves is silence, too.
  if (/timeout expired|No route to host|Network is unreachable|could not translate host name/.test(seen))
    return 'silent';
  if (/Connection refused/.test(seen)) return 'refused';
  if (/the database system is|57P03/.test(seen)) return 'recovering';
  // psql itself could not be run, or could not find its password: that says nothing about the other node.
  if (exit === undefined || exit === '126' || exit === '127' || !/FATAL|ERROR/.test(seen)) return 'unknown';
  return 'rejected';
}

/** From the first 8 hexadecimal digits of a WAL segment's name. */
function parseTimeline(text: string | undefined): number | null {
  return text !== undefined && /^[0-9A-F]{8}$/.test(text) ? Number.parseInt(text, 16) : null;
}

function parseNeededSettings(values: ReadonlyMap<string, string>): Record<string, number> | null {
  const needed = [...values].flatMap(([key, value]) =>
    key.startsWith('needed_') && /^[0-9]+$/.test(value) ? [[key.slice('needed_'.length), Number(value)] as const] : [],
  );
  return needed.length > 0 ? Object.fromEntries(needed) : null;
}

/** Null when nothing was read. */
export function parseFenceMark(text: string | undefined): FenceMark | null {
  return text === 'before-promotion' || text === 'after-return' || text === 'none' ? text : null;
}

/** From KEY=value lines; the last of a key wins. */
export function parseKeyValues(text: string): Map<string, string> {
  const values = new Map<string, string>();
  for (const line of text.split('\n')) {
    const at = line.indexOf('=');
    if (at > 0) values.set(line.slice(0, at), line.slice(at + 1));
  }
  return values;
}
