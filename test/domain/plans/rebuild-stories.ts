// Stories for planRebuild: node 0 was the primary and is stopped, node 1 is on timeline 2, node 0's data is to be replaced.
// Each refusal differs from the good case in what its title says, and in nothing else. Told in rebuild-plan.test.ts.

import type { ClusterConfiguration } from '../../../domain/facts/cluster';
import type { ReasonCode } from '../../../domain/facts/reasons';
import type { DataFacts, LinkedDirectory, PlaceFacts } from '../../../domain/facts/data-directory';
import type { RebuildRequest } from '../../../domain/plans/rebuild';
import {
  deepFreeze,
  makeConfiguration,
  onTimeline2,
  promotedToTimeline2,
  receiverFrom,
  stopped,
  systemIdentifier,
  type Differences,
} from '../builders';

const gigabyte = 1024 ** 3;
export const rebuildId = '20261123T101530Z-0a1b2c3d';
export const otherId = '20261101T000000Z-ffffffff';

const place: PlaceFacts = {
  exists: true,
  isEmpty: false,
  isOwned: true,
  isMountPoint: false,
  isRenamable: true,
  isPrimarys: false,
  device: '1',
  freeBytes: 100 * gigabyte,
  usedBytes: 3 * gigabyte,
  leftoverBytes: 0,
  stranger: null,
};

export function linkedTo(path: string, link = 'pg_wal', more: Partial<LinkedDirectory> = {}): LinkedDirectory {
  return { ...place, kind: link === 'pg_wal' ? 'wal' : 'tablespace', link, path, ...more };
}

type DataDifferences = Partial<Omit<DataFacts, 'source' | 'own' | 'host'>> & {
  readonly source?: Partial<DataFacts['source']>;
  readonly own?: Partial<NonNullable<DataFacts['own']>> | null;
  readonly host?: Partial<DataFacts['host']>;
};

/** Needs 3 GB, of which 1 GB for WAL. */
export function makeData({ source, own, host, ...more }: DataDifferences = {}): DataFacts {
  return deepFreeze({
    ...place,
    realPath: '/srv/main',
    version: '15',
    isUnfinished: false,
    host: {
      ssh: 'answered' as const,
      seen: 'host answers',
      processes: 'none' as const,
      clockOffsetMs: 0,
      hasDataDirectory: true,
      hasStandbySignal: true,
      walTimeline: null,
      synchronousStandbyNames: null,
      neededSettings: null,
      fenceMark: 'before-promotion' as const,
      controlFile: null,
      ...host,
    },
    hasControlFile: true,
    own: own === null ? null : { systemIdentifier, state: 'shut down', timeline: 1, ...own },
    rebuildMark: null,
    linked: [],
    missing: [],
    source: {
      version: '15',
      systemIdentifier,
      timeline: 2,
      isInRecovery: false,
      bytes: 2 * gigabyte,
      walBytes: gigabyte,
      tablespaces: [],
      ...source,
    },
    ...more,
  });
}

export const wellFacts: Differences = { nodes: { 0: stopped, 1: promotedToTimeline2, 2: onTimeline2 } };
export const wellRequest: RebuildRequest = { node: 0, primary: 1, rebuildId };
export const removeFirst = makeConfiguration({ policy: { replacedData: 'removeFirst' } });

export interface RefusalStory {
  readonly title: string;
  readonly configuration?: ClusterConfiguration;
  readonly request?: Partial<RebuildRequest>;
  readonly facts?: Differences['nodes'];
  readonly data?: DataDifferences;
  readonly reason: ReasonCode;
  /** Words of the line: an observation, or advice. */
  readonly says: RegExp;
}

const tablespace = { oid: '16400', location: '/ts/one', bytes: gigabyte };
const missing = (more: Partial<LinkedDirectory> = {}): DataDifferences => ({
  source: { tablespaces: [tablespace] },
  missing: [linkedTo('/ts/one', '16400', { exists: false, isEmpty: true, isOwned: false, usedBytes: null, ...more })],
});

