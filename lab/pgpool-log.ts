// The log of the lab's pgpool, with the time of each line by the machine's clock.

import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Lab } from './lab';

export interface LogLine {
  /** Milliseconds since the epoch; null for a line that does not begin with a time, such as a script's own output. */
  readonly at: number | null;
  readonly text: string;
}

/** The times of one failover in pgpool: milliseconds since the epoch, null for what the log does not show. */
export interface FailoverTimes {
  /** pgpool calls failover_command. */
  readonly calledAt: number | null;
  /** failover_command has returned; from here on pgpool looks for the primary itself. */
  readonly returnedAt: number | null;
  /** pgpool serves again, and starts new children. */
  readonly doneAt: number | null;
}

/** Size in bytes, as the start of a later readPgpoolLog. */
export function pgpoolLogSize(lab: Lab): number {
  return statSync(logFile(lab)).size;
}

/** The lines that were written from this size on. */
export function readPgpoolLog(lab: Lab, from: number): LogLine[] {
  const lines = readFileSync(logFile(lab)).subarray(from).toString().split('\n');
  return lines.map((text) => ({ at: timeOf(text), text }));
}

/** The first failover of these lines. */
export function findFailoverTimes(lines: readonly LogLine[]): FailoverTimes {
  const called = lines.findIndex(
    ({ text }) => text.includes('execute command: ') && / failover |failover\.sh/.test(text),
  );
  const after = called < 0 ? [] : lines.slice(called);
  const timeAt = (sign: string): number | null => after.find(({ text }) => text.includes(sign))?.at ?? null;
  return {
    calledAt: after[0]?.at ?? null,
    returnedAt: timeAt('find_primary_node_repeatedly'),
    doneAt: timeAt('failover done'),
  };
}

function logFile(lab: Lab): string {
  return join(lab.directory, 'pgpool', 'pgpool.log');
}

/**
 * The time by log_line_prefix %m: local time with milliseconds. pgpool also prints its "failover done" without a line's
 * end.
 */
function timeOf(line: string): number | null {
  const match = /^(?:failover done\.[^:]*\))?(\d{4}-\d{2}-\d{2}) (\d{2}:\d{2}:\d{2}\.\d{3})/.exec(line);
  return match ? new Date(`${match[1]!}T${match[2]!}`).getTime() : null;
}
