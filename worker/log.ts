// The worker's log in plain lines. A message of Temporal's SDK is one line without stack, and is not repeated within
// ten minutes.

import type { Logger, LogLevel, LogMetadata } from '@temporalio/worker';
import { messageOf } from '../activities/io/failures';

const repeatMs = 600_000;
const shown: ReadonlySet<LogLevel> = new Set(['WARN', 'ERROR']);

/** Messages of Temporal's client with every failed try; temporal-watch.ts says it once instead. */
const connectionTrouble =
  /grpc call|polling|poller|long poll|transport error|connection (?:refused|reset)|unavailable|deadline ?exceeded/i;

/**
 * A logger for Runtime.install. Failures of activities are one line each, because they are retried or end in a line of
 * the incident. A workflow's message (a parked step) is passed on at any level.
 */
export class LineLogger implements Logger {
  private readonly saidAt = new Map<string, number>();

  constructor(private readonly say: (line: string) => void) {}

  log(level: LogLevel, message: string, meta: LogMetadata = {}): void {
    const isOurs = meta['sdkComponent'] === 'workflow';
    if (!isOurs && !shown.has(level)) return;
    const line = formatLine(message, meta);
    if (!isOurs && meta['sdkComponent'] !== 'activity' && connectionTrouble.test(line)) return;
    // Repeats differ only in counts and times.
    const key = line.replaceAll(/[0-9]+/g, '0');
    const now = Date.now();
    if (now - (this.saidAt.get(key) ?? -Infinity) < repeatMs) return;
    this.saidAt.set(key, now);
    this.say(shown.has(level) ? `${level === 'ERROR' ? 'error' : 'warning'}: ${line}` : line);
  }

  trace(): void {
    // Nothing for a person.
  }

  debug(): void {
    // Nothing for a person.
  }

  info(message: string, meta?: LogMetadata): void {
    this.log('INFO', message, meta);
  }

  warn(message: string, meta?: LogMetadata): void {
    this.log('WARN', message, meta);
  }

  error(message: string, meta?: LogMetadata): void {
    this.log('ERROR', message, meta);
  }
}

function formatLine(message: string, { activityType, workflowId, attempt, error }: LogMetadata): string {
  const where = typeof workflowId === 'string' ? `${workflowId}: ` : '';
  const what =
    typeof activityType === 'string' ? `${activityType}, attempt ${String(attempt)}: ${lower(message)}` : message;
  const why = error === undefined ? '' : `: ${messageOf(error)}`;
  return `${where}${what}${why}`.replaceAll(/\s*\n\s*/g, ' | ');
}

function lower(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
