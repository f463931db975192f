// A node's host as it shows itself over ssh: its processes and control file, and how another node looks from there.

import { type ClusterConfiguration, type NodeConfiguration } from '../../../domain/facts/cluster';
import type { FenceMark, HostFacts, ProbeFacts } from '../../../domain/facts/facts';
import { look, readClockOffset } from './act';
import type { Values } from './answer';
import { Failure, messageOf } from '../failures';
import { SshFailure } from '../ssh/ssh';
import type { WorkerTools } from '../tools';

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
  const startedAt = Date.now();
  try {
    const args = [node.dataDirectory, configuration.postgres.bin];
    const answer = await look(tools, { configuration, node, script: 'look', args, timeoutMs });
    if (answer.kind === 'done') return parseHostFacts(answer.values, (startedAt + Date.now()) / 2);
    return { ssh: 'answered', seen: `look failed: ${answer.sentence}`, ...nothing };
  } catch (error) {
    return { ssh: classifyFailure(error), seen: messageOf(error), ...nothing };
  }
}

/** The script was not sent. */
function classifyFailure(error: unknown): HostFacts['ssh'] {
  const cause = error instanceof Failure ? error.cause : undefined;
  if (!(cause instanceof SshFailure)) return 'rejected';
  if (cause.kind === 'silent' || cause.kind === 'lost') return 'silent';
  return cause.kind === 'refused' ? 'refused' : 'rejected';
}

/** `now` is the worker's clock when the script printed them. */
export function parseHostFacts(values: Values, now: number): HostFacts {
  const processes = values.get('processes');
  const [state, identifier, checkpoint, timeline] = ['state', 'identifier', 'checkpoint', 'timeline'].map((key) =>
    values.get(key),
  );
  return {
    ssh: 'answered',
    seen: values.get('seen') ?? 'host answers',
    processes: processes === 'running' || processes === 'orphans' || processes === 'none' ? processes : 'unknown',
    clockOffsetMs: readClockOffset(values, now),
    hasDataDirectory: values.flag('data_directory'),
    hasStandbySignal: values.flag('standby_signal'),
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
    const args = [bin, about.host, String(about.port), user, database, passFile, seconds, sslMode];
    const { values } = await look(tools, {
      configuration,
      node: from,
      script: 'probe',
      args: [...args, sslRootCertificate ?? ''],
      timeoutMs,
    });
    return { ...base, ...classifyProbe(values) };
  } catch (error) {
    return { ...base, answer: 'unknown', isInRecovery: null, seen: `no probe: ${messageOf(error)}` };
  }
}

/** The probe's query answers t or f: is it in recovery? psql ran with LC_ALL=C, so libpq's own words are stable; the server's errors are told by SQLSTATE where psql shows one. */
export function classifyProbe(values: Values): Pick<ProbeFacts, 'answer' | 'isInRecovery' | 'seen'> {
  const exit = values.get('exit');
  const seen = values.all('said').join(' ').trim().slice(0, 300);
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

function parseNeededSettings(values: Values): Record<string, number> | null {
  const needed = [...values.startingWith('needed_')].filter(([, value]) => /^[0-9]+$/.test(value));
  return needed.length > 0 ? Object.fromEntries(needed.map(([key, value]) => [key, Number(value)])) : null;
}

/** Null when nothing was read. */
export function parseFenceMark(text: string | undefined): FenceMark | null {
  return text === 'before-promotion' || text === 'after-return' || text === 'none' ? text : null;
}
