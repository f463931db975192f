// planRebuild as tables: the good cases, and one refusal for each guard, so that a removed guard fails a row here.

import { planRebuild, type RebuildDecision } from '../../../domain/plans/rebuild';
import { describeBytes } from '../../../domain/facts/data-directory';
import { makeConfiguration, makeFacts, onTimeline2, promotedToTimeline2, receiverFrom } from '../builders';
import {
  directoryStories,
  lineageStories,
  linkedTo,
  makeData,
  otherId,
  rebuildId,
  type RefusalStory,
  removeFirst,
  roleStories,
  roomStories,
  wellFacts,
  wellRequest,
} from './rebuild-stories';

function tell(story: Partial<RefusalStory>): RebuildDecision {
  const facts = makeFacts({ nodes: { ...wellFacts.nodes, ...story.facts } });
  const request = { ...wellRequest, ...story.request };
  return planRebuild(story.configuration ?? makeConfiguration(), request, facts, makeData(story.data));
}

const directoryOf = (current: string, more: object = {}) => ({
  kind: 'data',
  link: null,
  sourceLocation: null,
  current,
  fresh: `${current}.pgpool-runbook-rebuild`,
  aside: `${current}.replaced-${rebuildId}`,
  ...more,
});

describe.each([
  ['who is to be rebuilt from whom', roleStories],
  ['whose data it is', lineageStories],
  ['what lies there', directoryStories],
  ['room', roomStories],
])('refused: %s', (_, stories) => {
  test.each(stories)('$title', (story) => {
    const decision = tell(story);
    expect(decision).toMatchObject({ action: 'refuse', reason: story.reason });
    expect(decision.line).toMatch(story.says);
    expect(decision.line).toMatch(/^[^\n]{10,400}$/);
  });
});

it('goes on once the data of another branch was moved away, as its refusal says', () => {
  const moved = { version: null, hasControlFile: false, own: null, exists: false, isEmpty: true };
  expect(tell({ data: { ...moved, source: { timeline: 1 } } }).action).toBe('rebuild');
});

it('plans the copy beside the old data', () => {
  expect(tell({})).toEqual({
    action: 'rebuild',
    plan: { rebuildId, mode: 'sibling', directories: [directoryOf('/srv/main')] },
    line: 'node 0 is rebuilt from node 1: about 3.0 GB beside its own data',
  });
});

it('plans a linked pg_wal and each tablespace where the node has them, new ones where the primary has them', () => {
  const tablespaces = [
    { oid: '16400', location: '/ts/one', bytes: 1024 },
    { oid: '16401', location: '/ts/two', bytes: 1024 },
  ];
  const decision = tell({
    data: {
      source: { tablespaces },
      linked: [linkedTo('/wal'), linkedTo('/own place/one', '16400'), linkedTo('/ts/dropped', '16399')],
      missing: [linkedTo('/ts/two', '16401', { exists: false, isEmpty: true, isOwned: false })],
    },
  });
  expect(decision).toMatchObject({
    plan: {
      directories: [
        directoryOf('/srv/main'),
        directoryOf('/wal', { kind: 'wal', link: 'pg_wal' }),
        directoryOf('/own place/one', { kind: 'tablespace', link: '16400', sourceLocation: '/ts/one' }),
        directoryOf('/ts/two', { kind: 'tablespace', link: '16401', sourceLocation: '/ts/two' }),
      ],
    },
  });
  expect(decision.line).toMatch(/no tablespace for \/ts\/dropped, which is left as it is/);
});

it('writes into the directory itself with removeFirst, which needs neither room for two nor its parent', () => {
  const gigabyte = 1024 ** 3;
  const data = { isMountPoint: true, isRenamable: false, freeBytes: gigabyte, usedBytes: 2 * gigabyte };
  expect(tell({ configuration: removeFirst, data })).toMatchObject({
    action: 'rebuild',
    plan: { mode: 'removeFirst', directories: [directoryOf('/srv/main', { fresh: '/srv/main' })] },
  });
});

test.each<[string, Partial<RefusalStory>]>([
  [
    'no data directory',
    { data: { exists: false, isEmpty: true, isOwned: false, version: null, hasControlFile: false, own: null } },
  ],
  ['an empty data directory', { data: { isEmpty: true, version: null, hasControlFile: false, own: null } }],
  ['an unfinished copy', { data: { isUnfinished: true, version: null, hasControlFile: false, own: null } }],
  ['the unfinished copy of another rebuild', { data: { rebuildMark: otherId } }],
  ['orphans: they are stopped later', { data: { host: { processes: 'orphans' }, own: { state: 'in production' } } }],
  ['a leftover that makes room', { data: { freeBytes: 1024 ** 3, leftoverBytes: 3 * 1024 ** 3 } }],
  ['a copy that was never started', { data: { own: { state: 'copied', timeline: 2 } } }],
  ['a lost control file', { data: { hasControlFile: false, own: null } }],
  ['an empty directory for a tablespace', { data: { linked: [linkedTo('/wal', 'pg_wal', { isEmpty: true })] } }],
  ['a stopped standby on the same timeline', { data: { own: { state: 'shut down in recovery', timeline: 2 } } }],
  [
    'a standby that runs on the same timeline',
    {
      facts: { 0: { ...onTimeline2, isInRecovery: true, walReceiver: receiverFrom(1, 2) } },
      data: { host: { processes: 'running' }, own: { state: 'in archive recovery', timeline: 2 } },
    },
  ],
  [
    'a standby of the first primary',
    {
      facts: {
        0: { isInRecovery: true, walReceiver: receiverFrom(1) },
        1: { ...promotedToTimeline2, position: { timeline: 1, lsn: '0/5000100' } },
      },
      data: { own: { state: 'in archive recovery' }, source: { timeline: 1 } },
    },
  ],
])('may be rebuilt: %s', (_, story) => {
  expect(tell(story)).toMatchObject({ action: 'rebuild' });
});

it('plans the same again when this rebuild’s copy is in place, although there is no room for another', () => {
  const placed = { rebuildMark: rebuildId, freeBytes: 0, isRenamable: false };
  const again = tell({ data: placed });
  expect(again).toEqual(tell({}));
  expect(tell({ data: { ...placed, rebuildMark: otherId } })).toMatchObject({ action: 'refuse' });
});

it('takes no id that is not a rebuild’s', () => {
  expect(() => tell({ request: { rebuildId: '../x' } })).toThrow(RangeError);
});

test.each([
  [0, '0 bytes'],
  [1023, '1023 bytes'],
  [1536, '1.5 kB'],
  [104 * 1024 ** 2, '104 MB'],
  [5 * 1024 ** 5, '5120 TB'],
])('%d is %s', (bytes, text) => {
  expect(describeBytes(bytes)).toBe(text);
});
