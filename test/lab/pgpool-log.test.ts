// Reads a failover from pgpool's log, in the words of pgpool 4.3: when it called the hook, went on, and served again.

import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Lab } from '../../lab/lab';
import { type FailoverTimes, findFailoverTimes, pgpoolLogSize, readPgpoolLog } from '../../lab/pgpool-log';

const directory = mkdtempSync(join(tmpdir(), 'pgpool-log-'));
/** As much of a lab as its log needs. */
const lab = Object.assign(Object.create(null) as Lab, { directory });
const file = join(directory, 'pgpool', 'pgpool.log');
mkdirSync(join(directory, 'pgpool'));

afterAll(() => {
  rmSync(directory, { recursive: true });
});

const hook = '/tmp/lab/hook/hook.sh -c /tmp/lab/hook/hook.conf';
const done = 'failover done. shutdown host 127.60.0.10(15432)';
const none: FailoverTimes = { calledAt: null, returnedAt: null, doneAt: null };

/** The lines of a failover in this minute. pgpool prints `done` once without a line's end, and then its log's line. */
function failover(minute: string, command = `${hook} failover 0 1 0`, follow = `${hook} follow 0 1 0`): string[] {
  const line = (time: string, text: string): string => `2026-11-23 ${minute}:${time}: pid 30316: LOG:  ${text}`;
  return [
    line('54.630', 'starting degeneration. shutdown host 127.60.0.10(15432)'),
    line('54.630', 'Restart all children'),
    line('54.631', `execute command: ${command}`),
    'pgpool-runbook: promoted node 1 to timeline 2, node 0 fenced (confirmed)',
    line('54.982', 'find_primary_node_repeatedly: waiting for finding a primary node'),
    line('55.002', 'find_primary_node: primary node is 1'),
    line('55.004', 'failover: set new primary node: 1'),
    line('55.006', `execute command: ${follow}`),
    `${done}${line('55.134', done)}`,
  ];
}

/** pgpool writes local time. */
const at = (minute: number, seconds: number, ms: number): number =>
  new Date(2026, 10, 23, 17, minute, seconds, ms).getTime();
const timesIn = (minute: number): FailoverTimes => ({
  calledAt: at(minute, 54, 631),
  returnedAt: at(minute, 54, 982),
  doneAt: at(minute, 55, 134),
});

function find(lines: readonly string[]): FailoverTimes {
  writeFileSync(file, `${lines.join('\n')}\n`);
  return findFailoverTimes(readPgpoolLog(lab, 0));
}

test('each moment of a failover has its time, also the one that pgpool prints words in front of', () => {
  expect(find(failover('17:07'))).toEqual(timesIn(7));
});

test('of two failovers, the first counts', () => {
  expect(find([...failover('17:07'), ...failover('17:09')])).toEqual(timesIn(7));
});

test('what was written before this size is not read', () => {
  writeFileSync(file, ['größer als seine Zeichen', ...failover('17:07'), ''].join('\n'));
  const from = pgpoolLogSize(lab);
  expect(findFailoverTimes(readPgpoolLog(lab, from))).toEqual(none);
  appendFileSync(file, `${failover('17:09').join('\n')}\n`);
  expect(readPgpoolLog(lab, from)[0]?.text).toBe(failover('17:09')[0]);
  expect(findFailoverTimes(readPgpoolLog(lab, from))).toEqual(timesIn(9));
});

test('a script of others is a call as well', () => {
  const scripts = '/tmp/lab/rivals/samples';
  const lines = failover('17:07', `${scripts}/failover.sh 0 127.60.0.10`, `${scripts}/follow_primary.sh 2 127.60.0.12`);
  expect(find(lines)).toEqual(timesIn(7));
});

test.each([
  ['nothing', []],
  ['only what follows a failover', failover('17:07').slice(3)],
  ['a failover that calls nobody', failover('17:07').filter((line) => !line.includes('execute command'))],
])('no call, no times: %s', (_title, lines) => {
  expect(find(lines)).toEqual(none);
});

test('what belongs to the failover before does not count', () => {
  expect(find([...failover('17:07').slice(4), ...failover('17:09')])).toEqual(timesIn(9));
});

test('what pgpool has not said yet has no time', () => {
  expect(find(failover('17:07').slice(0, 4))).toEqual({ ...none, calledAt: at(7, 54, 631) });
  expect(find(failover('17:07').slice(0, -1))).toEqual({ ...timesIn(7), doneAt: null });
});

test('a line of a script’s own has no time', () => {
  find(failover('17:07'));
  expect(readPgpoolLog(lab, 0)[3]).toEqual({ at: null, text: failover('17:07')[3] });
});
