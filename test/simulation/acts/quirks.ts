// Obstacles to a copy: the things that `inspectData` finds on a node beside its data.

import type { DataFacts, LinkedDirectory, PlaceFacts } from '../../../domain/facts/data-directory';

const place: PlaceFacts = {
  ...{ exists: true, isEmpty: false, isOwned: true, isMountPoint: false, isRenamable: true, isPrimarys: false },
  ...{ device: '8:1', freeBytes: 1e11, usedBytes: 1e9, leftoverBytes: 0, stranger: null },
};
const wal: LinkedDirectory = { ...place, kind: 'wal', link: 'pg_wal', path: '/wal/main' };
const space = (path: string, more: Partial<PlaceFacts> = {}): LinkedDirectory => ({
  ...{ ...place, ...more, kind: 'tablespace', link: '16400', path },
});
const ofPrimary = [{ oid: '16400', location: '/space/fast', bytes: 1e6 }];

interface Quirk {
  readonly what: string;
  readonly facts: (facts: DataFacts) => Partial<DataFacts>;
}

const quirk = (what: string, facts: Quirk['facts']): Quirk => ({ what, facts });
const withSpace = ({ source }: DataFacts): Pick<DataFacts, 'source'> => ({
  source: { ...source, tablespaces: ofPrimary },
});

export const quirks: readonly Quirk[] = [
  quirk('its parent directory is not mounted', () => ({ realPath: null })),
  quirk('its path is a symbolic link', () => ({ realPath: '/elsewhere' })),
  quirk('its directory belongs to another user', () => ({ isOwned: false })),
  quirk('its directory is no data directory', () => ({ version: null, isEmpty: false, exists: true })),
  quirk('its processes cannot be seen', ({ host }) => ({ host: { ...host, processes: 'unknown' } })),
  quirk('its control file cannot be read', () => ({ own: null, hasControlFile: true })),
  quirk('its data is of another version', () => ({ version: '14' })),
  quirk('its data is of another cluster', ({ own }) => ({ own: own && { ...own, systemIdentifier: '79' } })),
  quirk('its ssh host is another server', ({ own, host }) => ({
    host: { ...host, processes: 'running' },
    own: own && { ...own, state: 'in production' },
  })),
  quirk('a stranger lies in its data directory', () => ({ stranger: 'lost+found' })),
  quirk('its data directory is the primary’s', () => ({ isPrimarys: true })),
  quirk('its data directory is a mount point', () => ({ isMountPoint: true })),
  quirk('nobody may write beside its data directory', () => ({ isRenamable: false, exists: false })),
  quirk('its disk is full', () => ({ freeBytes: 0, usedBytes: null })),
  quirk('its free space is unknown', () => ({ freeBytes: null, usedBytes: null })),
  quirk('its pg_wal is on another disk', () => ({ linked: [{ ...wal, device: '8:2' }] })),
  quirk('its pg_wal lies in its data directory by a link', () => ({ linked: [{ ...wal, path: '/srv/main/wal' }] })),
  quirk('it has a tablespace', (facts) => ({ ...withSpace(facts), linked: [space('/space/fast')] })),
  quirk('its tablespace is on a path with a quote', (facts) => ({
    ...withSpace(facts),
    linked: [space('/space/a"b')],
  })),
  quirk('a tablespace of the primary is missing', (facts) => ({
    ...withSpace(facts),
    missing: [space('/space/fast')],
  })),
  quirk('a tablespace is missing, its directory is there', (facts) => ({
    ...withSpace(facts),
    missing: [space('/space/fast', { exists: false, isEmpty: true })],
  })),
  quirk('it has a tablespace that the primary has not', () => ({ linked: [space('/space/old')] })),
  quirk('its data is of a newer timeline', ({ own, source }) => ({
    own: own && { ...own, timeline: source.timeline + 1 },
  })),
  quirk('its way to the primary leads to a standby', ({ source }) => ({ source: { ...source, isInRecovery: true } })),
  quirk('its linked directory belongs to another user', () => ({ linked: [{ ...wal, isOwned: false }] })),
];