export const roleStories: readonly RefusalStory[] = [
  { title: 'the node is not configured', request: { node: 7 }, reason: 'node-not-configured', says: /cluster file/ },
  {
    title: 'the node is the primary',
    request: { node: 1 },
    reason: 'node-not-standby',
    says: /is the primary itself/,
  },
  {
    title: 'policy.follow has no rebuild',
    configuration: makeConfiguration({ policy: { follow: ['repoint'] } }),
    reason: 'diverged',
    says: /policy\.follow/,
  },
  { title: 'the primary does not answer', facts: { 1: stopped }, reason: 'primary-missing', says: /node 1/ },
  { title: 'the primary is in recovery', facts: { 1: onTimeline2 }, reason: 'primary-missing', says: /node 1/ },
  {
    title: 'the primary was in recovery when its sizes were read',
    data: { source: { isInRecovery: true } },
    reason: 'primary-missing',
    says: /node 1/,
  },
  {
    title: 'a third node accepts writes, too',
    facts: { 2: promotedToTimeline2 },
    reason: 'two-primaries',
    says: /nodes 1 and 2/,
  },
  {
    title: 'the node accepts writes itself',
    facts: { 0: { isInRecovery: false, walReceiver: null } },
    reason: 'two-primaries',
    says: /nodes 0 and 1/,
  },
];

export const lineageStories: readonly RefusalStory[] = [
  {
    title: 'its control file is of another cluster',
    data: { own: { systemIdentifier: '999' } },
    reason: 'other-system',
    says: /999/,
  },
  {
    title: 'it answers as another cluster',
    facts: { 0: { ...onTimeline2, isInRecovery: true, walReceiver: receiverFrom(1, 2), systemIdentifier: '999' } },
    reason: 'other-system',
    says: /999/,
  },
  {
    title: 'the primary is another one than was observed',
    facts: { 1: { ...promotedToTimeline2, systemIdentifier: '999' } },
    reason: 'other-system',
    says: /999/,
  },
  {
    title: 'its control file cannot be read',
    data: { own: null },
    reason: 'data-not-replaceable',
    says: /pg_control cannot be read/,
  },
  { title: 'it is of another major version', data: { version: '14' }, reason: 'data-not-replaceable', says: /14.*15/ },
  {
    title: 'the primary has not been promoted past the former primary',
    data: { source: { timeline: 1 } },
    reason: 'diverged-branches',
    says: /has not succeeded.*If node 1 is: stop node 0, .*\(mv \/srv\/main \/srv\/main\.other-branch\), then retry$/,
  },
  {
    title: 'the former primary is on a newer timeline, its WAL says',
    data: { own: { timeline: 3 } },
    reason: 'diverged-branches',
    says: /timeline 3/,
  },
  {
    title: 'the caller knows of a newer timeline',
    request: { ownTimeline: 2 },
    reason: 'diverged-branches',
    says: /timeline 2/,
  },
  {
    title: 'a standby is on a newer timeline than the primary',
    data: { own: { state: 'shut down in recovery', timeline: 3 } },
    reason: 'diverged-branches',
    says: /timeline 3/,
  },
  {
    title: 'a former primary without data, and the primary is on the first timeline',
    request: { isFormerPrimary: true },
    data: { hasControlFile: false, own: null, source: { timeline: 1 } },
    reason: 'diverged-branches',
    says: /unknown timeline/,
  },
];

