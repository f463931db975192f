// The demo's verdicts as tables, its JSON as the readers of the file know it, and its command line. No cluster: what was measured is given.

import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readArguments } from '../../lab/demo/arguments';
import type { FollowReport } from '../../domain/facts/outcome';
import { judgeFailover, judgeRejoin, summarize } from '../../lab/demo/judge';
import type { FailoverRun } from '../../lab/demo/run-failover';
import type { RejoinRun } from '../../lab/demo/run-rejoin';
import type { LabReport, NodeReport } from '../../lab/lab';
import { longestGapMs } from '../../lab/workload';
import { makeFacts } from '../domain/builders';

const versions = { postgres: '15.14', pgpool: '4.3.5', temporal: '1.8.2' };

/** After the failover: node 1 accepts writes on timeline 2, node 2 streams from it, node 0 is gone. */
function makeReport(nodes: Readonly<Record<number, Partial<NodeReport>>> = {}, pcp: readonly string[] = []): LabReport {
  const node = (id: number, own: Partial<NodeReport>): NodeReport => ({
    id,
    address: `127.0.0.${id}:5432`,
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

/** Positions as the fence measured them, before the promotion. */
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
  stopped: 0,
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

const before = makeReport({}, ['up', 'up', 'up']);

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
  expect(judgeFailover(before, { ...proven, ...run }, after).problems).toEqual(problems);
});

/** After the rejoin: node 0 streams from node 1, too. */
function makeRejoined(nodes: Parameters<typeof makeReport>[0] = {}, pcp = ['up', 'up', 'up']): LabReport {
  const back = { isRunning: true, isInRecovery: true, timeline: 2, lsn: '0/6000000', streamingFrom: 1 };
  return makeReport({ ...nodes, 0: { ...back, ...nodes[0] } }, pcp);
}

const rejoinFollow: FollowReport = {
  ...follow,
  ...{ node: 0, rung: 'rebuild', reason: 'rebuilt', line: 'node 0 streams', ms: 8123 },
};
const settings = { cluster_name: 'node0', port: '5432' };
const rejoined: RejoinRun = {
  node: 0,
  report: { ...proven.report, reason: 'primary-working', line: 'node 1 works', follows: [rejoinFollow] },
  follow: rejoinFollow,
  exitCode: 0,
  answer: 'completed (rebuilt): node 0 streams',
  acknowledged: 4000,
  longestPauseMs: 400,
  settings: { before: settings, after: settings },
  leftovers: [],
  web: 'http://127.0.0.1:8233/namespaces/default/workflows/pgpool-demo/rejoin',
};
const parked = {
  ...rejoinFollow,
  outcome: 'incomplete',
  reason: 'decided-by-person',
  line: 'left by decision',
} as const;

it.each<[story: string, run: Partial<RejoinRun>, after: LabReport, problems: readonly string[]]>([
  ['the rejoin is proven', {}, makeRejoined(), []],
  ['pgpool waits for the first client of the node', {}, makeRejoined({}, ['waiting', 'up', 'up']), []],
  [
    'the rejoin did not complete',
    {
      ...{ follow: parked, exitCode: 1, answer: 'incomplete (decided-by-person): left by decision' },
      report: {
        ...rejoined.report,
        outcome: 'incomplete',
        reason: 'decided-by-person',
        line: 'node 0 does not follow',
      },
    },
    makeReport(),
    [
      'the incident ended incomplete (decided-by-person): node 0 does not follow',
      'the rejoin of node 0 ended incomplete (decided-by-person): left by decision',
      'the command ended with exit code 1: incomplete (decided-by-person): left by decision',
      'node 0 does not stream from node 1 on timeline 2',
      'pgpool shows node 0 down',
    ],
  ],
  ['the incident was about others', { follow: null }, makeRejoined(), ['the incident says nothing about node 0']],
  [
    'only the command has doubts',
    { exitCode: 1, answer: 'refused (preempted): call it again' },
    makeRejoined(),
    ['the command ended with exit code 1: refused (preempted): call it again'],
  ],
  [
    'it streams on the old timeline',
    {},
    makeRejoined({ 0: { timeline: 1 } }),
    ['node 0 does not stream from node 1 on timeline 2'],
  ],
  [
    'it streams from another standby',
    {},
    makeRejoined({ 0: { streamingFrom: 2 } }),
    ['node 0 does not stream from node 1 on timeline 2'],
  ],
  ['pgpool does not use it', {}, makeRejoined({}, ['down', 'up', 'up']), ['pgpool shows node 0 down']],
  ['pgpool has lost another one', {}, makeRejoined({}, ['up', 'up', 'down']), ['pgpool shows node 2 down']],
  [
    'it accepts writes',
    {},
    makeRejoined({ 0: { isInRecovery: false, streamingFrom: null } }),
    ['2 nodes are writable, there must be one', 'node 0 does not stream from node 1 on timeline 2'],
  ],
  [
    "it has the primary's settings",
    { settings: { before: settings, after: { ...settings, cluster_name: 'node1' } } },
    makeRejoined(),
    ["node 0 runs with cluster_name 'node1', and its own is 'node0'"],
  ],
  [
    'its settings could not be read',
    { settings: { before: { port: '5432' }, after: {} } },
    makeRejoined(),
    ["node 0 runs with port '?', and its own is '5432'"],
  ],
  [
    'a job directory was left behind',
    { leftovers: ['/jobs/demo.node0/base-backup-1'] },
    makeRejoined(),
    ['left behind: /jobs/demo.node0/base-backup-1'],
  ],
])('%s', (_, run, after, problems) => {
  expect(judgeRejoin({ ...rejoined, ...run }, after).problems).toEqual(problems);
});

/** After the second failover: node 0 accepts writes on timeline 3, node 2 streams from it, node 1 is gone. */
function makeSecond(node2: Partial<NodeReport> = {}, pcp = ['up', 'down', 'up']): LabReport {
  const gone = { isRunning: false, isInRecovery: null, timeline: null, lsn: null };
  const report = makeReport(
    { 0: { isInRecovery: false, timeline: 3 }, 1: gone, 2: { timeline: 3, streamingFrom: 0, ...node2 } },
    pcp,
  );
  const backends = report.backends.map((entry) => ({ ...entry, role: entry.id === 0 ? 'primary' : 'standby' }));
  return { ...report, backends };
}

const secondRun: FailoverRun = {
  ...proven,
  stopped: 1,
  report: { ...proven.report, line: 'node 0 was promoted', primary: 0 },
  outageMs: 300,
  positions: makeFacts({
    nodes: { 0: { position: { timeline: 2, lsn: '0/7000000' } }, 2: { position: { timeline: 2, lsn: '0/7000000' } } },
  }).nodes.filter(({ node }) => node !== 1),
};

it.each<[story: string, run: Partial<FailoverRun>, after: LabReport, problems: readonly string[]]>([
  ['the second failover is proven, whoever was stopped', {}, makeSecond(), []],
  [
    'nobody follows the rejoined node',
    {},
    makeSecond({ timeline: 2, streamingFrom: null }, ['up', 'down', 'down']),
    ['node 2 does not stream from node 0 on timeline 3', 'pgpool shows node 2 down'],
  ],
  [
    'the node that was stopped for it accepts writes',
    {},
    { ...makeSecond(), nodes: makeSecond().nodes.map((node) => ({ ...node, isInRecovery: node.id === 2 })) },
    ['2 nodes are writable, there must be one'],
  ],
  ['a standby holds lost writes', { lost: [3], lostButHeld: [3] }, makeSecond(), ['lost ids that a standby holds: 3']],
])('%s', (_, run, after, problems) => {
  expect(judgeFailover(makeRejoined(), { ...secondRun, ...run }, after).problems).toEqual(problems);
});

const firstActs = {
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
};

it('writes exactly the promised JSON', () => {
  const first = judgeFailover(before, { ...proven, lost: [3] }, makeReport());
  const rejoin = judgeRejoin(rejoined, makeRejoined());
  const second = judgeFailover(makeRejoined(), secondRun, makeSecond());
  const result = summarize(versions, first, rejoin, second);
  expect(result.problems).toEqual([]);
  expect(JSON.parse(JSON.stringify(result.json))).toStrictEqual({
    versions: { postgres: '15.14', pgpool: '4.3.5', temporal: '1.8.2' },
    ...firstActs,
    rejoin: [{ node: 0, rung: 'rebuild', outcome: 'completed', ms: 8123 }],
    second: {
      ...firstActs,
      failover: { outcome: 'completed', candidate: 0, outageMs: 300, hookMs: 187, hookToWritableMs: null },
      writes: { acknowledged: 3, lost: 0 },
      pcpBefore: firstActs.pcpBefore,
      pcpAfter: [
        { id: 0, status: 'up', role: 'primary' },
        { id: 1, status: 'down', role: 'standby' },
        { id: 2, status: 'up', role: 'standby' },
      ],
    },
  });
});

it('fails with the act that was not proven, and says which ones were not played', () => {
  const first = judgeFailover(before, { ...proven, lost: [3] }, makeReport());
  const broken = judgeFailover(before, proven, makeReport({}, ['down', 'up', 'down']));
  const rejoin = judgeRejoin({ ...rejoined, leftovers: ['/copy'] }, makeRejoined());
  const second = judgeFailover(makeRejoined(), secondRun, makeSecond({ timeline: 2 }));
  const alone = summarize(versions, broken, null, null);
  expect(alone).toMatchObject({ json: { rejoin: [], second: null }, problems: ['pgpool shows node 2 down'] });
  const stopped = summarize(versions, first, rejoin, null);
  expect(stopped).toMatchObject({ json: { rejoin: [{ node: 0 }], second: null }, problems: ['left behind: /copy'] });
  const last = summarize(versions, first, judgeRejoin(rejoined, makeRejoined()), second);
  expect(last.problems).toEqual(['node 2 does not stream from node 0 on timeline 3']);
});

it('measures the outage of one failover, not the pauses before it', () => {
  const acknowledged = [0, 900, 1000, 1300, 1310].map((at, id) => ({ id, at }));
  const journal = { acknowledged, unknown: [], errors: new Map() };
  expect(longestGapMs(journal)).toBe(900);
  expect(longestGapMs(journal, 1050)).toBe(300);
  expect(longestGapMs(journal, 2000)).toBe(0);
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
