// The rebuild's fake activities: they change the fake cluster as the real ones change a node, and measure what a test has set.

import type { DataFacts, DivergedRange } from '../../domain/facts/data-directory';
import type { FenceMark } from '../../domain/facts/facts';
import type { FakeCluster, Fakes } from './fake-cluster';
import { deadNode, standbyNode } from './fake-nodes';

type RebuildVerb =
  | 'findOwnWal'
  | 'releaseSlots'
  | 'inspectData'
  | 'saveConfiguration'
  | 'saveDivergedWal'
  | 'saveUnarchivedWal'
  | 'baseBackup'
  | 'verifyBackup'
  | 'stop'
  | 'removeData'
  | 'setDataAside'
  | 'placeData'
  | 'restoreConfiguration'
  | 'configureStandby'
  | 'start'
  | 'confirmStreaming'
  | 'clearReplacedData';

/** The WAL facts of a node to be replaced. */
export interface FakeWal {
  readonly range: DivergedRange | null;
  readonly wasPrimary: boolean;
  readonly fenceMark: FenceMark;
}

export const nothingDiverged: FakeWal = { range: null, wasPrimary: true, fenceMark: 'before-promotion' };

export const divergedRange: DivergedRange = {
  timeline: 1,
  fromLsn: '0/5000000',
  toLsn: '0/5000400',
  bytes: 1024,
  commits: 3,
  lastCommitAt: '2026-01-01T00:00:01.000Z',
  savedTo: '~/pgpool-runbook/saved/shop.node0/diverged-wal',
};

const gigabyte = 1024 ** 3;

/** A node with room for two copies, no links. */
export function dataFacts(more: Partial<DataFacts> = {}): DataFacts {
  return {
    exists: true,
    isEmpty: false,
    isOwned: true,
    isMountPoint: false,
    isRenamable: true,
    isPrimarys: false,
    device: '8:1',
    freeBytes: 100 * gigabyte,
    usedBytes: gigabyte,
    leftoverBytes: 0,
    stranger: null,
    realPath: '/srv/main',
    version: '15',
    isUnfinished: false,
    host: deadNode(0).host!,
    hasControlFile: true,
    own: { systemIdentifier: '7400000000000000001', state: 'in production', timeline: 1 },
    rebuildMark: null,
    linked: [],
    missing: [],
    source: {
      version: '15',
      systemIdentifier: '7400000000000000001',
      timeline: 2,
      isInRecovery: false,
      bytes: gigabyte,
      walBytes: 0,
      tablespaces: [],
    },
    ...more,
  };
}

export function rebuildFakes(cluster: FakeCluster): Pick<Fakes, RebuildVerb> {
  const done = (line: string) => () => Promise.resolve({ changed: true, line });
  return {
    findOwnWal: () => Promise.resolve({ changed: false, line: `own WAL: ${cluster.ownWal}`, ownWal: cluster.ownWal }),
    inspectData: () => Promise.resolve({ changed: false, line: 'inspected', facts: cluster.data }),
    releaseSlots: done('released'),
    saveConfiguration: () => Promise.resolve({ changed: true, line: 'saved', set: 'set1', mark: null }),
    saveDivergedWal: () => Promise.resolve({ changed: true, line: 'it held 1024 bytes of its own', ...cluster.wal }),
    saveUnarchivedWal: () =>
      Promise.resolve({
        changed: false,
        line: `the archive lacks ${cluster.unarchived} files`,
        files: cluster.unarchived,
      }),
    baseBackup: () => Promise.resolve({ changed: true, line: 'copied', bytes: gigabyte }),
    verifyBackup: done('verified'),
    stop: ({ node }) => {
      cluster.set(deadNode(node));
      return Promise.resolve({ changed: true, line: 'stopped' });
    },
    removeData: done('removed'),
    setDataAside: done('set aside'),
    placeData: done('placed'),
    restoreConfiguration: done('restored'),
    configureStandby: ({ node, primary }) => {
      cluster.configured.set(node, primary);
      return Promise.resolve({ changed: true, line: 'configured' });
    },
    start: ({ node }) => {
      const primary = cluster.configured.get(node)!;
      cluster.set(standbyNode(node, primary, cluster.get(primary).position!.timeline));
      return Promise.resolve({ changed: true, line: 'started' });
    },
    confirmStreaming: () => Promise.resolve({ changed: false, line: 'streams' }),
    clearReplacedData: () => Promise.resolve({ changed: true, line: 'the replaced data is kept', kept: null }),
  };
}
