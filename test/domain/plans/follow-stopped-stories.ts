// planFollow's answers about a node without any process: a standby, a former primary, or neither.

import type { FollowRequest } from '../../../domain/plans/follow';
import type { HostFacts } from '../../../domain/facts/facts';
import { stopped, systemIdentifier, wellLsn } from '../builders';
import type { FollowStory } from './follow-story';

/** Node 2, stopped; as a crashed primary unless told otherwise, and a start is allowed. */
function lies(
  title: string,
  expected: FollowStory['expected'],
  host: Partial<HostFacts>,
  more: Partial<FollowStory> = {},
): FollowStory {
  const own = { ...stopped, host: { processes: 'none' as const, ...host } };
  return { title, topology: '2 stopped', own, request: { isStartAllowed: true }, expected, ...more };
}

/** The answer of a look at the node's pg_wal. */
function asked(ownWal: FollowRequest['ownWal']): Partial<FollowStory> {
  return { request: { isStartAllowed: true, ...(ownWal && { ownWal }) } };
}

function control(state: string, lsn = '0/4000000', timeline = 1, identifier = systemIdentifier): Partial<HostFacts> {
  return { controlFile: { state, systemIdentifier: identifier, checkpoint: { timeline, lsn } } };
}

const foreign = '7999999999999999999';

export const stoppedStories: readonly FollowStory[] = [
  lies('a stopped node that nobody asked for', 'node-unreachable', control('shut down'), { request: {} }),
  lies(
    'a missing data directory that nobody asked for',
    'node-unreachable',
    { hasDataDirectory: false },
    { request: {} },
  ),
  lies('a stopped node without a data directory is rebuilt', 'rebuild', {
    hasDataDirectory: false,
    processes: 'unknown',
  }),
  lies(
    'no data directory, and a rebuild is not allowed',
    'node-unreachable',
    { hasDataDirectory: false },
    { follow: ['repoint'] },
  ),
  lies('a control file that cannot be read proves nothing', 'node-unreachable', { controlFile: null }),
  lies('a stopped node of another cluster', 'other-system', control('shut down', '0/4000000', 1, foreign)),
  lies('a stopped node of a newer branch', 'diverged-branches', control('in production', '0/4000000', 3)),
  lies('a stopped standby is started', 'start', { ...control('shut down in recovery'), hasStandbySignal: true }),
  lies('a killed standby is started', 'start', { ...control('in archive recovery'), hasStandbySignal: true }),
  lies('a fenced primary that was a standby since is started', 'start', {
    ...control('in archive recovery', '0/5000100'),
    hasStandbySignal: true,
    fenceMark: 'after-return',
  }),
  lies('a stopped standby without standby.signal is looked at first', 'compare', control('shut down in recovery')),
  lies('a clean stop before the fork', 'start', control('shut down', '0/4FFFF88')),
  lies('a clean stop exactly at the fork, which only it has', 'rebuild', control('shut down', wellLsn)),
  lies('a clean stop past the fork', 'rebuild', control('shut down', '0/5000060')),
  lies('a clean stop on the primary’s own timeline', 'rebuild', control('shut down', '0/5000080', 2)),
  lies('a clean stop past the fork, and a rebuild is not allowed', 'diverged', control('shut down', wellLsn), {
    follow: ['repoint'],
  }),
  ...['in production', 'in crash recovery', 'shutting down', 'starting up'].flatMap((state) => {
    const fenced = { ...control(state), hasStandbySignal: true, fenceMark: 'before-promotion' as const };
    return [
      lies(`a primary that ended ${state}, never looked at`, 'compare', fenced),
      lies(`a primary that ended ${state}, unfenced`, 'compare', control(state)),
      lies(`a primary that ended ${state} with nothing past the fork`, 'start', fenced, asked('none')),
      lies(`a primary that ended ${state} with records past the fork`, 'rebuild', fenced, asked('some')),
      lies(`a primary that ended ${state}, whose WAL cannot be read`, 'rebuild', fenced, asked('unknown')),
    ];
  }),
  lies('a crash with nothing past the fork, where only a rebuild is allowed', 'rebuild', control('in production'), {
    ...asked('none'),
    follow: ['rebuild'],
  }),
  lies('a crash after a checkpoint past the fork', 'rebuild', control('in production', '0/5000060'), asked('none')),
  lies('a crash on the primary’s own timeline', 'rebuild', control('in production', '0/5000080', 2), asked('none')),
  lies('a crash with records past the fork, and a rebuild is not allowed', 'diverged', control('in production'), {
    ...asked('some'),
    follow: ['repoint'],
  }),
];
