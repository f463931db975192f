// The overview that `status` shows: roles, lag, sources, and each pgpool's view.

import { describeCluster } from '../../../domain/plans/overview';
import { at, makeConfiguration, makeFacts, pgpoolSees, promotedToTimeline2, receiverFrom, stopped } from '../builders';
import { inHand } from './pause-stories';

const show = (facts: Parameters<typeof makeFacts>[0]) => describeCluster(makeConfiguration(), makeFacts(facts));

test('a cluster in which everything is well', () => {
  const overview = show({ nodes: { 2: { ...at('0/5000000'), replayedLsn: '0/4FFFF00' } } });
  expect(overview).toMatchObject({ cluster: 'shop', primaries: [0], served: { pgpool0: 0 } });
  expect(overview.nodes).toMatchObject([
    { node: 0, role: 'primary', timeline: 1, lagBytes: null, from: null, pgpools: { pgpool0: 'up' } },
    { node: 1, role: 'standby', lsn: '0/5000000', lagBytes: 0, from: 'node 0' },
    { node: 2, role: 'standby', lsn: '0/4FFFF00', lagBytes: 256, from: 'node 0' },
  ]);
});

test('a node that is away, one on an older timeline, one that streams from a stranger, one in maintenance', () => {
  const nodes = {
    0: stopped,
    1: promotedToTimeline2,
    2: { walReceiver: { ...receiverFrom(0), host: '10.9.9.9' } },
  };
  const overview = show({ nodes, pgpools: [pgpoolSees(1)], maintenance: [inHand(2)] });
  expect(overview).toMatchObject({ primaries: [1], served: { pgpool0: 1 } });
  expect(overview.nodes).toMatchObject([
    { role: 'away', timeline: null, lsn: null, seen: 'connection refused' },
    { role: 'primary', timeline: 2 },
    // LSNs of different timelines cannot be compared.
    { role: 'standby', lagBytes: null, from: '10.9.9.9, which is not in the cluster file', isInMaintenance: true },
  ]);
});

test('two primaries, and a pgpool that did not answer', () => {
  const silent = { pgpool: 'pgpool0', nodes: [], isReached: false, seen: 'no answer' };
  const overview = show({ nodes: { 1: promotedToTimeline2 }, pgpools: [silent] });
  expect(overview).toMatchObject({ primaries: [0, 1], served: { pgpool0: null } });
  expect(overview.nodes[2]).toMatchObject({ lagBytes: null, pgpools: { pgpool0: 'unknown' } });
});
