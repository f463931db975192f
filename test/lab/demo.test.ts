// The demo's verdict as a table, its JSON as the readers of the file know it, and its command line. No cluster: what was measured is given.

import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readArguments } from '../../lab/demo/arguments';
import { type DemoResult, judge } from '../../lab/demo/judge';
import type { FailoverRun } from '../../lab/demo/run-failover';
import type { Lab, LabReport, NodeReport } from '../../lab/lab';
import { makeFacts } from '../domain/builders';

const versions = { postgres: '15.14', pgpool: '4.3.5', temporal: '1.8.2' };
// The judge reads nothing else of a lab.
const lab = { versions } as unknown as Lab;

/** After the failover: node 1 accepts writes on timeline 2, node 2 streams from it, node 0 is gone. */
function makeReport(nodes: Readonly<Record<number, Partial<NodeReport>>> = {}, pcp: readonly string[] = []): LabReport {
  const node = (id: number, own: Partial<NodeReport>): NodeReport => ({
    id,
    address: `127.0.0.${String(id)}:5432`,
    isRunning: true,
    isSshRunning: true,
    isDropped: false,
    isInRecovery: true,
    timeline: 2,
    lsn: '0/6000000',
    streamingFrom: null,
    ...own,
    ...nodes[id],
  });
  const gone = { isRunning: false, isInRecovery: null, timeline: null, lsn: null };
  return {
    nodes: [node(0, gone), node(1, { isInRecovery: false }), node(2, { streamingFrom: 1 })],
    backends: ['down', 'up', 'up'].map((status, id) => {
      const role = id === 1 ? 'primary' : 'standby';
      const shown = pcp[id] ?? status;
      return shown === 'silent'
        ? { pgpool: 'pgpool0', id, error: 'no answer within 2000 ms' }
        : { pgpool: 'pgpool0', id, status: shown, role, pgRole: role };
    }),
    isPgpoolRunning: true,
    isTemporalRunning: true,
    isWorkerRunning: true,
  };
}

/** As fence measured them, before the promotion. */
function positions(lsn1: string | null, lsn2: string): FailoverRun['positions'] {
  const position = (lsn: string | null) => (lsn === null ? null : { timeline: 1, lsn });
  return makeFacts({ nodes: { 1: { position: position(lsn1) }, 2: { position: position(lsn2) } } }).nodes.slice(1);
}

const follow = {
  node: 2,
  rung: 'repoint',
  outcome: 'completed',
  reason: 'repointed',
  line: 'node 2 streams',
  ms: 45,
} as const;
const proven: FailoverRun = {
  incident: { workflowId: 'pgpool-demo', runId: 'run', activities: [], result: null, signals: [] },
  report: {
    outcome: 'completed',
    reason: 'promoted',
    line: 'node 1 was promoted',
    primary: 1,
    events: [],
    follows: [follow],
  },
  journal: {
    acknowledged: [1, 2, 3].map((id) => ({ id, at: id })),
    unknown: [],
    errors: new Map(),
  },
  outageMs: 260,
  hookMs: 187,
  hookToWritableMs: null,
  lost: [],
  lostButHeld: [],
  positions: positions('0/5000000', '0/5000000'),
  web: 'http://127.0.0.1:8233/namespaces/default/workflows/pgpool-demo/run',
};
const refused = {
  ...proven.report,
  outcome: 'refused',
  reason: 'no-candidate',
  line: 'no standby answers',
  primary: null,
} as const;

function judged(run: Partial<FailoverRun> = {}, after: LabReport = makeReport()): DemoResult {
  return judge(lab, makeReport({}, ['up', 'up', 'up']), { ...proven, ...run }, after);
}

