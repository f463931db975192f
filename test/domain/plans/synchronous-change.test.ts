// A site's synchronous replication is not turned off, or on, without a word.

import { parseClusterFile } from '../../../configuration/load';
import { describeSynchronousChange } from '../../../domain/plans/synchronous-change';
import { clusterFile } from '../../configuration/cluster-file';

const shop = parseClusterFile(clusterFile, 'shop.yaml');
const withStandbys = (standbys: number) => ({
  policy: { ...shop.policy, synchronous: { ...shop.policy.synchronous, standbys } },
});

test.each([
  [
    0,
    'ANY 1 (node1, node2)',
    /^replication becomes asynchronous \(policy.synchronous.standbys is 0, .* 'ANY 1 \(node1, node2\)'\)$/,
  ],
  [0, '*', /asynchronous/],
  [0, 'ANY ( what is this', /asynchronous/],
  [1, '', /^replication becomes synchronous \(policy.synchronous.standbys is 1/],
] as const)('policy %d against %j is told', (standbys, inForce, expected) => {
  expect(describeSynchronousChange(withStandbys(standbys), inForce)).toMatch(expected);
});

test.each([
  [0, ''],
  [0, null],
  [1, 'ANY 1 (node1, node2)'],
  [2, null],
] as const)('policy %d against %j changes nothing', (standbys, inForce) => {
  expect(describeSynchronousChange(withStandbys(standbys), inForce)).toBeNull();
});
