// Finding a node: event ids are hints and may be of no node.

import { findNode, getNode } from '../../../domain/facts/cluster';
import { makeConfiguration } from '../builders';

const configuration = makeConfiguration({ nodes: { 1: { id: 5 } } });

test('a node is found by pgpool’s number, not by its place in the list', () => {
  expect(findNode(configuration, 5)).toBe(configuration.nodes[1]);
  expect(getNode(configuration, 5)).toBe(configuration.nodes[1]);
  expect(findNode(configuration, 0)?.applicationName).toBe('node0');
});

test.each([null, 1, -1, 7, NaN, 0.5])('%s names nobody', (id) => {
  expect(findNode(configuration, id)).toBeUndefined();
});

test('asking for a node that must be there says which one is missing, and where', () => {
  expect(() => getNode(configuration, 1)).toThrow('node 1 is not in cluster shop');
});