it.each<[story: string, run: Partial<FailoverRun>, after: LabReport, problems: readonly string[]]>([
  ['everything is proven', {}, makeReport(), []],
  ['pgpool waits for the first client of a standby', {}, makeReport({}, ['down', 'up', 'waiting']), []],
  ['a lost write that nobody holds is asynchronous replication', { lost: [3] }, makeReport(), []],
  ['the other standby is behind the candidate', { positions: positions('0/5000000', '0/4FFFFFF') }, makeReport(), []],
  [
    'the candidate is behind another standby',
    { positions: positions('0/4FFFFFF', '0/5000000') },
    makeReport(),
    ['node 2 had more WAL than the candidate'],
  ],
  [
    'the candidate was not measured',
    { positions: positions(null, '0/5000000') },
    makeReport(),
    ['the position of the candidate was not measured after the fence'],
  ],
  [
    'nothing was fenced, so nothing was measured',
    { positions: [] },
    makeReport(),
    ['the position of the candidate was not measured after the fence'],
  ],
  [
    'the former primary accepts writes, too',
    {},
    makeReport({ 0: { isInRecovery: false, timeline: 2 } }),
    ['2 nodes are writable, there must be one'],
  ],
  [
    'no node accepts writes',
    {},
    makeReport({ 1: { isInRecovery: true } }),
    ['0 nodes are writable, there must be one', 'node 2 does not stream from node 1 on timeline null'],
  ],
  [
    'the other standby is on the old timeline',
    {},
    makeReport({ 2: { timeline: 1 } }),
    ['node 2 does not stream from node 1 on timeline 2'],
  ],
  [
    'the other standby streams from the wrong node',
    {},
    makeReport({ 2: { streamingFrom: 0 } }),
    ['node 2 does not stream from node 1 on timeline 2'],
  ],
  ['pgpool shows the other standby down', {}, makeReport({}, ['down', 'up', 'down']), ['pgpool shows node 2 down']],
  ['PCP does not answer', {}, makeReport({}, ['down', 'up', 'silent']), ['pgpool shows node 2 unknown']],
  [
    'a standby holds writes that the new primary has not',
    { lost: [2, 3], lostButHeld: [2, 3] },
    makeReport(),
    ['lost ids that a standby holds: 2, 3'],
  ],
  [
    'the incident was refused',
    { report: refused },
    makeReport({ 1: { isInRecovery: true, timeline: 1 }, 2: { timeline: 1, streamingFrom: null } }),
    [
      'the incident ended refused (no-candidate): no standby answers',
      'the position of the candidate was not measured after the fence',
      '0 nodes are writable, there must be one',
      'node 1 does not stream from node null on timeline null',
      'node 2 does not stream from node null on timeline null',
    ],
  ],
])('%s', (_, run, after, problems) => {
  expect(judged(run, after).problems).toEqual(problems);
});

it('writes exactly the promised JSON', () => {
  expect(JSON.parse(JSON.stringify(judged({ lost: [3] }).json))).toStrictEqual({
    versions: { postgres: '15.14', pgpool: '4.3.5', temporal: '1.8.2' },
    failover: { outcome: 'completed', candidate: 1, outageMs: 260, hookMs: 187, hookToWritableMs: null },
    follow: [{ node: 2, rung: 'repoint', outcome: 'completed', ms: 45 }],
    writes: { acknowledged: 3, lost: 1 },
    pcpBefore: [
      { id: 0, status: 'up', role: 'standby' },
      { id: 1, status: 'up', role: 'primary' },
      { id: 2, status: 'up', role: 'standby' },
    ],
    pcpAfter: [
      { id: 0, status: 'down', role: 'standby' },
      { id: 1, status: 'up', role: 'primary' },
      { id: 2, status: 'up', role: 'standby' },
    ],
    web: 'http://127.0.0.1:8233/namespaces/default/workflows/pgpool-demo/run',
  });
});

describe('the command line', () => {
  it('has defaults', () => {
    expect(readArguments([])).toEqual({ json: null, name: 'demo' });
  });
  it('takes a file and a name', () => {
    const file = join(tmpdir(), 'demo.json');
    expect(readArguments(['--json', file, '--name=second'])).toEqual({ json: file, name: 'second' });
  });
  it('means a path from where the user stood, not from where npm starts scripts', () => {
    const before = process.env['INIT_CWD'];
    process.env['INIT_CWD'] = tmpdir();
    try {
      expect(readArguments(['--json', 'demo.json'])).toEqual({ json: join(tmpdir(), 'demo.json'), name: 'demo' });
    } finally {
      if (before === undefined) delete process.env['INIT_CWD'];
      else process.env['INIT_CWD'] = before;
    }
  });
  it.each([
    ['a directory that does not exist', ['--json', '/nowhere/demo.json'], /ENOENT.*'\/nowhere'/],
    ['a directory in place of the file', ['--json', tmpdir()], / is a directory/],
    ['an unknown option', ['--jsn', 'x'], /Unknown option '--jsn'/],
    ['an option without its value', ['--json'], /'--json.*' argument missing/],
    ['an argument too many', ['again'], /Unexpected argument 'again'/],
  ])('names %s and shows the usage', (_, argv, seen) => {
    const { error } = readArguments(argv) as { error: string };
    expect(error).toMatch(/^demo: .*; usage: npm run demo -- \[--json FILE\]/s);
    expect(error).toMatch(seen);
  });
});