export const directoryStories: readonly RefusalStory[] = [
  { title: 'no parent directory', data: { realPath: null }, reason: 'data-not-replaceable', says: /parent/ },
  {
    title: 'a symbolic link on the way',
    data: { realPath: '/disk2/main' },
    reason: 'data-not-replaceable',
    says: /\/disk2\/main/,
  },
  {
    title: 'the root directory',
    configuration: makeConfiguration({ nodes: { 0: { dataDirectory: '/' } } }),
    data: { realPath: '/' },
    reason: 'data-not-replaceable',
    says: /no data directory/,
  },
  { title: 'another owner', data: { isOwned: false }, reason: 'data-not-replaceable', says: /owner/ },
  { title: 'no PG_VERSION', data: { version: null }, reason: 'data-not-replaceable', says: /PG_VERSION/ },
  {
    title: 'processes unknown',
    data: { host: { processes: 'unknown', seen: 'ps failed' } },
    reason: 'data-not-replaceable',
    says: /ps failed/,
  },
  {
    title: 'ssh has reached a server that accepts writes',
    data: { host: { processes: 'running' }, own: { state: 'in production' } },
    reason: 'data-not-replaceable',
    says: /ssh\.host/,
  },
  {
    title: 'the primary’s own directory',
    data: { isPrimarys: true },
    reason: 'data-not-replaceable',
    says: /same machine/,
  },
  {
    title: 'something else in it',
    data: { stranger: '/srv/main/pg_log' },
    reason: 'data-not-replaceable',
    says: /pg_log/,
  },
  {
    title: 'something else in a linked one',
    data: { linked: [linkedTo('/wal', 'pg_wal', { stranger: '/wal/lost+found' })] },
    reason: 'data-not-replaceable',
    says: /lost\+found/,
  },
  {
    title: 'another owner of a linked one',
    data: { linked: [linkedTo('/wal', 'pg_wal', { isOwned: false })] },
    reason: 'data-not-replaceable',
    says: /\/wal does not belong/,
  },
  {
    title: 'a quote in a linked path',
    data: { linked: [linkedTo("/it's wal")] },
    reason: 'data-not-replaceable',
    says: /quote/,
  },
  {
    title: 'a relative link',
    data: { linked: [linkedTo('../wal')] },
    reason: 'data-not-replaceable',
    says: /rename it/,
  },
  {
    title: 'a line break in a tablespace’s location on the primary',
    data: {
      source: { tablespaces: [{ ...tablespace, location: '/ts/o\nne' }] },
      linked: [linkedTo('/ts/one', '16400')],
    },
    reason: 'data-not-replaceable',
    says: /control character/,
  },
  {
    title: 'a linked directory inside the data directory',
    data: { linked: [linkedTo('/srv/main/wal')] },
    reason: 'data-not-replaceable',
    says: /lies in another/,
  },
  {
    title: 'two links to one directory',
    data: {
      source: { tablespaces: [tablespace] },
      linked: [linkedTo('/disk2'), linkedTo('/disk2', '16400')],
    },
    reason: 'data-not-replaceable',
    says: /lies in another/,
  },
  {
    title: 'a new tablespace’s directory is in use',
    data: missing({ exists: true, isEmpty: false, isOwned: true }),
    reason: 'data-not-replaceable',
    says: /pg_tblspc\/16400/,
  },
];

const isSibling = 'rebuild-needs-removeFirst';

export const roomStories: readonly RefusalStory[] = [
  { title: 'parent not writable', data: { isRenamable: false }, reason: isSibling, says: /replacedData: removeFirst/ },
  { title: 'a mount point', data: { isMountPoint: true }, reason: isSibling, says: /mount point/ },
  {
    title: 'a linked mount point',
    data: { linked: [linkedTo('/wal', 'pg_wal', { isMountPoint: true })] },
    reason: isSibling,
    says: /\/wal is a mount point/,
  },
  {
    title: 'the parent of a new tablespace is not writable',
    data: missing({ isRenamable: false }),
    reason: isSibling,
    says: /\/ts\/one/,
  },
  {
    title: 'too little space',
    data: { freeBytes: 3 * gigabyte },
    reason: isSibling,
    says: /needs 3\.4 GB .* has 3\.0 GB/,
  },
  { title: 'unknown space', data: { freeBytes: null }, reason: isSibling, says: /has 0 bytes/ },
  {
    title: 'space for each, but not for both on one filesystem',
    data: {
      freeBytes: 3.9 * gigabyte,
      source: { tablespaces: [tablespace] },
      linked: [linkedTo('/srv/ts', '16400', { freeBytes: 3.9 * gigabyte })],
    },
    reason: isSibling,
    says: /\/srv\/main, \/srv\/ts/,
  },
  {
    title: 'too little space for pg_wal on its own filesystem',
    data: { linked: [linkedTo('/wal', 'pg_wal', { device: '2', freeBytes: gigabyte })] },
    reason: isSibling,
    says: /\/wal/,
  },
  {
    title: 'removeFirst: too little space even without the old data',
    configuration: removeFirst,
    data: { freeBytes: gigabyte, usedBytes: gigabyte },
    reason: 'data-not-replaceable',
    says: /make room/,
  },
  {
    title: 'removeFirst: a data directory that cannot be made',
    configuration: removeFirst,
    data: { exists: false, isEmpty: true, isRenamable: false },
    reason: 'data-not-replaceable',
    says: /cannot write/,
  },
];
