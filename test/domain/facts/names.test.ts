// Names that other programs see: stable, and free of what the server's HTTP API cannot carry.

import fc from 'fast-check';
import {
  eventSignalName,
  followWorkflowId,
  incidentWorkflowId,
  searchAttributeNames,
  settledUpdateName,
  workflowTypes,
} from '../../../domain/facts/names';

test('ids are those that the documentation promises', () => {
  expect(incidentWorkflowId('shop')).toBe('pgpool-shop');
  expect(followWorkflowId('shop', 2)).toBe('pgpool-shop.follow.2');
});

test('the hook’s names are part of its contract', () => {
  expect([workflowTypes.incident, eventSignalName, settledUpdateName]).toEqual(['incident', 'event', 'settled']);
  expect(searchAttributeNames).toEqual({ cluster: 'PgCluster', operation: 'PgOperation', outcome: 'PgOutcome' });
});

const cluster = fc.stringMatching(/^[a-z0-9-]{1,40}$/);
const node = fc.integer({ min: 0, max: 127 });

test('every id uses only A-Z a-z 0-9 . _ -', () => {
  fc.assert(
    fc.property(cluster, node, (name, id) => {
      for (const text of [incidentWorkflowId(name), followWorkflowId(name, id)]) {
        expect(text).toMatch(/^[A-Za-z0-9._-]{1,200}$/);
      }
    }),
  );
});

test('different things have different ids', () => {
  const key = fc.tuple(cluster, node);
  fc.assert(
    fc.property(key, key, (left, right) => {
      fc.pre(left.join('/') !== right.join('/'));
      const id = ([name, one]: [string, number]): string => followWorkflowId(name, one);
      expect(id(left)).not.toBe(id(right));
    }),
  );
});
